import type { BinEdges, Binned } from './bins.ts';
import { countRows, type HistogramLayout, layoutOf, subtract } from './histogram.ts';
import type { TreesSpec } from './spec.ts';
import { bestSplit, type Split } from './split.ts';

/** One tree as it was grown: splits in the order they were made, so that a child comes after its parent. */
export interface Tree {
  readonly splits: readonly Split[];
  /** Where a row goes on: number of a later split, or ~(number of a leaf). */
  readonly left: readonly number[];
  readonly right: readonly number[];
  readonly leaves: readonly number[];
  /** Rows of the tree in each leaf. */
  readonly leafRows: readonly number[];
}

interface Leaf {
  /** Its rows: [from, to) of the rows of the tree. */
  readonly from: number;
  readonly to: number;
  readonly depth: number;
  readonly gradient: number;
  readonly curvature: number;
  readonly histogram: Float64Array;
  readonly split: Split | null;
  /** The split that it hangs from, and on which side; -1 = it is the root. */
  readonly parent: number;
  readonly isLeft: boolean;
}

export interface Grower {
  /**
   * Grows one tree on the rows [0, count) of `rows`, which it puts into the order of the leaves, and tells each leaf
   * with its rows.
   */
  grow(
    rows: Uint32Array,
    count: number,
    chosen: Uint32Array,
    gradients: Float64Array,
    curvatures: Float64Array,
    onLeaf: (value: number, from: number, to: number) => void,
  ): Tree;
}

/**
 * Leaf by leaf, the one that gains most next (Shi, "Best-first decision tree learning", 2007), on histograms: only the
 * smaller child of a split is counted, its sibling is what remains of the parent (Ke and others, "LightGBM", NIPS 2017).
 */
export function createGrower(binned: Binned, edges: BinEdges, spec: TreesSpec): Grower {
  const layout: HistogramLayout = layoutOf(edges);
  const pairs = new Float64Array(binned.rows * 2);
  const aside = new Uint32Array(binned.rows);
  const pool: Float64Array[] = [];
  const acquire = () => pool.pop() ?? new Float64Array(layout.length);

  /** Rows that go left come first; each side keeps its order. The number of those on the left. */
  function partition(rows: Uint32Array, from: number, to: number, split: Split): number {
    const column = split.feature * binned.rows;
    const nullBin = (edges[split.feature] as Float64Array).length + 1;
    const { bins } = binned;
    let left = from;
    let right = 0;
    for (let at = from; at < to; at++) {
      const row = rows[at] as number;
      const bin = bins[column + row] as number;
      if (bin === nullBin ? split.nullLeft : bin <= split.bin) rows[left++] = row;
      else aside[right++] = row;
    }
    rows.set(aside.subarray(0, right), left);
    return left - from;
  }

  return {
    grow(rows, count, chosen, gradients, curvatures, onLeaf) {
      const leafOf = (leaf: Omit<Leaf, 'split'>): Leaf => ({
        ...leaf,
        split:
          leaf.depth < spec.depth && leaf.curvature >= 2 * spec.minWeight
            ? bestSplit(
                leaf.histogram,
                layout,
                edges,
                chosen,
                leaf.gradient,
                leaf.curvature,
                spec.l2,
                spec.minWeight,
              )
            : null,
      });
      const counted = (histogram: Float64Array, from: number, to: number) =>
        countRows(histogram, layout, binned, chosen, rows, from, to, gradients, curvatures, pairs);

      let gradient = 0;
      let curvature = 0;
      for (let at = 0; at < count; at++) {
        gradient += gradients[rows[at] as number] as number;
        curvature += curvatures[rows[at] as number] as number;
      }
      const first = acquire();
      counted(first, 0, count);
      const root = { from: 0, to: count, depth: 0, gradient, curvature, parent: -1, isLeft: false };
      const leaves: Leaf[] = [leafOf({ ...root, histogram: first })];
      const splits: Split[] = [];
      const left: number[] = [];
      const right: number[] = [];

      while (leaves.length < spec.leaves) {
        let at = -1;
        let most = 0;
        for (const [place, leaf] of leaves.entries())
          if (leaf.split !== null && leaf.split.gain > most) {
            at = place;
            most = leaf.split.gain;
          }
        const leaf = leaves[at];
        if (leaf === undefined || leaf.split === null) break;
        const { split, from, to, histogram } = leaf;
        const node = splits.push(split) - 1;
        left.push(0);
        right.push(0);
        if (leaf.parent >= 0) (leaf.isLeft ? left : right)[leaf.parent] = node;
        const middle = from + partition(rows, from, to, split);
        const smaller = acquire();
        const leftIsSmaller = middle - from <= to - middle;
        if (leftIsSmaller) counted(smaller, from, middle);
        else counted(smaller, middle, to);
        subtract(histogram, smaller);
        const common = { depth: leaf.depth + 1, parent: node };
        leaves[at] = leafOf({
          ...common,
          from,
          to: middle,
          gradient: split.leftGradient,
          curvature: split.leftCurvature,
          histogram: leftIsSmaller ? smaller : histogram,
          isLeft: true,
        });
        leaves.push(
          leafOf({
            ...common,
            from: middle,
            to,
            gradient: leaf.gradient - split.leftGradient,
            curvature: leaf.curvature - split.leftCurvature,
            histogram: leftIsSmaller ? histogram : smaller,
            isLeft: false,
          }),
        );
      }

      const values = leaves.map((leaf, number) => {
        pool.push(leaf.histogram);
        if (leaf.parent >= 0) (leaf.isLeft ? left : right)[leaf.parent] = ~number;
        const step = leaf.curvature + spec.l2;
        // Adding 0 makes of -0 a 0: a leaf is one number however it is written.
        const value = step > 0 ? (-leaf.gradient / step) * spec.learningRate + 0 : 0;
        onLeaf(value, leaf.from, leaf.to);
        return value;
      });
      return { splits, left, right, leaves: values, leafRows: leaves.map(({ from, to }) => to - from) };
    },
  };
}

/** Adds a tree's answers to the raw outputs of binned rows. @param only where not null: these rows alone. */
export function addTree(
  tree: Tree,
  { bins, rows: count }: Binned,
  edges: BinEdges,
  outputs: Float64Array,
  only: Uint32Array | null,
): void {
  const nodes = tree.splits.length;
  const steps = new Int32Array(nodes * 6);
  tree.splits.forEach((split, node) => {
    const nullBin = (edges[split.feature] as Float64Array).length + 1;
    const [l = 0, r = 0] = [tree.left[node], tree.right[node]];
    steps.set([split.feature * count, split.bin, l, r, nullBin, split.nullLeft ? l : r], node * 6);
  });
  const leaves = Float64Array.from(tree.leaves);
  const total = only === null ? count : only.length;
  for (let at = 0; at < total; at++) {
    const row = only === null ? at : (only[at] as number);
    let node = nodes === 0 ? -1 : 0;
    while (node >= 0) {
      const step = node * 6;
      const bin = bins[(steps[step] as number) + row] as number;
      node = steps[
        bin === steps[step + 4] ? step + 5 : bin <= (steps[step + 1] as number) ? step + 2 : step + 3
      ] as number;
    }
    outputs[row] = (outputs[row] as number) + (leaves[~node] as number);
  }
}
