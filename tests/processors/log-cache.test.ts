import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CorruptState } from '../../processors/bytes.ts';
import { compactLog } from '../../processors/compact.ts';
import type { Log } from '../../processors/decoded-log.ts';
import { Folder } from '../../processors/fold.ts';
import { LogCache } from '../../processors/log-cache.ts';
import { asOf, createReader, NO_LIMITS } from '../../processors/read.ts';
import type { Contribution } from '../../schemas/records/block.ts';
import type { TileSet, View } from '../../schemas/view.ts';
import { buildView } from './build-view.ts';
import { append, dice, expectSameBits, type Logs } from './harness.ts';
import { AROUND, contributionsOf, historyOf, spanOf, viewSpecs, ZONES } from './random-views.ts';

const HOUR = 3_600_000;

/** Reads a view's logs through the cache and by a scan, and holds one against the other. */
function compareReads(view: View, logs: Logs, cache: LogCache, key: string, next: () => number): boolean {
  const reader = createReader(view);
  const time = AROUND - Math.floor(next() ** 4 * spanOf(view));
  const request = { time, zone: ZONES[Math.floor(next() * ZONES.length)] ?? null };
  const edge = asOf(view, time, AROUND);
  const kept = view.sets.map((set, k): Log | null => {
    const log = logs[k] ?? null;
    return log === null ? null : cache.see(`${key}${k}`, set, log);
  });
  const [fromHeld, scanned] = [kept, logs].map((ones) => {
    const out = new Float64Array(view.features.length).fill(12_345);
    return { status: reader.read(ones, request, edge, NO_LIMITS, out, 0), values: [...out] };
  }) as [{ status: string; values: number[] }, { status: string; values: number[] }];
  expect(fromHeld.status).toBe(scanned.status);
  expectSameBits(view, fromHeld.values, scanned.values);
  return kept.some((log) => log !== null && !(log instanceof Uint8Array));
}

function compacted(view: View, logs: Logs, oldest: number): Logs {
  return view.sets.map((set, k) => {
    const log = logs[k] ?? null;
    return log === null ? null : compactLog(view, set, log, oldest);
  });
}

describe('a cache of logs', () => {
  it('law: read as a scan does, to the bit, while they grow, are compacted, roll back and are dropped', () => {
    let fromTiles = 0;
    fc.assert(
      fc.property(viewSpecs, fc.nat(80), fc.integer(), (spec, count, seed) => {
        const view = buildView(spec);
        const next = dice(seed);
        const cache = new LogCache({ shortest: 0, maxBytes: next() < 0.3 ? 2_000 : 1e9 });
        const folder = new Folder(view);
        let logs: Logs = view.sets.map(() => null);
        let before: Logs = logs;
        for (const contribution of contributionsOf(view, historyOf(view, count, next, AROUND, AROUND))) {
          folder.add(contribution);
          if (next() < 0.6) continue;
          if (next() < 0.2) before = [...logs];
          for (const { set, bytes } of folder.drain()) append(logs, set, bytes);
          if (next() < 0.1) logs = compacted(view, logs, AROUND - Math.floor(next() * spanOf(view)));
          else if (next() < 0.05) logs = [...before];
          for (const entity of next() < 0.3 ? ['a', 'b'] : ['a'])
            if (compareReads(view, logs, cache, entity, next)) fromTiles += 1;
        }
      }),
      { numRuns: 120 },
    );
    expect(fromTiles).toBeGreaterThan(300);
  });

  const view = buildView({
    inputs: [{ name: 'x' }],
    windows: [
      { aggregation: 'sum', input: 0, length: HOUR },
      { aggregation: 'max', input: 0, length: HOUR },
    ],
  });
  const set = view.sets[0] as TileSet;
  const logOf = (values: readonly number[]): Uint8Array => {
    const folder = new Folder(view);
    const logs: Logs = [null];
    for (const [k, value] of values.entries()) {
      folder.add({
        offset: k,
        time: AROUND - k * 60_000,
        at: null,
        entity: 'e',
        values: [value],
      } as Contribution);
      for (const { bytes } of folder.drain()) append(logs, 0, bytes);
    }
    return logs[0] as Uint8Array;
  };

  it('are decoded when they are met again, and scanned where a sum over all would not be exact', () => {
    const cache = new LogCache({ shortest: 0 });
    const small = logOf([1, 2, 3]);
    expect(cache.see('a', set, small)).toBe(small);
    expect(cache.see('a', set, small)).not.toBe(small);
    const large = logOf([2 ** 52, 2 ** 52, 2 ** 52]);
    cache.see('b', set, large);
    expect(cache.see('b', set, large)).toBe(large);
  });

  it('take no more than their bound, the longest unused first', () => {
    const cache = new LogCache({ shortest: 0, maxBytes: 20_000 });
    const log = logOf(Array.from({ length: 20 }, (_, k) => k));
    for (let k = 0; k < 1_000; k += 1) {
      cache.see(`k${k}`, set, log);
      cache.see('often', set, log);
      expect(cache.bytes).toBeLessThanOrEqual(20_000);
    }
    expect(cache.see('often', set, log)).not.toBe(log);
    expect(cache.see('k0', set, log)).toBe(log);
  });

  it('that are cut short are refused, and read again once they are whole', () => {
    const cache = new LogCache({ shortest: 0 });
    const log = logOf([500, 600, 700]);
    cache.see('a', set, log);
    expect(() => cache.see('a', set, log.subarray(0, log.length - 1))).toThrow(CorruptState);
    expect(cache.see('a', set, log)).not.toBe(log);
  });
});
