import fc from 'fast-check';
import type { EventRecord } from '../../schemas/event.ts';
import type { Contribution } from '../../schemas/records/block.ts';
import { DAY, floorTo, HOUR, MINUTE, RUNGS, SECOND } from '../../schemas/time.ts';
import { AGGREGATIONS, type Aggregation, type View } from '../../schemas/view.ts';
import type { OracleEvent } from '../oracle/naive.ts';
import type { PeriodicSpec, ViewSpec, WindowSpec } from './build-view.ts';

/** The clocks of New York went forward and back at these times, and those of Lord Howe not long before. */
export const AROUND = Date.UTC(2001, 3, 1, 7);
export const AUTUMN = Date.UTC(2001, 9, 28, 6);
export const ZONES = [null, 'America/New_York', 'Asia/Kolkata', 'Australia/Lord_Howe', 'No/Such_Zone'];

const NUMERIC: readonly Aggregation[] = AGGREGATIONS.filter(
  (one) => one !== 'distinct' && one !== 'quantile',
);

/** Inputs: a signed number, a small count-like one of another source, a large one (squares in two limbs), a hash. */
export const INPUTS = [
  { name: 'amount', scale: 100 },
  { name: 'late', source: 'other' },
  { name: 'large', scale: 10 },
  { name: 'who', kind: 'hash' as const },
];

/** A window of at least six steps at the resolution, so that it is legal for sketches too. */
function lengthOf(resolution: number, pick: number): number {
  const steps = [1, 2, 7, 59, 60, 100, 101, 240, 1000, 3000][pick % 10] as number;
  return Math.min(steps * resolution, 100 * DAY);
}

export const viewSpecs: fc.Arbitrary<ViewSpec> = fc
  .record({
    resolution: fc.constantFrom(SECOND, 10 * SECOND, MINUTE, 5 * MINUTE, HOUR),
    up: fc.nat(2),
    delay: fc.nat(3),
    maxDelay: fc.option(fc.nat(40), { nil: null, freq: 2 }),
    windows: fc.array(
      fc.record({
        aggregation: fc.constantFrom<Aggregation>(...NUMERIC, 'distinct', 'quantile'),
        input: fc.nat(2),
        pick: fc.nat(9),
        halfLife: fc.integer({ min: 1, max: 50 }),
        quantile: fc.constantFrom(0, 0.25, 0.5, 0.9, 1),
      }),
      { minLength: 1, maxLength: 7 },
    ),
    periodic: fc.array(
      fc.record({
        aggregation: fc.constantFrom<Aggregation>('count', 'sum', 'mean', 'share', 'max', 'last', 'stddev'),
        input: fc.nat(1),
        times: fc.integer({ min: 1, max: 4 }),
        days: fc.integer({ min: 1, max: 2 }),
        from: fc.integer({ min: -40, max: 20 }),
        span: fc.integer({ min: 1, max: 40 }),
      }),
      { maxLength: 3 },
    ),
  })
  .map(({ resolution, up, delay, maxDelay, windows, periodic }) => {
    const rung = RUNGS.indexOf(resolution as (typeof RUNGS)[number]);
    const sketchResolution = RUNGS[Math.min(rung + up, 4)] as number;
    return {
      resolution,
      sketchResolution,
      readDelay: Math.floor((delay * resolution) / 2),
      maxDelay: maxDelay === null ? null : Math.floor((maxDelay * resolution) / 3) + 1,
      inputs: INPUTS,
      windows: windows.map(({ aggregation, input, pick, halfLife, quantile }): WindowSpec => {
        const sketch = aggregation === 'distinct' || aggregation === 'quantile';
        const length = lengthOf(sketch ? sketchResolution : resolution, sketch ? 2 + (pick % 8) : pick);
        return {
          aggregation,
          input: aggregation === 'distinct' ? 3 : input,
          length,
          halfLife: Math.max(1, Math.floor((length * halfLife) / 100)),
          quantile,
          limbs: input === 2,
        };
      }),
      // Stretches stay short and offsets of zones stay whole multiples of the resolution (a quarter of an hour).
      periodic:
        resolution > 5 * MINUTE
          ? []
          : periodic.map(({ aggregation, input, times, days, from, span }): PeriodicSpec => {
              const unit = Math.max(resolution, MINUTE);
              return {
                aggregation,
                input,
                times,
                every: days * DAY,
                from: from * unit,
                to: (from + span) * unit,
              };
            }),
    };
  });

