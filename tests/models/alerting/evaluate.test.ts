import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evaluateTick } from '../../../models/alerting/evaluate.ts';
import { changeId, deliveryId, fingerprintOf } from '../../../models/alerting/identity.ts';
import { fillSummary } from '../../../models/alerting/summary.ts';
import { MeasureBook } from '../../../models/alerting/windows.ts';
import type { AlertRule } from '../../../schemas/alert.ts';
import type { Measure } from '../../../schemas/monitoring.ts';
import type { Alert } from '../../../schemas/records/alert.ts';
import { DAY } from '../../../schemas/time.ts';
import { BAD, GOOD, histories, measure, rule, tickOf } from './fixtures.ts';

/** A run over ticks, as the stream does it: a book of measures, and the changes so far. */
class Run {
  readonly changes: Alert[] = [];
  readonly #rules: readonly AlertRule[];
  readonly #book: MeasureBook;

  constructor(rules: readonly AlertRule[]) {
    this.#rules = rules;
    this.#book = new MeasureBook(rules);
  }

  tick(window: number, measures: readonly Measure[], rules = this.#rules): readonly Alert[] {
    this.#book.add(measures);
    const made = this.judge(window, rules);
    this.changes.push(...made);
    return made;
  }

  judge(window: number, rules = this.#rules): readonly Alert[] {
    const tick = tickOf(window);
    const earlier = new Map<string, Alert>();
    for (const alert of this.changes) if (alert.tick < tick) earlier.set(alert.fingerprint, alert);
    return evaluateTick({ rules, measures: this.#book.measures(), earlier, tick, at: 1 });
  }

  /** `pending firing resolved`, with the windows at whose tick it changed. */
  states(): string {
    return this.changes.map(({ state, tick }) => `${state}@${tick / DAY - 1}`).join(' ');
  }
}

/** One series: the value of window k is measured at the tick at its end. `undefined` = not measured at all. */
function series(values: readonly (number | null | undefined)[], declared: Partial<AlertRule> = {}): Run {
  const run = new Run([rule(declared)]);
  for (const [window, value] of values.entries())
    run.tick(window, value === undefined ? [] : [measure(window, value)]);
  return run;
}

describe('an alert', () => {
  it('fires at once where the rule waits for one window, and is resolved when it is over', () => {
    const run = series([GOOD, BAD, BAD, GOOD, GOOD, BAD]);
    expect(run.states()).toBe('firing@1 resolved@3 firing@5');
    const [fired, resolved, again] = run.changes;
    expect(fired).toMatchObject({ change: 1, startedAt: DAY, firedAt: tickOf(1), endedAt: null, value: BAD });
    expect(resolved).toMatchObject({
      change: 2,
      startedAt: DAY,
      firedAt: tickOf(1),
      endedAt: 3 * DAY,
      value: GOOD,
    });
    expect(again).toMatchObject({ change: 3, startedAt: 5 * DAY, endedAt: null });
    expect(new Set(run.changes.map(({ fingerprint }) => fingerprint)).size).toBe(1);
    expect([fired?.summary, resolved?.summary]).toEqual([
      'log_loss of late is 0.5.',
      'Over: log_loss of late is 0.5.',
    ]);
  });

  it('is pending until the condition held for windows in a row', () => {
    expect(series([BAD, GOOD, BAD, BAD, BAD], { forWindows: 3 }).states()).toBe(
      'pending@0 resolved@1 pending@2 firing@4',
    );
    const [pending, resolved] = series([BAD, GOOD], { forWindows: 3 }).changes;
    expect([pending?.firedAt, resolved?.firedAt], 'it never fired').toEqual([null, null]);
  });

  it('is resolved only after windows in a row without', () => {
    expect(series([BAD, GOOD, BAD, GOOD, GOOD], { resolveAfter: 2 }).states()).toBe('firing@0 resolved@4');
  });

  it('stays what it is while there is no answer, and a hole does not break a row', () => {
    expect(series([BAD, null, undefined, GOOD]).states()).toBe('firing@0 resolved@3');
    expect(series([BAD, null, undefined, BAD], { forWindows: 2 }).states()).toBe('pending@0 firing@3');
    expect(series([null, undefined]).states()).toBe('');
  });

  it('counts a window that is measured again once, by its newest figure', () => {
    const run = new Run([rule({ forWindows: 2 })]);
    run.tick(0, [measure(0, BAD)]);
    run.tick(1, [measure(0, BAD, { tick: tickOf(1), rows: 200 })]);
    expect(run.states(), 'twice the same window is one window').toBe('pending@0');
    run.tick(2, [measure(0, GOOD, { tick: tickOf(2), rows: 300 })]);
    expect(run.states(), 'the labels that came later said it was good').toBe('pending@0 resolved@2');
  });

  it('fires for labels that come late', () => {
    const run = new Run([rule({ forWindows: 2 })]);
    run.tick(0, [measure(0, null)]);
    run.tick(1, [measure(1, null)]);
    run.tick(2, [measure(0, BAD, { tick: tickOf(2) }), measure(1, BAD, { tick: tickOf(2) })]);
    expect(run.states()).toBe('firing@2');
    expect(run.changes[0]?.startedAt).toBe(0);
  });

  it('goes on through a new version, and is one of all statistics and versions of its subject', () => {
    const run = new Run([rule({ statistics: [] })]);
    run.tick(0, [
      measure(0, BAD, { statistic: 'brier' }),
      measure(0, GOOD),
      measure(0, GOOD, { version: 2 }),
    ]);
    run.tick(1, [measure(1, BAD, { version: 2 })]);
    run.tick(2, [measure(2, GOOD, { version: 2 })]);
    expect(run.states()).toBe('firing@0 resolved@2');
    expect(run.changes.map(({ statistic, version }) => `${statistic} v${version}`)).toEqual([
      'brier v1',
      'log_loss v2',
    ]);
  });

  it('sees the window before as previous, whatever lies between', () => {
    const jump = rule({
      condition: ({ value, previous }) =>
        typeof value === 'number' && typeof previous === 'number' ? value > 2 * previous : null,
    });
    const run = new Run([jump]);
    run.tick(0, [measure(0, 1)]);
    run.tick(1, [measure(1, null)]);
    run.tick(2, [measure(2, 1.5)]);
    run.tick(3, [measure(3, 4), measure(3, 40, { slice: 'origin=ORD' })]);
    expect(run.states()).toBe('firing@3');
  });

  it('can tell a challenger in shadow from the champion', () => {
    const champions = rule({ condition: ({ by, value }) => by !== 'shadow' && Number(value) > 0.3 });
    const run = new Run([champions]);
    run.tick(0, [
      measure(0, GOOD, { detail: '{"by":"champion"}' }),
      measure(0, BAD, { version: 2, detail: '{"by":"shadow"}' }),
    ]);
    expect(run.states()).toBe('');
    run.tick(1, [measure(1, BAD, { detail: '{"settled":true,"by":"champion"}' })]);
    expect(run.states()).toBe('firing@1');
  });

  it('whose rule is gone is resolved', () => {
    const run = new Run([rule()]);
    run.tick(0, [measure(0, BAD)]);
    run.tick(1, [], []);
    run.tick(2, [], []);
    expect(run.states()).toBe('firing@0 resolved@1');
    expect(run.changes[1]?.summary).toBe('The rule worse is not declared any more.');
  });
});

describe('laws of a tick', () => {
  const rules = [
    rule(),
    rule({ name: 'slow', forWindows: 3, resolveAfter: 2, statistics: [] }),
    rule({
      name: 'jump',
      condition: ({ value, previous }) => (value === null || previous === null ? null : value !== previous),
    }),
  ];

  it('judged again it makes the same changes, with the same ids', () => {
    fc.assert(
      fc.property(histories, (ticks) => {
        const run = new Run(rules);
        for (const [window, measures] of ticks.entries()) {
          const made = run.tick(window, measures);
          expect(run.judge(window)).toEqual(made);
        }
        expect(new Set(run.changes.map(({ id }) => id)).size).toBe(run.changes.length);
      }),
    );
  });

  it('a tick that brings nothing changes nothing', () => {
    fc.assert(
      fc.property(histories, (ticks) => {
        const run = new Run(rules);
        for (const [window, measures] of ticks.entries()) run.tick(window, measures);
        expect(run.tick(ticks.length, [])).toEqual([]);
      }),
    );
  });

  it('the order of measures and of rules does not matter', () => {
    const shuffled = histories.chain((ticks) =>
      fc.tuple(
        fc.constant(ticks),
        fc.tuple(
          ...ticks.map((all) =>
            fc.shuffledSubarray([...all], { minLength: all.length, maxLength: all.length }),
          ),
        ),
      ),
    );
    fc.assert(
      fc.property(shuffled, ([ticks, other]) => {
        const one = new Run(rules);
        const two = new Run([...rules].reverse());
        for (const [window, measures] of ticks.entries()) {
          one.tick(window, measures);
          two.tick(window, other[window] ?? []);
        }
        expect(two.changes).toEqual(one.changes);
      }),
    );
  });

  it('changes of an alert are numbered from 1, and follow the paths that there are', () => {
    const paths = new Set([
      '- pending',
      '- firing',
      'pending firing',
      'pending resolved',
      'firing resolved',
      'resolved pending',
      'resolved firing',
    ]);
    fc.assert(
      fc.property(histories, (ticks) => {
        const run = new Run(rules);
        for (const [window, measures] of ticks.entries()) run.tick(window, measures);
        const last = new Map<string, Alert>();
        for (const alert of run.changes) {
          const before = last.get(alert.fingerprint);
          expect(alert.change).toBe((before?.change ?? 0) + 1);
          expect(paths).toContain(`${before?.state ?? '-'} ${alert.state}`);
          expect(alert.startedAt).toBeLessThan(alert.tick);
          expect(alert.endedAt === null).toBe(alert.state !== 'resolved');
          if (alert.state === 'resolved')
            expect(alert.firedAt, 'it says whether it fired').toBe(
              before?.state === 'firing' ? before.firedAt : null,
            );
          last.set(alert.fingerprint, alert);
        }
      }),
    );
  });

  it('one alert has no part in another', () => {
    fc.assert(
      fc.property(histories, (ticks) => {
        const both = new Run(rules);
        const alone = new Run(rules);
        for (const [window, measures] of ticks.entries()) {
          both.tick(window, measures);
          alone.tick(
            window,
            measures.filter(({ slice }) => slice === ''),
          );
        }
        expect(both.changes.filter(({ slice }) => slice === '')).toEqual(alone.changes);
      }),
    );
  });
});

describe('names of alerts', () => {
  it('a fingerprint tells rule, model, subject and slice apart, and nothing else', () => {
    const of = (rule: string, model: string, subject: string, slice: string) =>
      fingerprintOf({ rule, model, subject, slice });
    const all = [
      of('a', 'b', '', ''),
      of('ab', '', '', ''),
      of('a', '', 'b', ''),
      of('a', '', '', 'b'),
      of('', 'a', 'b', ''),
    ];
    expect(new Set(all).size).toBe(5);
    expect(of('worse', 'late', '', 'origin=ORD')).toBe('be7e38eea5509e55');
    expect(changeId('x', 2)).toBe('x:2');
  });

  it('a delivery has the id of its project, receiver and changes, in any order', () => {
    expect(deliveryId('p', 'ops', ['a:1', 'b:1'])).toBe(deliveryId('p', 'ops', ['b:1', 'a:1']));
    expect(deliveryId('p', 'ops', ['a:1'])).not.toBe(deliveryId('p', 'team', ['a:1']));
    expect(deliveryId('p', 'ops', ['a:1'])).not.toBe(deliveryId('q', 'ops', ['a:1']));
  });

  it('a summary has no holes', () => {
    const of = (text: string, other: Partial<Measure>) => fillSummary(text, measure(0, 0.312345, other));
    expect(of('{statistic} of {model} {subject} {slice} is {value}.', {})).toBe(
      'log_loss of late is 0.3123.',
    );
    expect(
      of('{model} at {slice}, threshold {threshold}; {other}', { slice: 'origin=ORD', threshold: null }),
    ).toBe('late at origin=ORD, threshold unknown; {other}');
    expect(fillSummary('{value}', measure(0, 1_234_567))).toBe('1,235,000');
  });
});
