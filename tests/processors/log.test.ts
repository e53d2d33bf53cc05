import { describe, expect, it } from 'vitest';
import { CorruptState, UnknownStateFormat } from '../../processors/bytes.ts';
import { compactLog } from '../../processors/compact.ts';
import { Folder } from '../../processors/fold.ts';
import { logInfo, wantsCompaction } from '../../processors/log-layout.ts';
import { asOf, createReader, NO_LIMITS } from '../../processors/read.ts';
import { ViewState } from '../../processors/state.ts';
import type { Contribution } from '../../schemas/records/block.ts';
import type { TileSet, View } from '../../schemas/view.ts';
import { buildView } from './build-view.ts';
import { logsOf, readLogs } from './harness.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const T = Date.UTC(2001, 3, 1, 12);

const view = buildView({
  inputs: [{ name: 'late' }, { name: 'delay' }],
  windows: [
    { aggregation: 'share', input: 0, length: HOUR },
    { aggregation: 'stddev', input: 1, length: 6 * HOUR },
    { aggregation: 'last', input: 1, length: 24 * HOUR },
  ],
});
const set = view.sets[0] as TileSet;

function at(time: number, values: Array<number | null>, entity = 'ORD'): Contribution {
  return { offset: 0, time, at: null, entity, values };
}

function logOf(contributions: readonly Contribution[], of: View = view): Uint8Array {
  return logsOf(of, contributions, () => 1)[0] ?? new Uint8Array(0);
}

describe('a log', () => {
  it('of one event is a few bytes', () => {
    expect(logOf([at(T + 5_000, [1, 12])]).length).toBeLessThanOrEqual(9);
    expect(logOf([at(T + 5_000, [null, 12])]).length).toBeLessThanOrEqual(9);
    const minutes = Array.from({ length: 60 }, (_, k) => at(T + k * MINUTE, [1, 12]));
    const compacted = compactLog(view, set, logOf(minutes), T) as Uint8Array;
    expect(compacted.length / 60).toBeLessThan(5);
  });

  it('begins with its oldest exact head, which never falls', () => {
    const log = logOf([at(T, [1, 12])]);
    expect(logInfo(log)).toEqual({ oldestExactHead: Number.NEGATIVE_INFINITY, compactedBytes: 0 });
    const once = compactLog(view, set, log, T - HOUR) as Uint8Array;
    expect(logInfo(once)).toEqual({ oldestExactHead: T - HOUR, compactedBytes: once.length });
    const again = compactLog(view, set, once, T - 2 * HOUR) as Uint8Array;
    expect(logInfo(again).oldestExactHead).toBe(T - HOUR);
    const open = compactLog(view, set, log, Number.NEGATIVE_INFINITY) as Uint8Array;
    expect(logInfo(open)).toEqual({ oldestExactHead: Number.NEGATIVE_INFINITY, compactedBytes: open.length });
  });

  it('of times before 1970 reads the same', () => {
    const time = -5 * HOUR;
    const log = logOf([at(time - MINUTE, [1, 3]), at(time - 3 * MINUTE, [0, 5])]);
    const compacted = compactLog(view, set, log, time) as Uint8Array;
    const edge = asOf(view, time + MINUTE, time + MINUTE);
    for (const one of [log, compacted])
      expect(readLogs(view, [one], { time, zone: null }, edge)).toEqual([0.5, 1, 3]);
  });

  it('is nothing once no read can reach its tiles', () => {
    const log = logOf([at(T, [1, 12])]);
    const day = 24 * HOUR;
    // The day's window moves by the hour: [tail, head) with tail = floor(head - 24h, 1h).
    expect(compactLog(view, set, log, T + day + HOUR - MINUTE)).not.toBeNull();
    expect(compactLog(view, set, log, T + day + HOUR)).toBeNull();
  });

  it('is worth compacting when twice its last compaction, and a little', () => {
    expect(wantsCompaction(100, 0)).toBe(false);
    expect(wantsCompaction(1_000, 0)).toBe(true);
    expect(wantsCompaction(5_000, 2_400)).toBe(false);
    expect(wantsCompaction(5_500, 2_400)).toBe(true);
  });

  it('moves closed tiles up the ladder, so that a busy day stays small', () => {
    const minutes = Array.from({ length: 24 * 60 }, (_, k) => at(T + k * MINUTE, [k % 2, (k % 50) - 20]));
    const log = logOf(minutes);
    const compacted = compactLog(view, set, log, T + 24 * HOUR) as Uint8Array;
    // 60 tiles of 1m, 60 of 5m and 18 of 1h, against 1,440.
    expect(log.length).toBeGreaterThan(5_000);
    expect(compacted.length).toBeLessThan(1_200);
  });

  it('in a format of another version is refused, not guessed at', () => {
    const log = logOf([at(T, [1, 12])]);
    const reader = createReader(view);
    const out = new Float64Array(view.features.length);
    for (const first of [0x00, 0x12, 0x32, 0x51, 0xff]) {
      const other = log.slice();
      other[0] = first;
      expect(() => logInfo(other)).toThrow(UnknownStateFormat);
      expect(() => compactLog(view, set, other, T)).toThrow(UnknownStateFormat);
      const edge = asOf(view, T + HOUR, T + HOUR);
      expect(() => reader.read([other], { time: T, zone: null }, edge, NO_LIMITS, out, 0)).toThrow(
        UnknownStateFormat,
      );
    }
  });

  it('cut short anywhere is refused, or is the log of fewer chunks', () => {
    const sketched = buildView({
      inputs: [{ name: 'a' }, { name: 'b' }],
      windows: [
        { aggregation: 'distinct', input: 0, length: HOUR },
        { aggregation: 'quantile', input: 1, length: HOUR },
      ],
    });
    for (const one of [view, sketched]) {
      const tileSet = one.sets[0] as TileSet;
      const events = Array.from({ length: 40 }, (_, k) => at(T + k * 97_000, [k * 1e14, k * 300 - 2_000]));
      const whole = compactLog(one, tileSet, logOf(events, one), T) as Uint8Array;
      const reader = createReader(one);
      const out = new Float64Array(one.features.length);
      const edge = asOf(one, T + 2 * HOUR, T + 2 * HOUR);
      for (let length = 1; length < whole.length; length += 1)
        expect(() =>
          reader.read([whole.subarray(0, length)], { time: T, zone: null }, edge, NO_LIMITS, out, 0),
        ).toThrow(CorruptState);
      expect(reader.read([whole], { time: T, zone: null }, edge, NO_LIMITS, out, 0)).toBe('ok');
    }
  });

  it('keeps sums beyond 2^53 in two limbs', () => {
    const limbs = buildView({
      inputs: [{ name: 'x' }],
      windows: [{ aggregation: 'variance', input: 0, length: HOUR, limbs: true }],
    });
    const x = 2 ** 35;
    const events = Array.from({ length: 50 }, (_, k) => at(T, [x + k]));
    const edge = asOf(limbs, T + 2 * MINUTE, T + HOUR);
    const logs = logsOf(limbs, events, () => 0);
    expect(readLogs(limbs, logs, { time: T, zone: null }, edge)).toEqual([(50 ** 2 - 1) / 12]);
  });
});

