/** The special functions that tests of significance need, to about 1e-13 relative. */

/** Lanczos' coefficients for g = 7, nine terms (Godfrey 2001). */
const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
] as const;

/** ln of the gamma function, for x > 0. Lanczos, SIAM J. Numer. Anal. 1 (1964). */
export function lnGamma(x: number): number {
  if (!(x > 0)) throw new RangeError(`The gamma function is taken for numbers above 0, not ${x}.`);
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - lnGamma(1 - x);
  const z = x - 1;
  const t = z + 7.5;
  let sum: number = LANCZOS[0];
  for (let i = 1; i < LANCZOS.length; i++) sum += (LANCZOS[i] as number) / (z + i);
  return 0.5 * Math.log(2 * Math.PI) + (z + 0.5) * Math.log(t) - t + Math.log(sum);
}

const TERMS = 10_000;
const TINY = 1e-300;

/**
 * Upper regularised incomplete gamma function Q(a, x), a > 0, x >= 0: by its series below a + 1, by Lentz' continued
 * fraction above. Press and others, Numerical Recipes, section 6.2.
 */
export function gammaQ(a: number, x: number): number {
  if (!(a > 0 && x >= 0)) throw new RangeError(`Q(a, x) is taken for a > 0 and x >= 0, not (${a}, ${x}).`);
  if (x === 0) return 1;
  if (x === Number.POSITIVE_INFINITY) return 0;
  const front = Math.exp(a * Math.log(x) - x - lnGamma(a));
  if (x < a + 1) {
    let term = 1 / a;
    let sum = term;
    for (let n = 1; n < TERMS && term > sum * 1e-17; n++) {
      term *= x / (a + n);
      sum += term;
    }
    return Math.max(0, 1 - front * sum);
  }
  let b = x + 1 - a;
  let c = 1 / TINY;
  let d = 1 / b;
  let fraction = d;
  for (let n = 1; n < TERMS; n++) {
    const step = -n * (n - a);
    b += 2;
    d = 1 / nonZero(step * d + b);
    c = nonZero(b + step / c);
    const change = c * d;
    fraction *= change;
    if (Math.abs(change - 1) < 1e-16) break;
  }
  return front * fraction;
}

const nonZero = (value: number) => (Math.abs(value) < TINY ? TINY : value);

/** P(X >= statistic) for chi-squared with so many degrees of freedom; 1 for none. */
export function chiSquaredTail(statistic: number, degrees: number): number {
  return degrees === 0 ? 1 : gammaQ(degrees / 2, statistic / 2);
}

/** P(|Z| >= |z|) for a standard normal Z. */
export function normalTail(z: number): number {
  return gammaQ(0.5, (z * z) / 2);
}

/**
 * P(K >= x) for Kolmogorov's limit distribution: sums of theta functions, by the form that converges fast. Marsaglia,
 * Tsang and Wang, J. Stat. Software 8 (2003), section 2.
 */
export function kolmogorovTail(x: number): number {
  if (!(x > 0)) return 1;
  let sum = 0;
  if (x < 1.18) {
    for (let k = 1; k <= 7; k++) sum += Math.exp(-(((2 * k - 1) * Math.PI) ** 2) / (8 * x * x));
    return Math.max(0, 1 - (Math.sqrt(2 * Math.PI) / x) * sum);
  }
  for (let k = 1; k <= 100; k++) {
    const term = Math.exp(-2 * k * k * x * x);
    sum += k % 2 === 1 ? term : -term;
    if (term < 1e-18 * sum) break;
  }
  return Math.min(1, 2 * sum);
}
