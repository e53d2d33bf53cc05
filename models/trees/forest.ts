/**
 * The scorer of boosted trees: a bias and the sum, in the order of the trees, of the one leaf that a row reaches in
 * each. Everything lies in flat arrays, so that a score is a walk over numbers and reloading changes no bit.
 */

export interface Forest {
  /** Number of columns of the rows that it reads. */
  readonly features: number;
  /**
   * `double`: rows are compared as they are, and a value that no feature should hold (not finite, beyond 1e150) counts
   * as null, as in the encoder. `single`: as ONNX does it, rows and sums are rounded to single precision at each step,
   * and the bias comes last.
   */
  readonly precision: 'double' | 'single';
  /** What every row starts with, log odds. */
  readonly bias: number;
  /** First node of each tree: a node's number, or ~(a leaf's number) where the tree is one leaf. */
  readonly roots: Int32Array;
  /** Of each node: the column it asks for, and the largest value that goes left. */
  readonly feature: Int32Array;
  readonly threshold: Float64Array;
  /** Where a row goes on: a later node's number, or ~(a leaf's number). */
  readonly left: Int32Array;
  readonly right: Int32Array;
  /** 1 where a null goes left. */
  readonly nullLeft: Uint8Array;
  /** What each leaf adds, log odds. */
  readonly leaves: Float64Array;
  /** Training rows that reached each leaf, at least one; absent where that is not known, as of imported trees. */
  readonly leafRows?: Int32Array;
}

export interface ForestScorer {
  /** Log odds of the row at `offset`. Allocates nothing. */
  logit(vectors: Float64Array, offset: number): number;
}

const LARGEST = 1e150;

/** A value of a row as the questions of the trees see it; NaN is null. */
export const plainValue = (x: number, single: boolean): number =>
  single ? Math.fround(x) : Math.abs(x) <= LARGEST ? x : Number.NaN;

/**
 * What is wrong with these arrays, in one sentence; null where nothing is. A child always comes after its parent and
 * has no other, so that every walk ends.
 */
export function faultOfForest(forest: Forest): string | null {
  const { features, bias, roots, feature, threshold, left, right, nullLeft, leaves } = forest;
  const nodes = feature.length;
  if ([threshold, left, right, nullLeft].some((list) => list.length !== nodes))
    return `its trees have ${nodes} nodes, but ${threshold.length} thresholds, ${left.length} left and ${right.length} right children, ${nullLeft.length} directions of nulls`;
  if (!Number.isFinite(bias)) return `its bias is ${bias}`;
  const badLeaf = leaves.findIndex((value) => !Number.isFinite(value));
  if (badLeaf >= 0) return `its leaf ${badLeaf} holds ${leaves[badLeaf]}, which is not a finite number`;
  const rows = forest.leafRows;
  if (rows !== undefined && (rows.length !== leaves.length || rows.some((count) => count < 1)))
    return `it does not say of each of its ${leaves.length} leaves how many rows reached it`;
  const seenNodes = new Uint8Array(nodes);
  const seenLeaves = new Uint8Array(leaves.length);
  const claim = (child: number, after: number, who: string): string | null => {
    const known = child >= 0 ? seenNodes : seenLeaves;
    const at = child >= 0 ? child : ~child;
    const kind = child >= 0 ? 'node' : 'leaf';
    if (at >= known.length) return `${who} is ${kind} ${at}, but there are ${known.length}`;
    if (child >= 0 && child <= after)
      return `${who} is node ${at}, which does not come after it: the tree would never end`;
    if (known[at] === 1) return `${who} is ${kind} ${at}, which has a parent already`;
    known[at] = 1;
    return null;
  };
  for (const [tree, root] of roots.entries()) {
    const fault = claim(root, -1, `the root of its tree ${tree}`);
    if (fault !== null) return fault;
  }
  for (let node = 0; node < nodes; node++) {
    const asked = feature[node] as number;
    if (asked < 0 || asked >= features)
      return `its node ${node} asks for feature ${asked}, but there are ${features}`;
    const bound = threshold[node] as number;
    // An export of LightGBM asks "at most infinity?" where it only parts nulls from the rest.
    const good = forest.precision === 'single' ? !Number.isNaN(bound) : Number.isFinite(bound);
    if (!good) return `its node ${node} has the threshold ${bound}`;
    if ((nullLeft[node] as number) > 1)
      return `its node ${node} sends nulls neither left (1) nor right (0) but ${nullLeft[node]}`;
    const fault =
      claim(left[node] as number, node, `the left child of its node ${node}`) ??
      claim(right[node] as number, node, `the right child of its node ${node}`);
    if (fault !== null) return fault;
  }
  const lost = seenNodes.indexOf(0);
  if (lost >= 0) return `its node ${lost} belongs to no tree`;
  const lostLeaf = seenLeaves.indexOf(0);
  return lostLeaf >= 0 ? `its leaf ${lostLeaf} belongs to no tree` : null;
}

/** @throws RangeError where the arrays are no forest. */
export function createForest(forest: Forest): ForestScorer {
  const fault = faultOfForest(forest);
  if (fault !== null) throw new RangeError(`This model cannot score: ${fault}.`);
  const { features, bias, leaves } = forest;
  const roots = Int32Array.from(forest.roots);
  const threshold = Float64Array.from(forest.threshold);
  const single = forest.precision === 'single';
  const nodes = forest.feature.length;
  // One line of the cache a node: feature, left, right, where a null goes.
  const steps = new Int32Array(nodes * 4);
  for (let node = 0; node < nodes; node++) {
    const left = forest.left[node] as number;
    const right = forest.right[node] as number;
    steps.set(
      [forest.feature[node] as number, left, right, forest.nullLeft[node] === 1 ? left : right],
      node * 4,
    );
  }
  const row = new Float64Array(features);

  return {
    logit(vectors, offset) {
      for (let at = 0; at < features; at++) {
        row[at] = plainValue(vectors[offset + at] as number, single);
      }
      let sum = single ? 0 : bias;
      for (let tree = 0; tree < roots.length; tree++) {
        let node = roots[tree] as number;
        while (node >= 0) {
          const x = row[steps[node * 4] as number] as number;
          const bound = threshold[node] as number;
          node = steps[node * 4 + (x <= bound ? 1 : x > bound ? 2 : 3)] as number;
        }
        sum += leaves[~node] as number;
        if (single) sum = Math.fround(sum);
      }
      return single ? Math.fround(sum + bias) : sum;
    },
  };
}