describe('a folder', () => {
  it('writes one chunk an entity and set, and begins anew', () => {
    const folder = new Folder(view);
    folder.add(at(T, [1, 5]));
    folder.add(at(T + MINUTE, [1, 5]));
    folder.add(at(T, [0, 7], 'LGA'));
    // An event whose inputs are all null makes no tile, though its entity counts for the size of the batch.
    folder.add(at(T, [null, null], 'JFK'));
    expect(folder.entities).toBe(3);
    expect(folder.drain().map(({ set: index, entity }) => [index, entity])).toEqual([
      [0, 'ORD'],
      [0, 'LGA'],
    ]);
    expect(folder.entities).toBe(0);
    expect(folder.drain()).toEqual([]);
  });

  it('takes as many entities and tiles as come', () => {
    const folder = new Folder(view);
    for (let k = 0; k < 5_000; k += 1) folder.add(at(T + (k % 7) * MINUTE, [1, k % 100], `E${k % 1_111}`));
    const partials = folder.drain();
    expect(partials.length).toBe(1_111);
    const edge = asOf(view, T + HOUR, T + HOUR);
    const total = partials.reduce((sum, { bytes }) => {
      const [share] = readLogs(view, [bytes], { time: T, zone: null }, edge);
      return sum + (share ?? 0);
    }, 0);
    expect(total).toBe(1_111);
  });
});

describe('state in memory', () => {
  it('never promises an older edge again than it was pruned to', () => {
    const state = new ViewState(view);
    state.apply(at(T, [1, 5]));
    state.prune(T);
    state.prune(T - HOUR);
    const out = new Float64Array(view.features.length);
    const read = (frontier: number) =>
      state.read('ORD', { time: T, zone: null }, asOf(view, T + HOUR, frontier), out, 0);
    expect(read(T)).toBe('ok');
    expect(read(T - 1)).toBe('behind');
    for (const { bytes } of state.encode(T - HOUR)) expect(logInfo(bytes).oldestExactHead).toBe(T);
  });
});
