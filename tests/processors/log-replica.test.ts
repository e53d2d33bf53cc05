import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Folder } from '../../processors/fold.ts';
import { LogReplica } from '../../processors/log-replica.ts';
import { freshMeta } from '../../processors/meta.ts';
import { asOf, createReader, NO_LIMITS } from '../../processors/read.ts';
import { buildView } from './build-view.ts';
import { append, dice, expectSameBits, type Logs } from './harness.ts';
import { AROUND, contributionsOf, historyOf, spanOf, viewSpecs, ZONES } from './random-views.ts';

describe('logs that grow in memory', () => {
  it('law: read as a scan of all that was ever appended, to the bit, however they were compacted or taken whole', () => {
    let read = 0;
    fc.assert(
      fc.property(viewSpecs, fc.nat(120), fc.integer(), (spec, count, seed) => {
        const view = buildView(spec);
        const next = dice(seed);
        const folder = new Folder(view);
        const reader = createReader(view);
        let replica = new LogReplica(view);
        const logs: Logs = view.sets.map(() => null);
        for (const contribution of contributionsOf(view, historyOf(view, count, next, AROUND, AROUND))) {
          folder.add({ ...contribution, entity: 'a' });
          if (next() < 0.5) continue;
          for (const { set, entity, bytes } of folder.drain()) {
            append(logs, set, bytes);
            replica.append(set, entity, bytes);
          }
          const frontier = AROUND - Math.floor(next() * spanOf(view));
          if (next() < 0.3) replica.compact({ ...freshMeta('', 0, false), frontier });
          if (next() < 0.1) {
            // As after a restart: what the store holds, whole.
            replica = new LogReplica(view);
            for (const [set, log] of logs.entries()) if (log !== null) replica.put(set, 'a', log);
          }
          const time = AROUND - Math.floor(next() ** 4 * spanOf(view));
          const request = { time, zone: ZONES[Math.floor(next() * ZONES.length)] ?? null };
          const edge = asOf(view, time, AROUND);
          const [got, wanted] = [replica.logs('a'), logs].map((ones) => {
            const out = new Float64Array(view.features.length).fill(12_345);
            return { status: reader.read(ones, request, edge, NO_LIMITS, out, 0), values: [...out] };
          }) as [{ status: string; values: number[] }, { status: string; values: number[] }];
          // What was compacted away is refused, never answered otherwise.
          if (got.status === 'behind') continue;
          read += 1;
          expectSameBits(view, got.values, wanted.values);
        }
      }),
      { numRuns: 150 },
    );
    expect(read).toBeGreaterThan(1_000);
  });

  it('an entity that was never seen has no logs', () => {
    const view = buildView({
      inputs: [{ name: 'x' }],
      windows: [{ aggregation: 'sum', input: 0, length: 3_600_000 }],
    });
    expect(new LogReplica(view).logs('nobody')).toEqual([]);
  });
});
