/**
 * Points that fill the unit cube evenly: Sobol's sequence with the direction numbers of Joe and Kuo (SIAM J. Sci. Comput.
 * 30, 2008; new-joe-kuo-6), shifted digitally by a seed so that each seed has points of its own with the same evenness.
 */
import { createRandom } from '../random.ts';

/** Degree s, coefficients a, and first direction numbers m of the dimensions from the second on. */
const JOE_KUO: ReadonlyArray<readonly [s: number, a: number, m: readonly number[]]> = [
  [1, 0, [1]],
  [2, 1, [1, 3]],
  [3, 1, [1, 3, 1]],
  [3, 2, [1, 1, 1]],
  [4, 1, [1, 1, 3, 3]],
  [4, 4, [1, 3, 5, 13]],
  [5, 2, [1, 1, 5, 5, 17]],
  [5, 4, [1, 1, 5, 5, 5]],
  [5, 7, [1, 1, 7, 11, 19]],
  [5, 11, [1, 1, 5, 1, 1]],
  [5, 13, [1, 1, 1, 3, 11]],
  [5, 14, [1, 3, 5, 5, 31]],
  [6, 1, [1, 3, 3, 9, 7, 49]],
  [6, 13, [1, 1, 1, 15, 21, 21]],
  [6, 16, [1, 3, 1, 13, 27, 49]],
  [6, 19, [1, 1, 1, 15, 7, 5]],
  [6, 22, [1, 3, 1, 15, 13, 25]],
  [6, 25, [1, 1, 5, 5, 19, 61]],
  [7, 1, [1, 3, 7, 11, 23, 15, 103]],
];

export const MAX_DIMENSIONS = JOE_KUO.length + 1;
const BITS = 32;

/** Direction numbers of one dimension, each with its leading bit at the top. */
function directions(dimension: number): Uint32Array {
  const numbers = new Uint32Array(BITS);
  const row = JOE_KUO[dimension - 1];
  if (row === undefined) {
    for (let i = 0; i < BITS; i += 1) numbers[i] = 2 ** (BITS - 1 - i);
    return numbers;
  }
  const [s, a, m] = row;
  for (let i = 0; i < s; i += 1) numbers[i] = (m[i] ?? 0) * 2 ** (BITS - 1 - i);
  for (let i = s; i < BITS; i += 1) {
    const back = numbers[i - s] ?? 0;
    let value = back ^ (back >>> s);
    for (let k = 1; k < s; k += 1) if (((a >> (s - 1 - k)) & 1) === 1) value ^= numbers[i - k] ?? 0;
    numbers[i] = value >>> 0;
  }
  return numbers;
}

export interface Sobol {
  readonly dimensions: number;
  /** The point of an index, from 0: each coordinate in [0, 1). Any index, in any order. */
  point(index: number): Float64Array;
}

/**
 * @param seed of the shift.
 * @throws RangeError for more dimensions than there are direction numbers.
 */
export function createSobol(dimensions: number, seed: number): Sobol {
  if (!Number.isSafeInteger(dimensions) || dimensions < 1 || dimensions > MAX_DIMENSIONS)
    throw new RangeError(
      `A search over ${dimensions} parameters: there can be 1 to ${MAX_DIMENSIONS}. Fix some of them.`,
    );
  const random = createRandom(seed);
  const numbers = Array.from({ length: dimensions }, (_, d) => directions(d));
  const shifts = numbers.map(() => Math.floor(random.next() * 2 ** BITS) >>> 0);
  return {
    dimensions,
    point(index) {
      // Gray code: one direction number a bit of it.
      const gray = (index ^ (index >>> 1)) >>> 0;
      return Float64Array.from(numbers, (of, d) => {
        let value = shifts[d] ?? 0;
        for (let bit = 0; bit < BITS; bit += 1) if (((gray >>> bit) & 1) === 1) value ^= of[bit] ?? 0;
        return (value >>> 0) / 2 ** BITS;
      });
    },
  };
}
