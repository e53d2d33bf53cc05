import { chiSquaredTail, kolmogorovTail, normalTail } from './special.ts';
import type { ChiSquared, TwoProportions } from './types.ts';

/** Tests that two samples of independent rows come from one distribution. */

/** A cell whose expected rows are fewer in either sample is put together with the other small ones. Cochran (1954). */
const MIN_EXPECTED = 5;

/**
 * Chi-squared test that two samples share one distribution over categories. A category that neither sample holds is no
 * category; those with too few expected rows are taken together, so that one new value in a thousand is no proof.
 * Pearson (1900); effect: Cramer (1946), from shares, so that it does not depend on the numbers of rows.
 */
export function chiSquared(reference: readonly number[], current: readonly number[]): ChiSquared {
  const n = reference.reduce((sum, count) => sum + count, 0);
  const m = current.reduce((sum, count) => sum + count, 0);
  if (reference.length !== current.length || !(n > 0 && m > 0)) {
    throw new RangeError(
      `A chi-squared test needs the same categories and a row in each sample: ${n} and ${m}.`,
    );
  }
  const cells: Array<readonly [number, number]> = [];
  let [small, smallCurrent, effect] = [0, 0, 0];
  for (let i = 0; i < reference.length; i++) {
    const [a, b] = [reference[i] as number, current[i] as number];
    if (a + b === 0) continue;
    effect += (a / n - b / m) ** 2 / (a / n + b / m) / 2;
    if (((a + b) * Math.min(n, m)) / (n + m) >= MIN_EXPECTED) cells.push([a, b]);
    else [small, smallCurrent] = [small + a, smallCurrent + b];
  }
  if (small + smallCurrent > 0) cells.push([small, smallCurrent]);
  let statistic = 0;
  for (const [a, b] of cells) {
    const expected = ((a + b) * n) / (n + m);
    const expectedCurrent = ((a + b) * m) / (n + m);
    statistic += (a - expected) ** 2 / expected + (b - expectedCurrent) ** 2 / expectedCurrent;
  }
  return { ...chiSquaredOf(statistic, cells.length - 1), effect: Math.sqrt(Math.min(1, effect)) };
}

export const chiSquaredOf = (statistic: number, degrees: number) => ({
  statistic,
  degrees,
  p: chiSquaredTail(statistic, degrees),
});

/**
 * p of a two-sample Kolmogorov-Smirnov distance: the limit, with n m / (n + m) as the number of rows. Smirnov (1948).
 */
export function ksP(distance: number, n: number, m: number): number {
  return kolmogorovTail(Math.sqrt((n * m) / (n + m)) * distance);
}

/** Are two shares one? z with the pooled share; its square is chi-squared of the 2 x 2 table. */
export function twoProportions(hits: number, n: number, hitsCurrent: number, m: number): TwoProportions {
  if (!(n > 0 && m > 0)) throw new RangeError(`Two shares need a row each: ${n} and ${m} rows.`);
  const [reference, current] = [hits / n, hitsCurrent / m];
  const pooled = (hits + hitsCurrent) / (n + m);
  const spread = Math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m));
  const difference = current - reference;
  const z = spread > 0 ? difference / spread : 0;
  return { reference, current, difference, z, p: normalTail(z) };
}

/**
 * Benjamini and Hochberg, JRSS B 57 (1995): q of each p, in the order given. Rejecting every q <= rate keeps the
 * expected share of false ones among those rejected at or below the rate (independent or positively dependent tests).
 */
export function benjaminiHochberg(ps: readonly number[]): number[] {
  const order = ps.map((_, i) => i).sort((a, b) => (ps[b] as number) - (ps[a] as number));
  const qs = new Array<number>(ps.length).fill(1);
  let least = 1;
  order.forEach((index, i) => {
    const p = ps[index] as number;
    if (!(p >= 0 && p <= 1)) throw new RangeError(`A p value is 0 to 1, not ${p}.`);
    least = Math.min(least, p * (ps.length / (ps.length - i)));
    qs[index] = least;
  });
  return qs;
}
