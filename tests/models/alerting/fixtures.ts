import fc from 'fast-check';
import type { AlertRule } from '../../../schemas/alert.ts';
import type { Measure } from '../../../schemas/monitoring.ts';
import { DAY } from '../../../schemas/time.ts';

/** Windows are days: window k goes from day k to day k + 1 and is measured first at the tick at its end. */
export const tickOf = (window: number) => (window + 1) * DAY;

export function measure(window: number, value: number | null, other: Partial<Measure> = {}): Measure {
  return {
    kind: 'quality',
    statistic: 'log_loss',
    model: 'late',
    version: 1,
    subject: '',
    slice: '',
    from: window * DAY,
    to: (window + 1) * DAY,
    tick: tickOf(window),
    value,
    low: value,
    high: value,
    rows: 100,
    threshold: 0.3,
    fired: false,
    detail: '{}',
    ...other,
  };
}

/** True where the value is above 0.3; no answer where there is no value. */
export function rule(other: Partial<AlertRule> = {}): AlertRule {
  return {
    name: 'worse',
    kind: 'quality',
    statistics: ['log_loss'],
    condition: ({ value }) => (typeof value === 'number' ? value > 0.3 : null),
    forWindows: 1,
    resolveAfter: 1,
    severity: 'warning',
    summary: '{statistic} of {model} {slice} is {value}.',
    ...other,
  };
}

export const BAD = 0.5;
export const GOOD = 0.1;

/** What is measured of one window at one tick: good, bad, or no answer. */
const verdict = fc.constantFrom(GOOD, BAD, null);

/** Ticks of some series, some windows measured again later, some not at all. */
export const histories: fc.Arbitrary<readonly (readonly Measure[])[]> = fc
  .array(
    fc.array(
      fc.record({
        back: fc.nat(3),
        value: verdict,
        slice: fc.constantFrom('', 'origin=ORD'),
        version: fc.constantFrom(1, 2),
      }),
      { maxLength: 6 },
    ),
    { minLength: 1, maxLength: 12 },
  )
  .map((ticks) =>
    ticks.map((all, window) => {
      // One figure of a window, version and slice at a tick.
      const found = new Map<string, Measure>();
      for (const { back, value, slice, version } of all)
        if (window >= back)
          found.set(
            `${back} ${slice} ${version}`,
            measure(window - back, value, { slice, version, tick: tickOf(window) }),
          );
      return [...found.values()];
    }),
  );
