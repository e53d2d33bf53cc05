import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkDataset, type Dataset, hashDataset, sampleRows } from '../../models/dataset.ts';
import { syntheticDataset } from './fixtures.ts';

/** The rows with these numbers, in this order. */
function selectRows(dataset: Dataset, chosen: Uint32Array): Dataset {
  const width = dataset.names.length;
  const rows = new Float64Array(chosen.length * width);
  chosen.forEach((row, at) => {
    rows.set(dataset.rows.subarray(row * width, (row + 1) * width), at * width);
  });
  return {
    names: dataset.names,
    rows,
    labels: Uint8Array.from(chosen, (row) => dataset.labels[row] as number),
    times: Float64Array.from(chosen, (row) => dataset.times[row] as number),
  };
}

const small: Dataset = {
  names: ['a', 'b'],
  rows: Float64Array.of(1, Number.NaN, 3, 0),
  labels: Uint8Array.of(0, 1),
  times: Float64Array.of(10, 20),
};

/** A null with other bits than the usual ones. */
function otherNull(): number {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setBigUint64(0, 0xfff8000000000001n);
  return bits.getFloat64(0);
}

describe('hash of a data set', () => {
  it('changes with any name, value, label or time, and with the order of rows', () => {
    const hash = hashDataset(small);
    expect(hashDataset({ ...small, rows: small.rows.slice() })).toBe(hash);
    expect(hashDataset({ ...small, names: ['a', 'c'] })).not.toBe(hash);
    expect(hashDataset({ ...small, labels: Uint8Array.of(1, 1) })).not.toBe(hash);
    expect(hashDataset({ ...small, times: Float64Array.of(10, 21) })).not.toBe(hash);
    expect(hashDataset({ ...small, rows: Float64Array.of(1, 0, 3, 0) })).not.toBe(hash);
    expect(hashDataset({ ...small, rows: Float64Array.of(1, Number.NaN, 3, 5e-324) })).not.toBe(hash);
    expect(hashDataset(selectRows(small, Uint32Array.of(1, 0)))).not.toBe(hash);
    expect(hashDataset(selectRows(small, Uint32Array.of(0, 1)))).toBe(hash);
  });

  it('knows one null and one zero, whatever their bits', () => {
    expect(hashDataset({ ...small, rows: Float64Array.of(1, otherNull(), 3, -0) })).toBe(hashDataset(small));
  });

  it('refuses parts that do not fit', () => {
    expect(() => checkDataset({ ...small, rows: small.rows.subarray(1) })).toThrow('fit together');
    expect(() => checkDataset({ ...small, labels: Uint8Array.of(0, 2) })).toThrow('not 2');
    expect(() => checkDataset({ ...syntheticDataset(1, 1), labels: new Uint8Array() })).toThrow('no rows');
  });
});

describe('a sample of rows', () => {
  it('law: is what was wanted, rising, without repeats, and a function of the seed', () => {
    fc.assert(
      fc.property(fc.nat(300), fc.nat(300), fc.nat(1000), (count, wanted, seed) => {
        const chosen = sampleRows(count, wanted, seed);
        expect(chosen).toHaveLength(Math.min(count, wanted));
        expect(chosen.every((row, at) => row < count && (at === 0 || row > (chosen[at - 1] ?? 0)))).toBe(
          true,
        );
        expect(sampleRows(count, wanted, seed)).toEqual(chosen);
      }),
    );
  });

  it('takes every row equally often', () => {
    const taken = new Float64Array(20);
    for (let seed = 0; seed < 4_000; seed++) {
      for (const row of sampleRows(20, 5, seed)) taken[row] = (taken[row] ?? 0) + 1;
    }
    // Chi-square of 19 degrees of freedom, drawn without replacement: above 43.8 less than once in a thousand.
    expect(taken.reduce((sum, n) => sum + (n - 1_000) ** 2 / 1_000, 0)).toBeLessThan(43.8);
  });
});
