import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CorruptState } from '../../processors/bytes.ts';
import { layoutOf } from '../../processors/columns.ts';
import { compactLog } from '../../processors/compact.ts';
import { compileScan } from '../../processors/compile-scan.ts';
import { Cuts, scanNumeric } from '../../processors/scan.ts';
import { levelsOf } from '../../processors/window.ts';
import type { TileSet } from '../../schemas/view.ts';
import { buildView } from './build-view.ts';
import { dice, logsOf } from './harness.ts';
import { AROUND, contributionsOf, historyOf, viewSpecs } from './random-views.ts';

/** The rows of a numeric set's log, cut at random, by the plain and the generated reader. */
function bothWays(set: TileSet, log: Uint8Array, next: () => number): [Float64Array, Float64Array] {
  const layout = layoutOf(set.columns);
  const cuts = new Cuts(8);
  const edges = Float64Array.from({ length: 8 }, () => AROUND - next() ** 4 * set.reach);
  cuts.set(edges, 8);
  const blank = new Float64Array(10 * layout.width);
  for (let row = 0; row < 10; row += 1) blank.set(layout.empty, row * layout.width);
  const plain = blank.slice();
  const made = blank.slice();
  scanNumeric(log, levelsOf(set), layout, cuts, plain);
  compileScan(layout)(log, levelsOf(set), cuts, made);
  return [plain, made];
}

describe('the reader that is generated for a layout', () => {
  it('adds up what the plain one does, and refuses what it refuses', () => {
    let compared = 0;
    fc.assert(
      fc.property(viewSpecs, fc.nat(60), fc.integer(), (spec, count, seed) => {
        const view = buildView(spec);
        const next = dice(seed);
        const contributions = contributionsOf(view, historyOf(view, count, next, AROUND, AROUND));
        const logs = logsOf(view, contributions, next);
        for (const [k, set] of view.sets.entries()) {
          const log = logs[k] ?? null;
          if (log === null || set.kind === 'sketches') continue;
          const compacted = compactLog(view, set, log, AROUND - Math.floor(next() * set.reach));
          for (const one of [log, compacted]) {
            if (one === null) continue;
            const [plain, made] = bothWays(set, one, next);
            expect(made).toEqual(plain);
            compared += 1;
          }
          if (compacted === null) continue;
          const cut = compacted.subarray(0, 1 + Math.floor(next() * (compacted.length - 1)));
          expect(() => bothWays(set, cut, next)).toThrow(CorruptState);
        }
      }),
      { numRuns: 150 },
    );
    expect(compared).toBeGreaterThan(100);
  });
});
