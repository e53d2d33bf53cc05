import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createEncoder,
  defaultEncoderSpec,
  type EncoderSpec,
  encodedNames,
  fitEncoder,
} from '../../models/encoder.ts';

const NULL = Number.NaN;
const ROOT3 = Math.sqrt(3);

function encodeOne(spec: Partial<EncoderSpec>, column: number[], value: number): number[] {
  const data = fitEncoder(['x'], Float64Array.from(column), { ...defaultEncoderSpec, ...spec });
  const encoder = createEncoder(data);
  const out = new Float64Array(encoder.width);
  encoder.encode(Float64Array.of(value), out);
  return [...out];
}

const only = (choice: Partial<EncoderSpec['standard']>): Partial<EncoderSpec> => ({
  standard: { rank: false, zscore: false, period: null, nulls: 'centre', missing: 'never', ...choice },
});

const cell = fc.oneof(fc.constant(NULL), fc.integer({ min: -5, max: 5 }), fc.double({ noNaN: false }));

describe('encoding', () => {
  it('writes a rank as a centred quantile with unit spread', () => {
    const column = Array.from({ length: 65 }, (_, i) => i * 10);
    expect(encodeOne(only({ rank: true }), column, 0)).toEqual([-ROOT3]);
    expect(encodeOne(only({ rank: true }), column, 320)).toEqual([0]);
    expect(encodeOne(only({ rank: true }), column, 640)).toEqual([ROOT3]);
    expect(encodeOne(only({ rank: true }), column, 165)[0]).toBeCloseTo((2 * (16.5 / 64) - 1) * ROOT3, 12);
    expect(encodeOne(only({ rank: true }), column, -1e9)).toEqual([-ROOT3]);
    expect(encodeOne(only({ rank: true }), column, 1e9)).toEqual([ROOT3]);
  });

  it('gives a value that half of the rows share the middle of their quantiles', () => {
    const column = [...Array.from({ length: 500 }, () => 0), ...Array.from({ length: 500 }, (_, i) => i + 1)];
    const [rank] = encodeOne(only({ rank: true }), column, 0);
    expect(rank).toBeCloseTo((2 * 0.25 - 1) * ROOT3, 1);
  });

  it('writes a z-score, clipped', () => {
    expect(encodeOne(only({ zscore: true }), [1, 3], 3)).toEqual([1]);
    expect(encodeOne(only({ zscore: true }), [1, 3], 1000)).toEqual([4]);
    expect(encodeOne(only({ zscore: true }), [1, 3], -1000)).toEqual([-4]);
    expect(encodeOne(only({ zscore: true }), [7, 7], 7)).toEqual([0]);
  });

  it('joins the ends of a cycle', () => {
    const [sin0, cos0] = encodeOne(only({ period: 24 }), [0], 0);
    const [sin24, cos24] = encodeOne(only({ period: 24 }), [0], 24);
    expect(sin24).toBeCloseTo(sin0 ?? NULL, 12);
    expect(cos24).toBeCloseTo(cos0 ?? NULL, 12);
    expect(encodeOne(only({ period: 24 }), [0], 6)[0]).toBeCloseTo(1, 12);
  });

  it('encodes a null at the centre, or as the value its rule names, and flags it either way', () => {
    const column = [1, 2, 3, NULL];
    const spec = only({ rank: true, zscore: true, missing: 'auto' });
    expect(encodeOne(spec, column, NULL)).toEqual([0, 0, 1]);
    const filled = only({ rank: true, zscore: true, missing: 'auto', nulls: { value: 3 } });
    expect(encodeOne(filled, column, NULL)).toEqual([...encodeOne(filled, column, 3).slice(0, 2), 1]);
    expect(encodeOne(filled, column, 3)[2]).toBe(0);
  });

  it('has a flag only where training saw nulls, unless told otherwise', () => {
    const names = (missing: 'auto' | 'always' | 'never', column: number[]) =>
      encodedNames(
        fitEncoder(['x'], Float64Array.from(column), { ...defaultEncoderSpec, ...only({ missing }) }),
      );
    expect(names('auto', [1, 2])).toEqual([]);
    expect(names('auto', [1, NULL])).toEqual(['x:missing']);
    expect(names('always', [1, 2])).toEqual(['x:missing']);
    expect(names('never', [1, NULL])).toEqual([]);
  });

  it('fits on the chosen rows alone', () => {
    const rows = Float64Array.of(1, 3, 1e6, NULL);
    const data = fitEncoder(['x'], rows, defaultEncoderSpec, Uint32Array.of(0, 1));
    expect(data).toEqual(fitEncoder(['x'], Float64Array.of(1, 3)));
  });

  it('refuses a rule for a feature that is not there, and a matrix that does not fit', () => {
    const spec = { ...defaultEncoderSpec, features: { hours: { period: 24 } } };
    expect(() => fitEncoder(['hour'], Float64Array.of(1), spec)).toThrow('"hours"');
    expect(() => fitEncoder(['a', 'b'], Float64Array.of(1))).toThrow('no whole rows');
  });

  it('law: after JSON the same bits; at any offset the same bits; finite whatever comes in', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(cell, cell), { minLength: 1, maxLength: 60 }),
        fc.tuple(cell, cell),
        fc.integer({ min: 0, max: 3 }),
        (rows, vector, offset) => {
          const data = fitEncoder(['x', 'y'], Float64Array.from(rows.flat()), {
            ...defaultEncoderSpec,
            features: { y: { period: 7, rank: true } },
          });
          const encoder = createEncoder(data);
          const restored = createEncoder(JSON.parse(JSON.stringify(data)));
          const out = new Float64Array(encoder.width);
          encoder.encode(Float64Array.from(vector), out);
          const shifted = new Float64Array(encoder.width + offset);
          restored.encode(
            Float64Array.from([...new Array(offset).fill(9), ...vector]),
            shifted,
            offset,
            offset,
          );
          expect(shifted.subarray(offset)).toEqual(out);
          expect(encodedNames(data)).toHaveLength(encoder.width);
          expect(out.every(Number.isFinite)).toBe(true);
        },
      ),
    );
  });

  it('law: a rank never falls as its value rises', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 }), {
          minLength: 1,
          maxLength: 200,
        }),
        fc.double({ noNaN: true, min: -1e6, max: 1e6 }),
        fc.double({ noNaN: true, min: -1e6, max: 1e6 }),
        (column, a, b) => {
          const [low] = encodeOne(only({ rank: true }), column, Math.min(a, b));
          const [high] = encodeOne(only({ rank: true }), column, Math.max(a, b));
          expect(low).toBeLessThanOrEqual(high ?? NULL);
        },
      ),
    );
  });
});
