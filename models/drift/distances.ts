/** Distances between two distributions given as counts. All counts are of rows, >= 0. */

/**
 * A share below this counts as this in the PSI, which would be infinite for an empty group: so that one group that
 * empties or appears adds at most share * ln(share / 1e-4).
 */
const PSI_FLOOR = 1e-4;

const sumOf = (counts: readonly number[]) => counts.reduce((sum, count) => sum + count, 0);

function checkPair(a: readonly number[], b: readonly number[]): readonly [number, number] {
  const [n, m] = [sumOf(a), sumOf(b)];
  if (a.length !== b.length || !(n > 0 && m > 0)) {
    throw new RangeError(
      `Two distributions need the same groups and a row each: ${a.length} groups with ${n} rows, ${b.length} with ${m}.`,
    );
  }
  return [n, m];
}

/**
 * Population stability index: sum of (q - p) ln(q / p), in nats; the symmetric divergence of Jeffreys (1946), in credit
 * scoring since Lewis, "An introduction to credit scoring" (1992). 0.1 is called a small change, 0.25 a large one.
 */
export function psi(reference: readonly number[], current: readonly number[]): number {
  const [n, m] = checkPair(reference, current);
  let sum = 0;
  for (let i = 0; i < reference.length; i++) {
    const p = Math.max(PSI_FLOOR, (reference[i] as number) / n);
    const q = Math.max(PSI_FLOOR, (current[i] as number) / m);
    sum += (q - p) * Math.log(q / p);
  }
  return sum;
}

/**
 * Jensen-Shannon distance: the root of the divergence, base 2, so 0 to 1. Lin, IEEE Trans. Inf. Theory 37 (1991);
 * Endres and Schindelin (2003) show that the root is a metric.
 */
export function jensenShannon(reference: readonly number[], current: readonly number[]): number {
  const [n, m] = checkPair(reference, current);
  let sum = 0;
  for (let i = 0; i < reference.length; i++) {
    const p = (reference[i] as number) / n;
    const q = (current[i] as number) / m;
    if (p === q) continue;
    const middle = (p + q) / 2;
    sum += (p > 0 ? p * Math.log2(p / middle) : 0) + (q > 0 ? q * Math.log2(q / middle) : 0);
  }
  return Math.sqrt(Math.min(1, Math.max(0, sum / 2)));
}

/** Largest difference of the two cumulative shares, at the edges between the cells; 0 to 1. */
export function ksOfCounts(reference: readonly number[], current: readonly number[]): number {
  const [n, m] = checkPair(reference, current);
  let [below, belowCurrent, largest] = [0, 0, 0];
  for (let i = 0; i < reference.length; i++) {
    below += reference[i] as number;
    belowCurrent += current[i] as number;
    largest = Math.max(largest, Math.abs(below / n - belowCurrent / m));
  }
  return largest;
}

/** Points and the rows that stand at each. */
export interface Weighted {
  readonly at: number;
  readonly rows: number;
}

/**
 * First Wasserstein distance: the area between the two cumulative shares, in the unit of the values. Vallender, Theory
 * Probab. Appl. 18 (1974).
 */
export function wassersteinOfPoints(reference: readonly Weighted[], current: readonly Weighted[]): number {
  const n = reference.reduce((sum, { rows }) => sum + rows, 0);
  const m = current.reduce((sum, { rows }) => sum + rows, 0);
  if (!(n > 0 && m > 0)) throw new RangeError('A distance needs at least one row on each side.');
  const points = [
    ...reference.map(({ at, rows }) => ({ at, left: rows, right: 0 })),
    ...current.map(({ at, rows }) => ({ at, left: 0, right: rows })),
  ].sort((a, b) => a.at - b.at);
  let [left, right, area, previous] = [0, 0, 0, 0];
  for (const point of points) {
    if (left > 0 || right > 0) area += Math.abs(left / n - right / m) * (point.at - previous);
    left += point.left;
    right += point.right;
    previous = point.at;
  }
  return area;
}
