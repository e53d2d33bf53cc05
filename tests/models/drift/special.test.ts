import { describe, expect, it } from 'vitest';
import {
  chiSquaredTail,
  gammaQ,
  kolmogorovTail,
  lnGamma,
  normalTail,
} from '../../../models/drift/special.ts';
import { scipy } from './fixtures/scipy.ts';

/** Relative, but for what is 0 at double precision. */
function expectClose(found: number, wanted: number, relative = 1e-11): void {
  expect(Math.abs(found - wanted)).toBeLessThanOrEqual(relative * Math.abs(wanted) + 1e-300);
}

describe('special functions agree with scipy', () => {
  it('ln of the gamma function', () => {
    for (const [x, wanted] of scipy.lnGamma) expect(lnGamma(x)).toBeCloseTo(wanted, 10);
  });

  it('the upper incomplete gamma function, into its tails', () => {
    for (const [a, x, wanted] of scipy.gammaQ) expectClose(gammaQ(a, x), wanted, wanted > 1e-290 ? 1e-10 : 1);
  });

  it("Kolmogorov's distribution, on both sides of the change of form", () => {
    for (const [x, wanted] of scipy.kolmogorov) expectClose(kolmogorovTail(x), wanted, 1e-10);
    expect(kolmogorovTail(1.18 - 1e-12)).toBeCloseTo(kolmogorovTail(1.18), 10);
  });

  it('the tails of the normal', () => {
    for (const [z, wanted] of scipy.normalTail) expectClose(normalTail(z), wanted, 1e-10);
  });

  it('refuse what they are not defined for', () => {
    expect(() => lnGamma(0)).toThrow(RangeError);
    expect(() => gammaQ(-1, 1)).toThrow(RangeError);
    expect(() => gammaQ(1, Number.NaN)).toThrow(RangeError);
    expect(gammaQ(2, Number.POSITIVE_INFINITY)).toBe(0);
    expect(chiSquaredTail(0, 0)).toBe(1);
    expect(kolmogorovTail(0)).toBe(1);
  });
});
