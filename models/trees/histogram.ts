import type { BinEdges, Binned } from './bins.ts';

/** Where each feature's bins lie in a histogram, two doubles a bin (gradient, curvature), the nulls' bin last. */
export interface HistogramLayout {
  /** Of feature f: [start[f], start[f + 1]), in doubles. */
  readonly start: Int32Array;
  readonly length: number;
}

export function layoutOf(edges: BinEdges): HistogramLayout {
  const start = new Int32Array(edges.length + 1);
  edges.forEach((own, feature) => {
    start[feature + 1] = (start[feature] as number) + (own.length + 2) * 2;
  });
  return { start, length: start[edges.length] as number };
}

/**
 * Adds up gradient and curvature of some rows by bin, for the chosen features; the others keep what they held. Two
 * features a pass: they share the loads of the row.
 *
 * @param rows row numbers; those in [from, to) count.
 * @param pairs scratch: room for two doubles a row.
 */
export function countRows(
  histogram: Float64Array,
  layout: HistogramLayout,
  { bins, rows: count }: Binned,
  chosen: Uint32Array,
  rows: Uint32Array,
  from: number,
  to: number,
  gradients: Float64Array,
  curvatures: Float64Array,
  pairs: Float64Array,
): void {
  const some = to - from;
  for (let at = 0; at < some; at++) {
    const row = rows[from + at] as number;
    pairs[at * 2] = gradients[row] as number;
    pairs[at * 2 + 1] = curvatures[row] as number;
  }
  let next = 0;
  for (; next + 1 < chosen.length; next += 2) {
    const a = chosen[next] as number;
    const b = chosen[next + 1] as number;
    const startA = layout.start[a] as number;
    const startB = layout.start[b] as number;
    histogram.fill(0, startA, layout.start[a + 1]);
    histogram.fill(0, startB, layout.start[b + 1]);
    const columnA = a * count;
    const columnB = b * count;
    for (let at = 0; at < some; at++) {
      const row = rows[from + at] as number;
      const g = pairs[at * 2] as number;
      const h = pairs[at * 2 + 1] as number;
      const binA = startA + ((bins[columnA + row] as number) << 1);
      const binB = startB + ((bins[columnB + row] as number) << 1);
      histogram[binA] = (histogram[binA] as number) + g;
      histogram[binA + 1] = (histogram[binA + 1] as number) + h;
      histogram[binB] = (histogram[binB] as number) + g;
      histogram[binB + 1] = (histogram[binB + 1] as number) + h;
    }
  }
  if (next === chosen.length) return;
  const last = chosen[next] as number;
  const start = layout.start[last] as number;
  histogram.fill(0, start, layout.start[last + 1]);
  const column = last * count;
  for (let at = 0; at < some; at++) {
    const bin = start + ((bins[column + (rows[from + at] as number)] as number) << 1);
    histogram[bin] = (histogram[bin] as number) + (pairs[at * 2] as number);
    histogram[bin + 1] = (histogram[bin + 1] as number) + (pairs[at * 2 + 1] as number);
  }
}

/** The parent's histogram becomes that of the other child. Exact: see `toGrid` in boost.ts. */
export function subtract(parent: Float64Array, child: Float64Array): void {
  for (let at = 0; at < parent.length; at++) parent[at] = (parent[at] as number) - (child[at] as number);
}
