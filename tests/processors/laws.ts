import fc from 'fast-check';
import { expect } from 'vitest';
import { addValue, layoutOf, mergeRow } from '../../processors/columns.ts';
import { compactLog } from '../../processors/compact.ts';
import { asOf } from '../../processors/read.ts';
import type { Contribution } from '../../schemas/records/block.ts';
import type { Column, View } from '../../schemas/view.ts';
import { append, dice, expectSameBits, headsOf, type Logs, logsOf, readLogs, shuffled } from './harness.ts';

/**
 * What every aggregation must keep, whatever it computes: reads do not depend on the order of events, on how
 * they were cut into batches, on the order of those, on when a log was compacted or how often.
 * `contributions` are of one entity; `time` is that of the request.
 */
export function checkAggregator(
  view: View,
  contributions: readonly Contribution[],
  time: number,
  seed: number,
): void {
  const next = dice(seed);
  const request = { time, zone: null };
  const edge = asOf(view, time, Number.MAX_SAFE_INTEGER);
  const whole = logsOf(view, contributions, () => 1);
  const wanted = readLogs(view, whole, request, edge);
  const same = (logs: Logs) => expectSameBits(view, readLogs(view, logs, request, edge), wanted);

  same(logsOf(view, shuffled(contributions, next), () => 1));
  same(logsOf(view, contributions, () => 0));
  same(logsOf(view, shuffled(contributions, next), next));

  // Merge is associative: logs of parts, compacted alone, then joined, then compacted again.
  const compact = (logs: Logs): Logs =>
    logs.map((log, k) => {
      const set = view.sets[k];
      return log === null || set === undefined ? null : compactLog(view, set, log, Number.NEGATIVE_INFINITY);
    });
  const cut = Math.floor(next() * (contributions.length + 1));
  const joined = compact(logsOf(view, contributions.slice(0, cut), () => 1));
  for (const [k, log] of logsOf(view, contributions.slice(cut), () => 1).entries())
    if (log !== null) append(joined, k, log);
  same(joined);
  same(compact(joined));

  // The bytes of a compaction depend on the events alone, and compacting once more changes nothing.
  expect(compact(joined)).toEqual(compact(whole));
  expect(compact(compact(whole))).toEqual(compact(whole));
  const { head } = headsOf(view, time);
  const shut = (logs: Logs) =>
    logs.map((log, k) => {
      const set = view.sets[k];
      return log === null || set === undefined ? null : compactLog(view, set, log, head);
    });
  expect(shut(compact(joined))).toEqual(shut(whole));
  same(shut(whole));
}

/** Merging rows is commutative and associative, to the bit, and an empty row changes nothing. */
export function checkMerge(columns: readonly Column[], largest: number): void {
  const layout = layoutOf(columns);
  const value = fc.record({ x: fc.integer({ min: -largest, max: largest }), time: fc.nat(20) });
  const part = fc.array(value, { maxLength: 8 });
  const rowOf = (values: ReadonlyArray<{ x: number; time: number }>): Float64Array => {
    const row = layout.empty.slice();
    for (const { x, time } of values)
      for (let i = 0; i < layout.inputs.length; i += 1) addValue(layout, i, row, 0, x, time);
    return row;
  };
  const merged = (...rows: Float64Array[]): Float64Array => {
    const into = layout.empty.slice();
    for (const row of rows) mergeRow(layout, row, 0, into, 0);
    return into;
  };
  fc.assert(
    fc.property(part, part, part, (a, b, c) => {
      const [x, y, z] = [rowOf(a), rowOf(b), rowOf(c)];
      expect(merged(x, y)).toEqual(merged(y, x));
      expect(merged(merged(x, y), z)).toEqual(merged(x, merged(y, z)));
      expect(merged(x, layout.empty)).toEqual(x);
      expect(merged(x, y, z)).toEqual(rowOf([...c, ...a, ...b]));
    }),
  );
}
