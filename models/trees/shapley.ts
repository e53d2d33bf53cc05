/**
 * Exact Shapley values of a forest for one row, path-dependent: a feature that is left out goes both ways, weighted by the
 * training rows that went each way. Algorithm 2 of Lundberg, Erion and Lee, "Consistent individualized feature attribution
 * for tree ensembles" (2018); a tree of L leaves and depth D costs L * D^2 steps.
 */
import { type Forest, plainValue } from './forest.ts';

/** One feature on the way from a root: the shares of all rows that go on here when it is left out, and when it is known. */
interface Step {
  readonly feature: number;
  readonly out: number;
  readonly known: number;
  /** Sum of the Shapley weights of the sets of as many features. */
  weight: number;
}

/** Own trees are at most 64 deep. A deeper one would cost seconds. */
const DEEPEST = 64;

export interface ForestShapley {
  /** Mean log odds over the training rows: what is left when nothing of a row is known. */
  readonly base: number;
  /** Log odds that each feature adds for a row; with `base` they sum to the row's raw output. */
  valuesOf(vector: Float64Array): Float64Array;
}

/** Null where the forest does not say how many rows reached its leaves, or is too deep. */
export function createForestShapley(forest: Forest): ForestShapley | null {
  const { leafRows, roots, left, right, leaves, feature, threshold, nullLeft, features } = forest;
  if (leafRows === undefined || depthOf(forest) > DEEPEST) return null;
  const nodeRows = new Float64Array(feature.length);
  const nodeMean = new Float64Array(feature.length);
  const rowsAt = (at: number) => (at >= 0 ? nodeRows[at] : leafRows[~at]) as number;
  const meanAt = (at: number) => (at >= 0 ? nodeMean[at] : leaves[~at]) as number;
  // A child comes after its parent.
  for (let node = feature.length - 1; node >= 0; node--) {
    const [l, r] = [left[node] as number, right[node] as number];
    const rows = rowsAt(l) + rowsAt(r);
    nodeRows[node] = rows;
    nodeMean[node] = (meanAt(l) * rowsAt(l) + meanAt(r) * rowsAt(r)) / rows;
  }

  function walk(at: number, path: readonly Step[], row: Float64Array, values: Float64Array): void {
    if (at < 0) {
      for (let i = 1; i < path.length; i++) {
        const { feature: which, known, out } = path[i] as Step;
        const weight = unwound(path, i).reduce((sum, step) => sum + step.weight, 0);
        values[which] = (values[which] as number) + weight * (known - out) * (leaves[~at] as number);
      }
      return;
    }
    const asked = feature[at] as number;
    const x = row[asked] as number;
    const bound = threshold[at] as number;
    const goesLeft = x <= bound || (!(x > bound) && nullLeft[at] === 1);
    const [l, r] = [left[at] as number, right[at] as number];
    // A feature that was asked before counts once, with the product of both shares.
    const before = path.findIndex((step) => step.feature === asked);
    const { out, known } = path[before] ?? { out: 1, known: 1 };
    const rest = before < 0 ? path : unwound(path, before);
    for (const child of [l, r]) {
      const share = rowsAt(child) / (nodeRows[at] as number);
      const taken = (child === l) === goesLeft;
      walk(child, extended(rest, asked, out * share, taken ? known : 0), row, values);
    }
  }

  return {
    base: roots.reduce((sum, root) => sum + meanAt(root), forest.bias),
    valuesOf(vector) {
      const row = vector.map((x) => plainValue(x, forest.precision === 'single'));
      const values = new Float64Array(features);
      for (const root of roots) walk(root, extended([], -1, 1, 1), row, values);
      return values;
    },
  };
}

function depthOf({ feature, left, right }: Forest): number {
  const depths = new Int32Array(feature.length).fill(1);
  let deepest = 0;
  for (let node = 0; node < feature.length; node++) {
    const depth = depths[node] as number;
    deepest = Math.max(deepest, depth);
    for (const child of [left[node] as number, right[node] as number])
      if (child >= 0) depths[child] = depth + 1;
  }
  return deepest;
}

/** The path with one more feature (EXTEND). */
function extended(path: readonly Step[], feature: number, out: number, known: number): Step[] {
  const length = path.length;
  const next = path.map((step) => ({ ...step }));
  next.push({ feature, out, known, weight: length === 0 ? 1 : 0 });
  for (let i = length - 1; i >= 0; i--) {
    const [here, after] = [next[i] as Step, next[i + 1] as Step];
    after.weight += (known * here.weight * (i + 1)) / (length + 1);
    here.weight = (out * here.weight * (length - i)) / (length + 1);
  }
  return next;
}

/** The path as if the feature at `place` had never been asked (UNWIND). */
function unwound(path: readonly Step[], place: number): Step[] {
  const last = path.length - 1;
  const { out, known } = path[place] as Step;
  const weights = path.map(({ weight }) => weight);
  let carried = weights[last] as number;
  for (let i = last - 1; i >= 0; i--) {
    const weight = weights[i] as number;
    if (known !== 0) {
      weights[i] = (carried * (last + 1)) / ((i + 1) * known);
      carried = weight - ((weights[i] as number) * out * (last - i)) / (last + 1);
    } else weights[i] = (weight * (last + 1)) / (out * (last - i));
  }
  return path.filter((_, i) => i !== place).map((step, i) => ({ ...step, weight: weights[i] as number }));
}
