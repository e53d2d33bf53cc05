import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  jensenShannon,
  ksOfCounts,
  psi,
  type Weighted,
  wassersteinOfPoints,
} from '../../../models/drift/distances.ts';
import { benjaminiHochberg, chiSquared, ksP, twoProportions } from '../../../models/drift/significance.ts';
import { scipy } from './fixtures/scipy.ts';
import { ksOfSamples, wassersteinOfSamples } from './samples.ts';

const sorted = (values: readonly number[]) => Float64Array.from(values).sort();

describe('samples agree with scipy', () => {
  for (const one of scipy.samples)
    it(one.name, () => {
      const [a, b] = [sorted(one.reference), sorted(one.current)];
      expect(ksOfSamples(a, b)).toBeCloseTo(one.ks, 12);
      expect(wassersteinOfSamples(a, b)).toBeCloseTo(one.wasserstein, 10);
      expect(ksP(one.ks, a.length, b.length)).toBeCloseTo(one.ksLimitP, 11);
      // scipy's own two-sample p takes the exact distribution of one sample, of the rounded number of rows.
      if (one.ksAsymptoticP !== null)
        expect(ksP(one.ks, a.length, b.length)).toBeCloseTo(one.ksAsymptoticP, 1);
    });
});

describe('tables agree with scipy', () => {
  for (const one of scipy.tables)
    it(one.name, () => {
      expect(psi(one.reference, one.current)).toBeCloseTo(one.psi, 12);
      expect(jensenShannon(one.reference, one.current)).toBeCloseTo(one.js, 12);
      const { effect, ...test } = chiSquared(one.reference, one.current);
      expect(test.statistic).toBeCloseTo(one.chiSquared.statistic, 8);
      expect(test.degrees).toBe(one.chiSquared.degrees);
      expect(test.p).toBeCloseTo(one.chiSquared.p, 12);
      expect(effect).toBeLessThanOrEqual(1);
      const total = (counts: readonly number[]) => counts.reduce((sum, n) => sum + n, 0);
      const shares = twoProportions(
        one.reference[0] ?? 0,
        total(one.reference),
        one.current[0] ?? 0,
        total(one.current),
      );
      expect(shares.p).toBeCloseTo(one.twoProportions, 12);
    });

  it('false discovery', () => {
    for (const { p, q } of scipy.falseDiscovery)
      benjaminiHochberg(p).forEach((found, i) => void expect(found).toBeCloseTo(q[i] ?? -1, 12));
  });
});

const counts = (length: number) =>
  fc
    .array(fc.integer({ min: 0, max: 500 }), { minLength: length, maxLength: length })
    .filter((all) => all.some((n) => n > 0));
const pair = fc.integer({ min: 1, max: 12 }).chain((n) => fc.tuple(counts(n), counts(n)));
const values = fc.array(
  fc.integer({ min: -20, max: 20 }).map((n) => n / 4),
  { minLength: 1, maxLength: 40 },
);

