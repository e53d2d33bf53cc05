import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cellOf, discreteBinning, groupCounts, nextUp } from '../../../models/drift/binning.ts';
import { compareWindows, driftOf } from '../../../models/drift/compare.ts';
import {
  mergeColumns,
  referenceOf,
  summariseNumbers,
  summariseWords,
} from '../../../models/drift/summary.ts';
import type { ColumnSummary, Comparison } from '../../../models/drift/types.ts';
import { createRandom } from '../../../models/random.ts';
import { scipy } from './fixtures/scipy.ts';
import {
  ksOfSamples,
  learnBinning,
  learnCategories,
  presentSorted,
  wassersteinOfSamples,
} from './samples.ts';

const number = fc.oneof(
  fc.double({ min: -1e6, max: 1e6, noNaN: true }),
  fc.integer({ min: -3, max: 3 }),
  fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, -0, 1e300, 5e-324),
);
const numbers = fc.array(number, { maxLength: 120 });
const word = fc.constantFrom('a', 'b', 'c', '', '__proto__', 'constructor', null);
const words = fc.array(word, { maxLength: 60 });

function expectNoNaN(comparison: Comparison): void {
  const walk = (value: unknown): void => {
    if (typeof value === 'number') expect(Number.isNaN(value)).toBe(false);
    else if (typeof value === 'object' && value !== null) Object.values(value).forEach(walk);
  };
  walk(comparison);
}

describe('cells', () => {
  it('hold every value once; a value is in the cell whose edges surround it', () => {
    fc.assert(
      fc.property(numbers, numbers, (learnt, counted) => {
        const binning = learnBinning(learnt);
        const { edges, groups } = binning;
        expect(groups.length).toBe(edges.length + 1);
        edges.forEach((edge, i) => {
          if (i > 0) expect(edge).toBeGreaterThan(edges[i - 1] ?? Number.NaN);
        });
        for (const value of presentSorted(counted)) {
          const cell = cellOf(binning, value);
          expect(value).toBeGreaterThanOrEqual(edges[cell - 1] ?? Number.NEGATIVE_INFINITY);
          expect(value).toBeLessThan(edges[cell] ?? Number.POSITIVE_INFINITY);
        }
        const summary = summariseNumbers(counted, binning);
        const total = summary.counts.reduce((sum, n) => sum + n, 0);
        expect(total + summary.missing).toBe(counted.length);
      }),
    );
  });

  it('a hundred of one per cent, ten groups, for what has no ties', () => {
    const binning = learnBinning(Array.from({ length: 10_000 }, (_, i) => i));
    const { counts } = summariseNumbers(
      Array.from({ length: 10_000 }, (_, i) => i),
      binning,
    );
    // floor(0.29 * 10,000) is 2,899.
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(99);
    expect(Math.max(...counts)).toBeLessThanOrEqual(101);
    expect(groupCounts(binning, counts)).toEqual(new Array(10).fill(1_000));
  });

  it('a value that many rows share has a cell and a group of its own', () => {
    const random = createRandom(1);
    const values = Array.from({ length: 5_000 }, () => (random.next() < 0.45 ? 0 : random.normal()));
    const binning = learnBinning(values);
    expect(binning.discrete).toBe(false);
    const zero = cellOf(binning, 0);
    expect(cellOf(binning, nextUp(0))).toBe(zero + 1);
    expect(cellOf(binning, -1e-9)).toBe(zero - 1);
    const group = binning.groups[zero];
    expect(binning.groups.filter((other) => other === group).length).toBe(1);
  });

  it('few values: a cell and a group each, and one group for all that lies between', () => {
    const binning = learnBinning([3, 1, 1, 2, Number.NaN, -0]);
    expect(binning).toEqual(discreteBinning([0, 1, 2, 3]));
    expect(groupCounts(binning, summariseNumbers([0, 0, 1, 3, 1.5, 99, -7], binning).counts)).toEqual([
      2, 1, 0, 1, 3,
    ]);
    expect(discreteBinning([5e-324, 0]).edges).toEqual([0, 5e-324, 1e-323]);
  });

  it('the double after', () => {
    expect(nextUp(1)).toBe(1 + Number.EPSILON);
    expect(nextUp(-1)).toBe(-1 + Number.EPSILON / 2);
    expect(nextUp(0)).toBe(5e-324);
    expect(Object.is(nextUp(-5e-324), 0)).toBe(true);
  });
});

