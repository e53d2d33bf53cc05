import { type BinEdges, LARGEST } from './bins.ts';
import type { HistogramLayout } from './histogram.ts';

export interface Split {
  readonly gain: number;
  readonly feature: number;
  /** Rows in this bin or an earlier one go left; `threshold` is its upper edge. */
  readonly bin: number;
  readonly threshold: number;
  readonly nullLeft: boolean;
  /** Sums of the rows that go left. */
  readonly leftGradient: number;
  readonly leftCurvature: number;
}

/** Gains below it are noise. */
const LEAST_GAIN = 1e-7;

/**
 * The split of a leaf that lowers the loss most, by the second-order gain of Chen and Guestrin, "XGBoost" (KDD 2016),
 * equation 7; nulls are tried on both sides (there, algorithm 3). Where none were seen they follow the heavier side.
 * Null where no split gains anything. Of equal gains the first feature and bin win.
 */
export function bestSplit(
  histogram: Float64Array,
  layout: HistogramLayout,
  edges: BinEdges,
  chosen: Uint32Array,
  gradient: number,
  curvature: number,
  l2: number,
  minWeight: number,
): Split | null {
  const whole = (gradient * gradient) / (curvature + l2);
  let best = LEAST_GAIN;
  let feature = -1;
  let bin = 0;
  let nullLeft = false;
  let leftGradient = 0;
  let leftCurvature = 0;
  for (const one of chosen) {
    const start = layout.start[one] as number;
    const last = (edges[one] as Float64Array).length;
    const nullGradient = histogram[start + (last + 1) * 2] as number;
    const nullCurvature = histogram[start + (last + 1) * 2 + 1] as number;
    const nulls = nullCurvature > 0;
    let g = 0;
    let h = 0;
    // The last bin is an end only where the nulls stay on the other side.
    for (let at = 0; at < (nulls ? last + 1 : last); at++) {
      g += histogram[start + at * 2] as number;
      h += histogram[start + at * 2 + 1] as number;
      for (let side = 0; side < (nulls && at < last ? 2 : 1); side++) {
        const lg = side === 0 ? g : g + nullGradient;
        const lh = side === 0 ? h : h + nullCurvature;
        const rg = gradient - lg;
        const rh = curvature - lh;
        if (lh < minWeight || rh < minWeight || lh <= 0 || rh <= 0) continue;
        const gain = (lg * lg) / (lh + l2) + (rg * rg) / (rh + l2) - whole;
        if (gain > best) {
          best = gain;
          feature = one;
          bin = at;
          nullLeft = nulls ? side === 1 : lh > rh;
          leftGradient = lg;
          leftCurvature = lh;
        }
      }
    }
  }
  if (feature < 0) return null;
  const threshold = (edges[feature] as Float64Array)[bin] ?? LARGEST;
  return { gain: best, feature, bin, threshold, nullLeft, leftGradient, leftCurvature };
}
