import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { trialsOf, valueAt } from '../../../models/tuning/space.ts';
import type { SearchDimension, SearchSpace } from '../../../schemas/search.ts';

const unit = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const space = (parameters: Record<string, SearchDimension>, seed = 1): SearchSpace => ({
  parameters,
  trials: 64,
  seed,
  budget: 1_000,
  eta: 3,
  minShare: 0.1,
});

describe('a search space', () => {
  it('gives values within their range, whole ones whole, rising with the point', () => {
    const range = fc
      .tuple(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 500 }), fc.boolean(), fc.boolean())
      .map(
        ([low, more, log, whole]): SearchDimension => ({
          kind: whole ? 'whole' : 'real',
          low,
          high: low + more,
          log,
        }),
      );
    fc.assert(
      fc.property(range, unit, unit, (dimension, a, b) => {
        if (dimension.kind === 'choice') return;
        const [x, y] = [Math.min(a, b), Math.max(a, b)].map((u) => valueAt(dimension, u) as number);
        expect(x).toBeGreaterThanOrEqual(dimension.low);
        expect(y).toBeLessThanOrEqual(dimension.high);
        expect(x).toBeLessThanOrEqual(y as number);
        if (dimension.kind === 'whole') expect(Number.isSafeInteger(x)).toBe(true);
      }),
    );
  });

  it('searches a logarithmic range evenly by factors, and gives every whole number and choice its turn', () => {
    const trial = trialsOf(
      space({
        rate: { kind: 'real', low: 1e-4, high: 1, log: true },
        depth: { kind: 'whole', low: 2, high: 5, log: false },
        hidden: { kind: 'choice', values: [[8], [16], [32, 16]] },
      }),
    );
    const trials = Array.from({ length: 64 }, (_, i) => trial(i));
    const rates = trials.map(({ rate }) => rate as number);
    for (const [from, to] of [
      [1e-4, 1e-3],
      [1e-3, 1e-2],
      [1e-2, 1e-1],
      [1e-1, 1],
    ] as const)
      expect(rates.filter((rate) => rate >= from && rate < to)).toHaveLength(16);
    for (const depth of [2, 3, 4, 5]) expect(trials.filter((one) => one.depth === depth).length).toBe(16);
    const choices = trials.map(({ hidden }) => JSON.stringify(hidden));
    expect(new Set(choices)).toEqual(new Set(['[8]', '[16]', '[32,16]']));
  });

  it('gives the same trials for the same seed, whatever order the file has them in', () => {
    const rate: SearchDimension = { kind: 'real', low: 0, high: 1, log: false };
    const depth: SearchDimension = { kind: 'whole', low: 1, high: 9, log: false };
    const one = trialsOf(space({ rate, depth }));
    const other = trialsOf(space({ depth, rate }));
    for (let i = 0; i < 20; i += 1) expect(one(i)).toEqual(other(i));
    expect(trialsOf(space({ rate, depth }, 2))(3)).not.toEqual(one(3));
    expect(trialsOf(space({}))(5)).toEqual({});
  });
});