/** How far back a view looks at most, ms. */
export function spanOf(view: View): number {
  return Math.max(...view.sets.map(({ reach }) => reach)) * 1.3 + 10 * view.resolution;
}

/** Times where something changes for a read as of `asOf` by a request at `time`: the edges of windows and stretches. */
function edgesOf(view: View, time: number, asOf: number): number[] {
  const edges: number[] = [];
  for (const feature of view.features) {
    const set = view.sets[feature.set] as View['sets'][number];
    if (feature.kind === 'periodic') {
      for (let k = 1; k <= feature.times; k += 1)
        for (const edge of [feature.from, feature.to])
          for (const shift of [-HOUR, 0, 0, HOUR])
            edges.push(floorTo(time, view.resolution) - k * feature.every + edge + shift);
      continue;
    }
    const young = set.kind === 'sketches' ? floorTo(asOf, set.resolution) : asOf;
    const end = view.at === null ? young : floorTo(young - view.at.maxDelay, set.resolution);
    const window = set.windows[feature.window] as { length: number; hop: number };
    edges.push(asOf, young, end, floorTo(end - window.length, window.hop), end - window.length);
  }
  return edges;
}

/**
 * The events of one entity, in order of time: crowded around the edges that a read has, around the edges of
 * tiles near them, and in time itself (many share one millisecond); some anywhere in reach.
 */
export function historyOf(
  view: View,
  count: number,
  next: () => number,
  time: number,
  asOf: number,
): OracleEvent[] {
  const span = spanOf(view);
  const edges = edgesOf(view, time, asOf);
  const history: OracleEvent[] = [];
  const key = (): number => {
    const kind = next();
    const before = history[Math.floor(next() * history.length)]?.event.at;
    if (kind < 0.2 && typeof before === 'number') return before;
    if (kind < 0.35) return Math.floor(asOf + 2 * view.resolution - span * next() ** 4);
    const edge = edges[Math.floor(next() * edges.length)] as number;
    const rung = RUNGS[Math.floor(next() * RUNGS.length)] as number;
    const near = next() < 0.5 ? edge : floorTo(edge, rung) + (next() < 0.5 ? 0 : rung);
    const off = [0, 1, -1, Math.floor(next() * view.resolution), -Math.floor(next() * rung * 3)];
    return near + (off[Math.floor(next() * off.length)] as number);
  };
  for (let i = 0; i < count; i += 1) {
    const at = key();
    const other = next() < 0.4;
    const event: EventRecord = {
      id: String(i),
      type: 'test',
      // A tenth of the events is later after the view's second time than it allows.
      time: view.at === null ? at : at + Math.floor(next() * view.at.maxDelay * 1.1),
      at,
      amount: next() < 0.15 ? null : Math.floor(next() * 10_001) - 5_000,
      late: other ? Math.floor(next() * 2) : null,
      large: Math.floor((next() - 0.5) * 2 ** 37),
      who: Math.floor(next() * 2 ** 53),
    };
    history.push({ source: other ? 'other' : 'events', event });
  }
  return history.sort((a, b) => a.event.time - b.event.time);
}

export function contributionsOf(view: View, history: readonly OracleEvent[], entity = 'e'): Contribution[] {
  return history.map(({ source, event }, offset) => ({
    offset,
    time: event.time,
    at: view.at === null ? null : (event[view.at.field] as number),
    entity,
    values: view.inputs.map((input) => (input.source === source ? input.evaluate(event) : null)),
  }));
}
