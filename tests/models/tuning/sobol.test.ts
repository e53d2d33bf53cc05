import { describe, expect, it } from 'vitest';
import { createRandom } from '../../../models/random.ts';
import { createSobol, MAX_DIMENSIONS } from '../../../models/tuning/sobol.ts';

/** Of scipy 1.16, qmc.Sobol(20, scramble=False): index, and each coordinate times 64. */
const SCIPY: ReadonlyArray<readonly [number, readonly number[]]> = [
  [1, [32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32]],
  [2, [48, 16, 16, 16, 48, 48, 16, 48, 48, 48, 48, 48, 16, 16, 48, 16, 48, 16, 48, 16]],
  [3, [16, 48, 48, 48, 16, 16, 48, 16, 16, 16, 16, 16, 48, 48, 16, 48, 16, 48, 16, 48]],
  [7, [8, 40, 24, 8, 8, 24, 40, 40, 40, 56, 40, 8, 40, 24, 8, 8, 8, 8, 40, 56]],
  [21, [62, 38, 22, 50, 42, 22, 26, 46, 6, 2, 30, 34, 18, 34, 46, 26, 10, 62, 42, 42]],
  [63, [1, 51, 23, 29, 55, 9, 37, 9, 53, 37, 27, 43, 35, 49, 21, 49, 5, 25, 61, 15]],
];

const bits = (value: number) => Math.round(value * 2 ** 32);

/** Largest gap between the share of points in a box at the origin and its volume: over the points' own corners. */
function starDiscrepancy(points: readonly Float64Array[]): number {
  let worst = 0;
  for (const { 0: x = 0 } of points)
    for (const { 1: y = 0 } of points) {
      const inside = points.filter(([a = 0, b = 0]) => a <= x && b <= y).length;
      const open = points.filter(([a = 0, b = 0]) => a < x && b < y).length;
      const n = points.length;
      worst = Math.max(worst, Math.abs(inside / n - x * y), Math.abs(open / n - x * y));
    }
  return worst;
}

describe('Sobol points', () => {
  it("are those of scipy, but for the seed's shift", () => {
    const sobol = createSobol(20, 5);
    const first = sobol.point(0);
    for (const [index, expected] of SCIPY)
      expect(
        [...sobol.point(index)].map((value, d) => (bits(value) ^ bits(first[d] ?? 0)) >>> 0),
        `point ${index}`,
      ).toEqual(expected.map((value) => value * 2 ** 26));
  });

  it('are a function of seed and index: in any order, the same', () => {
    const a = createSobol(6, 1);
    const forwards = [0, 1, 2, 3, 4].map((i) => a.point(i));
    const b = createSobol(6, 1);
    expect([4, 3, 2, 1, 0].map((i) => b.point(i)).reverse()).toEqual(forwards);
    expect(createSobol(6, 2).point(3)).not.toEqual(forwards[3]);
    for (const point of forwards) for (const value of point) expect(value >= 0 && value < 1).toBe(true);
  });

  it('put one point of 2^k into each of 2^k equal intervals of every coordinate, whatever the shift', () => {
    for (const seed of [1, 2, 3]) {
      const sobol = createSobol(MAX_DIMENSIONS, seed);
      const points = Array.from({ length: 64 }, (_, i) => sobol.point(i));
      for (let d = 0; d < MAX_DIMENSIONS; d += 1)
        expect(new Set(points.map((point) => Math.floor((point[d] ?? 0) * 64))).size).toBe(64);
    }
  });

  it('fill the square more evenly than chance', () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const sobol = createSobol(2, seed);
      const random = createRandom(seed);
      const even = Array.from({ length: 128 }, (_, i) => sobol.point(i));
      const chance = even.map(() => Float64Array.of(random.next(), random.next()));
      expect(starDiscrepancy(even)).toBeLessThan(starDiscrepancy(chance) / 2);
    }
  });

  it('refuse more dimensions than there are direction numbers', () => {
    expect(() => createSobol(MAX_DIMENSIONS + 1, 1)).toThrow(
      /A search over 21 parameters: there can be 1 to 20/,
    );
  });
});
