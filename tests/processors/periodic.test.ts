import { describe, expect, it } from 'vitest';
import { asOf, createReader, NO_LIMITS } from '../../processors/read.ts';
import type { Contribution } from '../../schemas/records/block.ts';
import type { View } from '../../schemas/view.ts';
import { buildView, type PeriodicSpec } from './build-view.ts';
import { logsOf } from './harness.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const T = Date.UTC(2001, 3, 10, 12);

function viewOf(stretch: Partial<PeriodicSpec>, maxDelay: number | null = null): View {
  return buildView({
    inputs: [{ name: 'x' }],
    maxDelay,
    readDelay: MINUTE,
    periodic: [{ aggregation: 'count', input: 0, times: 2, from: -10 * MINUTE, to: 10 * MINUTE, ...stretch }],
  });
}

function read(
  view: View,
  times: readonly number[],
  time: number,
  zone: string | null,
  frontier = time,
): number {
  const contributions = times.map(
    (key): Contribution => ({
      offset: 0,
      time: key,
      at: view.at === null ? null : key,
      entity: 'e',
      values: [1],
    }),
  );
  const out = new Float64Array(1);
  const logs = logsOf(view, contributions, () => 1);
  const edge = asOf(view, time, frontier);
  expect(createReader(view).read(logs, { time, zone }, edge, NO_LIMITS, out, 0)).toBe('ok');
  return out[0] as number;
}

//            -2d              -1d               now
//  ........[--|--)..........[--|--).............|
//          from to            from  to
describe('a periodic feature', () => {
  it('counts the stretch around this time on each of the days before, its end left out', () => {
    const view = viewOf({});
    const inside = [T - DAY - 10 * MINUTE, T - DAY, T - DAY + 10 * MINUTE - 1, T - 2 * DAY];
    const outside = [T - DAY - 10 * MINUTE - 1, T - DAY + 10 * MINUTE, T - 3 * DAY, T - MINUTE];
    expect(read(view, [...inside, ...outside], T, null)).toBe(4);
    expect(read(view, [...inside, ...outside], T + 30_000, null)).toBe(4);
  });

  it('counts an event in two overlapping stretches once', () => {
    const view = viewOf({ from: -20 * HOUR, to: 20 * HOUR });
    expect(read(view, [T - DAY - 12 * HOUR, T - DAY + 3 * HOUR], T, null)).toBe(2);
  });

  it('is null until its last stretch has ended before the edge', () => {
    const view = viewOf({ from: 0, to: DAY - MINUTE });
    expect(read(view, [T - HOUR], T, null)).toBe(1);
    expect(read(view, [T - HOUR], T, null, T - MINUTE - 1)).toBeNaN();
    expect(read(viewOf({ from: 0, to: DAY }), [T - HOUR], T, null)).toBeNaN();
  });

  it('of a second time waits for its largest delay too', () => {
    const ending = (to: number) => viewOf({ from: 0, to }, 2 * HOUR);
    expect(read(ending(DAY - 2 * HOUR - MINUTE), [T - 5 * HOUR], T, null)).toBe(1);
    expect(read(ending(DAY - 2 * HOUR), [T - 5 * HOUR], T, null)).toBeNaN();
  });

  it('follows the local clock over a change of summer time', () => {
    const view = viewOf({ times: 1 });
    // New York, 1 April 2001: from UTC-5 to UTC-4. Noon there was 17:00Z the day before, and is 16:00Z.
    const noon = Date.UTC(2001, 3, 1, 16);
    const local = Date.UTC(2001, 2, 31, 17);
    expect(read(view, [local, local - HOUR], noon, 'America/New_York')).toBe(1);
    expect(read(view, [local], noon, 'America/New_York')).toBe(1);
    expect(read(view, [local], noon, null)).toBe(0);
  });

  it('is null for a zone that is none', () => {
    expect(read(viewOf({}), [T - DAY], T, 'No/Such_Zone')).toBeNaN();
  });

  it('is refused where the state does not reach back to its first stretch', () => {
    const view = viewOf({});
    const limits = { oldestExactHead: Number.NEGATIVE_INFINITY, base: T - DAY };
    const reader = createReader(view);
    const edge = asOf(view, T, T);
    expect(reader.read([null], { time: T, zone: null }, edge, limits, new Float64Array(1), 0)).toBe('behind');
  });

  it('is refused where compaction may have dropped its first stretch', () => {
    const view = viewOf({});
    const [set] = view.sets;
    const edge = asOf(view, T, T);
    const first = T - 2 * DAY - 10 * MINUTE;
    const short: View = { ...view, sets: set === undefined ? [] : [{ ...set, reach: DAY }] };
    const limits = { oldestExactHead: first + DAY, base: Number.NEGATIVE_INFINITY };
    const read = (oldestExactHead: number) =>
      createReader(short).read(
        [null],
        { time: T, zone: null },
        edge,
        { ...limits, oldestExactHead },
        new Float64Array(1),
        0,
      );
    expect(read(first + DAY)).toBe('ok');
    expect(read(first + DAY + MINUTE)).toBe('behind');
  });
});
