/**
 * Maps a network's raw output to a probability that means what it says. Both maps are monotone, plain data, and applied
 * to one row alone.
 *
 * - `platt`: sigmoid(slope * logit + intercept). Platt, "Probabilistic outputs for support vector machines" (1999), with
 *   his smoothed targets, by Newton's method as in Lin, Lin and Weng (2007).
 * - `isotonic`: the rising step function nearest to the labels in squares, linear between the steps' ends. Zadrozny and
 *   Elkan (2002), by pooling adjacent violators.
 */
import { sigmoid } from './dense.ts';

export type Calibration =
  | { readonly kind: 'none' }
  | { readonly kind: 'platt'; readonly slope: number; readonly intercept: number }
  | { readonly kind: 'isotonic'; readonly logits: readonly number[]; readonly rates: readonly number[] };

export type CalibrationKind = Calibration['kind'];

export function fitCalibration(kind: CalibrationKind, logits: Float64Array, labels: Uint8Array): Calibration {
  if (kind === 'none') return { kind };
  if (logits.length === 0 || logits.length !== labels.length) {
    throw new RangeError(
      `Calibration needs one label a row: ${logits.length} outputs, ${labels.length} labels.`,
    );
  }
  return kind === 'platt' ? fitPlatt(logits, labels) : fitIsotonic(logits, labels);
}

function fitPlatt(logits: Float64Array, labels: Uint8Array): Calibration {
  const rows = logits.length;
  let positives = 0;
  for (let i = 0; i < rows; i++) positives += labels[i] as number;
  const high = (positives + 1) / (positives + 2);
  const low = 1 / (rows - positives + 2);

  const loss = (slope: number, intercept: number): number => {
    let sum = 0;
    for (let i = 0; i < rows; i++) {
      const z = slope * (logits[i] as number) + intercept;
      const target = labels[i] === 1 ? high : low;
      sum += z >= 0 ? (1 - target) * z + Math.log1p(Math.exp(-z)) : Math.log1p(Math.exp(z)) - target * z;
    }
    return sum;
  };

  let slope = 1;
  let intercept = 0;
  let current = loss(slope, intercept);
  for (let round = 0; round < 100; round++) {
    let [gs, gi, hss, hsi, hii] = [0, 0, 1e-12, 0, 1e-12];
    for (let i = 0; i < rows; i++) {
      const x = logits[i] as number;
      const p = sigmoid(slope * x + intercept);
      const error = p - (labels[i] === 1 ? high : low);
      const weight = p * (1 - p);
      gs += error * x;
      gi += error;
      hss += weight * x * x;
      hsi += weight * x;
      hii += weight;
    }
    if (Math.abs(gs) < 1e-9 * rows && Math.abs(gi) < 1e-9 * rows) break;
    const determinant = hss * hii - hsi * hsi;
    const ds = -(hii * gs - hsi * gi) / determinant;
    const di = -(hss * gi - hsi * gs) / determinant;
    let step = 1;
    while (step > 1e-10 && !(loss(slope + step * ds, intercept + step * di) < current)) step /= 2;
    if (step <= 1e-10) break;
    slope += step * ds;
    intercept += step * di;
    current = loss(slope, intercept);
  }
  return { kind: 'platt', slope: slope + 0, intercept: intercept + 0 };
}

function fitIsotonic(logits: Float64Array, labels: Uint8Array): Calibration {
  const order = Uint32Array.from(logits, (_, i) => i).sort(
    (a, b) => (logits[a] as number) - (logits[b] as number) || a - b,
  );
  // Blocks of rows that share a rate: sum of labels, rows, first and last logit. Ties form a block before any pooling:
  // pooled row by row, the first labels of a tie could merge it with what its later labels keep apart.
  const sums: number[] = [];
  const counts: number[] = [];
  const firsts: number[] = [];
  const lasts: number[] = [];
  for (let at = 0; at < order.length; ) {
    const x = logits[order[at] as number] as number;
    let sum = 0;
    let count = 0;
    while (at < order.length && logits[order[at] as number] === x) {
      sum += labels[order[at] as number] as number;
      count++;
      at++;
    }
    sums.push(sum);
    counts.push(count);
    firsts.push(x);
    lasts.push(x);
    pool(sums, counts, firsts, lasts);
  }
  const xs: number[] = [];
  const rates: number[] = [];
  for (let block = 0; block < sums.length; block++) {
    const rate = (sums[block] as number) / (counts[block] as number);
    for (const x of new Set([firsts[block] as number, lasts[block] as number])) {
      xs.push(x + 0);
      rates.push(rate);
    }
  }
  return { kind: 'isotonic', logits: xs, rates };
}

/** Merges the last block into those before it that have a higher or equal rate. */
function pool(sums: number[], counts: number[], firsts: number[], lasts: number[]): void {
  while (sums.length > 1) {
    const top = sums.length - 1;
    const above = (sums[top] as number) * (counts[top - 1] as number);
    const below = (sums[top - 1] as number) * (counts[top] as number);
    if (above > below) return;
    sums[top - 1] = (sums[top - 1] as number) + (sums[top] as number);
    counts[top - 1] = (counts[top - 1] as number) + (counts[top] as number);
    lasts[top - 1] = lasts[top] as number;
    for (const list of [sums, counts, firsts, lasts]) list.pop();
  }
}

/** The probability for one raw output. */
export function createCalibrator(calibration: Calibration): (logit: number) => number {
  if (calibration.kind === 'none') return sigmoid;
  if (calibration.kind === 'platt') {
    const { slope, intercept } = calibration;
    return (logit) => sigmoid(slope * logit + intercept);
  }
  const xs = Float64Array.from(calibration.logits);
  const rates = Float64Array.from(calibration.rates);
  return (logit) => {
    let low = 0;
    let high = xs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((xs[middle] as number) < logit) low = middle + 1;
      else high = middle;
    }
    if (low === xs.length) return rates[low - 1] as number;
    if (low === 0 || xs[low] === logit) return rates[low] as number;
    const x = xs[low - 1] as number;
    const rate = rates[low - 1] as number;
    return rate + ((logit - x) / ((xs[low] as number) - x)) * ((rates[low] as number) - rate);
  };
}
