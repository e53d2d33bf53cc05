import { around, estimate, wilson } from './interval.ts';
import type { Estimate } from './types.ts';

/**
 * Rows by rising score, in groups of equal scores: all that a ranking figure needs to know. Sorting plain numbers without
 * a comparison function is several times faster than sorting row numbers, hence the two sorted arrays.
 */
export interface Ranking {
  /** Score of each group, rising. */
  readonly scores: Float64Array;
  /** Rows of each group. */
  readonly rows: Float64Array;
  /** Rows with label 1 of each group. */
  readonly positives: Float64Array;
}

export function rankingOf(scores: Float64Array, labels: Uint8Array): Ranking {
  const all = scores.slice().sort();
  let count = 0;
  for (let i = 0; i < labels.length; i++) count += labels[i] as number;
  const ones = new Float64Array(count);
  let next = 0;
  for (let i = 0; i < labels.length; i++) if (labels[i] === 1) ones[next++] = scores[i] as number;
  ones.sort();

  const groupScores = new Float64Array(all.length);
  const rows = new Float64Array(all.length);
  const positives = new Float64Array(all.length);
  let groups = 0;
  let one = 0;
  for (let from = 0; from < all.length; groups++) {
    const score = all[from] as number;
    let to = from + 1;
    while (to < all.length && all[to] === score) to++;
    const oneFrom = one;
    while (one < ones.length && ones[one] === score) one++;
    groupScores[groups] = score;
    rows[groups] = to - from;
    positives[groups] = one - oneFrom;
    from = to;
  }
  return {
    scores: groupScores.subarray(0, groups),
    rows: rows.subarray(0, groups),
    positives: positives.subarray(0, groups),
  };
}

/**
 * Area under the ROC curve with DeLong's interval: the variance of the shares of the other class that each row beats.
 * DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988), in O(n log n) as in Sun and Xu (2014). Both classes present.
 * Where one class has a single row the variance has no estimate, and there is no interval. Where the classes are
 * separated the variance is 0, which says nothing of the next window: Wilson's interval of the smaller class stands in.
 */
export function aucEstimate(ranking: Ranking, z: number): Estimate {
  const { rows, positives } = ranking;
  let totalRows = 0;
  let ones = 0;
  for (let g = 0; g < rows.length; g++) {
    totalRows += rows[g] as number;
    ones += positives[g] as number;
  }
  const zeros = totalRows - ones;
  // Of the positives: share of negatives below. Of the negatives: share of positives above. Both have the AUC as mean.
  let [below, onesBelow, sum, squaresOfOnes, squaresOfZeros] = [0, 0, 0, 0, 0];
  for (let g = 0; g < rows.length; g++) {
    const p = positives[g] as number;
    const n = (rows[g] as number) - p;
    const beaten = (below + n / 2) / zeros;
    const above = (ones - onesBelow - p / 2) / ones;
    sum += p * beaten;
    squaresOfOnes += p * beaten * beaten;
    squaresOfZeros += n * above * above;
    below += n;
    onesBelow += p;
  }
  const auc = Math.min(1, sum / ones);
  if (ones < 2 || zeros < 2) return estimate(auc, null, null);
  const spread = (squares: number, count: number): number =>
    Math.max(0, squares - count * auc * auc) / (count - 1) / count;
  const variance = spread(squaresOfOnes, ones) + spread(squaresOfZeros, zeros);
  if (auc === 0 || auc === 1) {
    const { low, high } = wilson(auc * Math.min(ones, zeros), Math.min(ones, zeros), z);
    return estimate(auc, low, high);
  }
  return around(auc, z * Math.sqrt(variance), 0, 1);
}

/**
 * Average precision: the mean over the positives of the precision at their score, equal scores taken together, no
 * interpolation (as scikit-learn has it). Works on whole rows and on resampled counts alike; 0 where nothing is positive.
 */
export function averagePrecision(rows: Float64Array, positives: Float64Array): number {
  let [seen, found, sum] = [0, 0, 0];
  for (let g = rows.length - 1; g >= 0; g--) {
    const p = positives[g] as number;
    seen += rows[g] as number;
    found += p;
    if (p > 0) sum += (p * found) / seen;
  }
  return found === 0 ? 0 : sum / found;
}
