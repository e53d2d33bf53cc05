import { describe, expect, it } from 'vitest';
import { createRandom } from '../../models/random.ts';

describe('seeded randomness', () => {
  it('is a function of its seed, large seeds included', () => {
    const draw = (seed: number) => Array.from({ length: 5 }, createRandom(seed).next);
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
    expect(draw(1)).not.toEqual(draw(1 + 2 ** 32));
    expect(() => createRandom(0.5)).toThrow('whole number');
  });

  it('is uniform and normal enough to train with', () => {
    const random = createRandom(3);
    const bins = new Float64Array(10);
    let [sum, squares] = [0, 0];
    for (let i = 0; i < 100_000; i++) {
      const bin = Math.floor(random.next() * 10);
      bins[bin] = (bins[bin] ?? 0) + 1;
      const value = random.normal();
      sum += value;
      squares += value * value;
    }
    // Chi-square of 9 degrees of freedom: above 27.9 once in a thousand seeds.
    expect(bins.reduce((total, n) => total + (n - 10_000) ** 2 / 10_000, 0)).toBeLessThan(27.9);
    expect(sum / 100_000).toBeCloseTo(0, 1);
    expect(squares / 100_000).toBeCloseTo(1, 1);
  });

  it('shuffles without losing one', () => {
    const indices = Uint32Array.from({ length: 100 }, (_, i) => i);
    createRandom(4).shuffle(indices);
    expect([...indices]).not.toEqual([...indices].sort((a, b) => a - b));
    expect([...indices].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });
});