describe('summaries', () => {
  it('law: merged windows are the summary of all their rows', () => {
    fc.assert(
      fc.property(numbers, numbers, (x, y) => {
        const binning = learnBinning(x);
        const merged = mergeColumns(summariseNumbers(x, binning), summariseNumbers(y, binning));
        const whole = summariseNumbers([...x, ...y], binning);
        if (merged.kind !== 'numeric') throw new Error('numbers');
        const { mean, m2, sums, ...exact } = merged;
        expect(whole).toMatchObject(exact);
        expect(mean).toBeCloseTo(whole.mean, 6);
        expect(Math.abs(m2 - whole.m2)).toBeLessThanOrEqual(1e-9 * Math.max(1, whole.m2));
        sums.forEach((sum, i) => void expect(sum).toBeCloseTo(whole.sums[i] ?? 0, 5));
      }),
    );
    fc.assert(
      fc.property(words, words, (x, y) => {
        const kept = learnCategories(x);
        const merged = mergeColumns(summariseWords(x, kept), summariseWords(y, kept));
        expect(merged).toEqual(summariseWords([...x, ...y], kept));
      }),
    );
  });

  it('what was counted differently is neither merged nor compared', () => {
    const [a, b] = [summariseNumbers([1, 2], learnBinning([1, 2])), summariseNumbers([1], learnBinning([1]))];
    expect(() => mergeColumns(a, b)).toThrow(/different cells/);
    expect(() => driftOf(a, b)).toThrow(/different cells/);
    expect(() => driftOf(a, summariseWords(['x'], []))).toThrow(/category/);
    expect(() => mergeColumns(a, summariseWords(['x'], []))).toThrow(/category/);
    expect(() => referenceOf([])).toThrow(/no window/);
  });
});