describe('laws of the distances of counts', () => {
  it('never below 0, symmetric, 0 for equal shares', () => {
    fc.assert(
      fc.property(pair, fc.integer({ min: 1, max: 4 }), ([a, b], times) => {
        for (const distance of [psi, jensenShannon, ksOfCounts]) {
          const found = distance(a, b);
          expect(found).toBeGreaterThanOrEqual(0);
          expect(distance(b, a)).toBeCloseTo(found, 12);
          expect(
            distance(
              a,
              a.map((n) => n * times),
            ),
          ).toBe(0);
        }
        expect(jensenShannon(a, b)).toBeLessThanOrEqual(1);
        expect(ksOfCounts(a, b)).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('above 0 where shares differ (PSI: by more than its floor hides)', () => {
    fc.assert(
      fc.property(pair, ([a, b]) => {
        const [n, m] = [a, b].map((all) => all.reduce((sum, x) => sum + x, 0)) as [number, number];
        fc.pre(a.some((x, i) => x * m !== (b[i] ?? 0) * n));
        expect(jensenShannon(a, b)).toBeGreaterThan(0);
        expect(ksOfCounts(a, b)).toBeGreaterThan(0);
        expect(psi(a, b)).toBeGreaterThan(0);
      }),
    );
  });

  it('one group that empties is finite: its share times ln(share / floor), and more', () => {
    expect(psi([50, 50], [100, 0])).toBeCloseTo(0.5 * Math.log(2) + 0.4999 * Math.log(5_000), 10);
  });

  it('nothing to compare is refused', () => {
    for (const distance of [psi, jensenShannon, ksOfCounts, chiSquared]) {
      expect(() => distance([0, 0], [1, 2])).toThrow(RangeError);
      expect(() => distance([1], [1, 2])).toThrow(RangeError);
    }
  });
});

describe('laws of the distances of samples', () => {
  it('Wasserstein is a metric, and moves with the values', () => {
    fc.assert(
      fc.property(values, values, values, fc.integer({ min: -8, max: 8 }), (x, y, z, shift) => {
        const [a, b, c] = [sorted(x), sorted(y), sorted(z)];
        const w = wassersteinOfSamples;
        expect(w(a, a)).toBe(0);
        expect(w(a, b)).toBeCloseTo(w(b, a), 12);
        expect(w(a, c)).toBeLessThanOrEqual(w(a, b) + w(b, c) + 1e-9);
        expect(
          w(
            a,
            a.map((value) => value + shift),
          ),
        ).toBeCloseTo(Math.abs(shift), 9);
        const mean = (all: Float64Array) => all.reduce((sum, value) => sum + value, 0) / all.length;
        expect(w(a, b)).toBeGreaterThanOrEqual(Math.abs(mean(a) - mean(b)) - 1e-9);
      }),
    );
  });

  it('of points and of samples is one', () => {
    const points = (all: readonly number[]): Weighted[] => all.map((at) => ({ at, rows: 1 }));
    fc.assert(
      fc.property(values, values, (x, y) => {
        expect(wassersteinOfPoints(points(x), points(y))).toBeCloseTo(
          wassersteinOfSamples(sorted(x), sorted(y)),
          10,
        );
      }),
    );
  });

  it('KS is the naive largest difference of the cumulative shares', () => {
    fc.assert(
      fc.property(values, values, (x, y) => {
        const below = (all: readonly number[], at: number) => all.filter((v) => v <= at).length / all.length;
        const naive = Math.max(...[...x, ...y].map((at) => Math.abs(below(x, at) - below(y, at))));
        expect(ksOfSamples(sorted(x), sorted(y))).toBeCloseTo(naive, 12);
      }),
    );
  });
});

describe('tests of significance', () => {
  it('a category that neither sample holds is none, and rare ones are taken together', () => {
    const plain = chiSquared([100, 200], [80, 190]);
    expect(chiSquared([100, 0, 200], [80, 0, 190])).toEqual(plain);
    // Three rare categories, each expected less than 5 times, count as one.
    const { effect: _, ...rare } = chiSquared([100, 200, 1, 0, 1], [80, 190, 0, 1, 0]);
    const { effect: __, ...together } = chiSquared([100, 200, 2], [80, 190, 1]);
    expect(rare).toEqual(together);
    expect(chiSquared([7], [3])).toEqual({ statistic: 0, degrees: 0, p: 1, effect: 0 });
  });

  it('shares that are all or nothing are equal, with p = 1', () => {
    expect(twoProportions(0, 10, 0, 20)).toEqual({ reference: 0, current: 0, difference: 0, z: 0, p: 1 });
    expect(twoProportions(10, 10, 20, 20).p).toBe(1);
    expect(twoProportions(0, 1000, 1000, 1000).p).toBeLessThan(1e-300);
  });

  it('false discovery: q is at least p, rises with p, and does not depend on the order', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 30 }), (ps) => {
        const qs = benjaminiHochberg(ps);
        ps.forEach((p, i) => {
          expect(qs[i]).toBeGreaterThanOrEqual(p);
          expect(qs[i]).toBeLessThanOrEqual(1);
          ps.forEach((other, j) => {
            if (p < other) expect(qs[i]).toBeLessThanOrEqual(qs[j] ?? 1);
          });
        });
        expect(benjaminiHochberg([...ps].reverse())).toEqual([...qs].reverse());
      }),
    );
    expect(() => benjaminiHochberg([Number.NaN])).toThrow(RangeError);
  });
});