describe('comparing', () => {
  const compare = (before: number[], after: number[]) => {
    const binning = learnBinning(before);
    return driftOf(summariseNumbers(before, binning), summariseNumbers(after, binning));
  };

  it('never NaN, never a throw, whatever the windows hold; a window with itself is no drift', () => {
    fc.assert(
      fc.property(numbers, numbers, (x, y) => {
        expectNoNaN(compare(x, y));
        const same = compare(x, x);
        if (x.length > 0) expect(same).toMatchObject({ psi: 0, js: 0 });
        expect([null, 0]).toContain(same.ks);
        expect([null, 0]).toContain(same.wasserstein);
        expect([null, 1]).toContain(same.ksP);
        expect(same.chiSquared?.p ?? 1).toBe(1);
        expect([null, 0]).toContain(same.unseenShare);
      }),
    );
    fc.assert(
      fc.property(words, words, (x, y) => {
        const kept = learnCategories(x);
        expectNoNaN(driftOf(summariseWords(x, kept), summariseWords(y, kept)));
        const same = driftOf(summariseWords(x, kept), summariseWords(x, kept));
        if (x.length > 0) expect(same).toMatchObject({ psi: 0, js: 0, unseenShare: 0 });
      }),
    );
  });

  it('law: at cells, KS is no more than the exact one, and 2 % of the rows less at most', () => {
    const sample = fc.array(fc.double({ min: -100, max: 100, noNaN: true }), {
      minLength: 60,
      maxLength: 200,
    });
    fc.assert(
      fc.property(sample, sample, (x, y) => {
        const found = compare(x, y);
        const exact = ksOfSamples(presentSorted(x), presentSorted(y));
        expect(found.ks).toBeLessThanOrEqual(exact + 1e-12);
        // Besides a cell's own share, that of the current window in it.
        const after = summariseNumbers(y, learnBinning(x));
        const fullest = Math.max(...after.counts) / y.length;
        expect(found.ks).toBeGreaterThanOrEqual(exact - Math.max(2 / 60, fullest) - 1e-12);
      }),
      { numRuns: 50 },
    );
  });

  it('few values: KS and Wasserstein are exact', () => {
    const few = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 80 });
    fc.assert(
      fc.property(few, few, (x, y) => {
        const found = compare(x, y);
        const [a, b] = [presentSorted(x), presentSorted(y)];
        // A value never seen shares a cell with what lies beside it, but stands where it is.
        if (y.every((value) => x.includes(value))) {
          expect(found.ks).toBeCloseTo(ksOfSamples(a, b), 12);
          expect(found.wasserstein).toBeCloseTo(wassersteinOfSamples(a, b), 10);
        }
      }),
    );
  });

  for (const one of scipy.samples)
    it(`as scipy has it, to what a hundred cells can tell: ${one.name}`, () => {
      const found = compare([...one.reference], [...one.current]);
      expect(Math.abs((found.ks ?? 0) - one.ks)).toBeLessThanOrEqual(0.03);
      expect(Math.abs((found.wasserstein ?? 0) - one.wasserstein)).toBeLessThanOrEqual(
        0.03 * Math.max(one.deviation, one.wasserstein),
      );
      if (one.deviation > 0)
        expect(found.wassersteinScaled).toBeCloseTo((found.wasserstein ?? 0) / one.deviation, 9);
      else expect(found.wassersteinScaled).toBeNull();
    });

  it('one glitch of 1e9 in 10,000 rows moves the distance by 1e5, not by half a cell of 1e9', () => {
    const values = Array.from({ length: 10_000 }, (_, i) => i / 10_000);
    const found = compare(values, [...values.slice(1), 1e9]);
    expect(found.wasserstein).toBeGreaterThan(0.99e5);
    expect(found.wasserstein).toBeLessThan(1.01e5);
  });

  it('says what is special about a window', () => {
    const wide = Array.from({ length: 100 }, (_, i) => i);
    const none = [Number.NaN, Number.NaN];
    expect(compare([], wide)).toMatchObject({
      status: 'too_few',
      psi: null,
      referenceRows: 0,
      currentRows: 100,
    });
    expect(compare(wide, [])).toMatchObject({ status: 'too_few', ks: null, missing: null });
    expect(compare(wide, none)).toMatchObject({ status: 'all_missing', ks: null, wasserstein: null });
    expect(compare(wide, none).psi).toBeGreaterThan(5);
    expect(compare(none, wide)).toMatchObject({ status: 'no_reference_values', ks: null });
    expect(compare(none, none)).toMatchObject({ status: 'constant', psi: 0 });
    expect(compare([7, 7], [7])).toMatchObject({ status: 'constant', ks: 0, wasserstein: 0 });
    expect(compare([7, 7], [8])).toMatchObject({ status: 'compared', ks: 1, wasserstein: 1, unseenShare: 1 });
    expect(compare(wide, [5, 5, 5])).toMatchObject({ status: 'stuck' });
    expect(compare(wide, [5])).toMatchObject({ status: 'compared' });
  });

  it('a renamed category is a new one, and one that nobody sees any more', () => {
    const before = Array.from({ length: 300 }, (_, i) => ['AA', 'UA', 'DL'][i % 3] ?? '');
    const kept = learnCategories(before);
    const after = before.map((carrier) => (carrier === 'UA' ? 'United' : carrier));
    const found = driftOf(summariseWords(before, kept), summariseWords(after, kept));
    expect(found.unseenShare).toBeCloseTo(1 / 3, 12);
    expect(found.psi).toBeGreaterThan(4);
    expect(found.ks).toBeNull();
    const same = driftOf(summariseWords(before, kept), summariseWords(before, kept));
    expect(same).toMatchObject({ psi: 0, unseenShare: 0, status: 'compared' });
    expect(driftOf(summariseWords(before, kept), summariseWords(['AA', 'AA'], kept)).status).toBe('stuck');
  });

  it('a column that the other window has not is empty there', () => {
    const columns: Record<string, ColumnSummary> = { a: summariseNumbers([1, 2], learnBinning([1, 2])) };
    const found = compareWindows({ from: 0, to: 1, columns }, { from: 1, to: 2, columns: {} });
    expect(found.a?.status).toBe('too_few');
    expect(compareWindows({ from: 0, to: 1, columns }, { from: 1, to: 2, columns }, 3).a?.status).toBe(
      'too_few',
    );
  });
});

describe('a column of more categories than are kept', () => {
  const cards = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `c_${from + i}`);

  // 1,000 cards of which 256 are kept: the others are three quarters of any day, and none of them is new.
  it('has no share of values never seen, as the rest of them may be well known', () => {
    const known = cards(0, 1_000);
    const kept = learnCategories(known);
    const compared = driftOf(summariseWords(known, kept), summariseWords(cards(500, 1_500), kept));
    expect(compared).toMatchObject({ status: 'compared', unseen: null, unseenShare: null });
    expect(compared.psi).toBeGreaterThan(0);
    const few = learnCategories(cards(0, 200));
    const other = driftOf(summariseWords(cards(0, 200), few), summariseWords(cards(100, 300), few));
    expect(other.unseenShare).toBe(0.5);
  });
});
