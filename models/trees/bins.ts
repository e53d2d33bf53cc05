/**
 * Features in up to 255 bins of about equal counts, a byte a value, column by column: what trees are grown on. The
 * bins are cut once, at points between values that were seen; a split at a bin is a split at its upper edge, kept as
 * the double it is, so that a grown tree asks rows the very question that was asked of their bins.
 */

/** Upper edges of the bins of a feature but the last, rising. A value belongs to the first bin whose edge it does not exceed. */
export type BinEdges = readonly Float64Array[];

export interface Binned {
  readonly rows: number;
  /** Column by column: bin of row r of feature f at [f * rows + r]; nulls have the bin after the last. */
  readonly bins: Uint8Array;
}

/** Nulls are a bin of their own: 256 values of a byte. */
export const MOST_BINS = 255;
/** A value beyond it counts as null, as in the encoder: no feature should hold one. */
export const LARGEST = 1e150;

/** Edges of one feature from its present values, sorted. */
export function edgesOf(sorted: Float64Array, most: number): Float64Array {
  const values: number[] = [];
  const counts: number[] = [];
  for (const value of sorted) {
    if (values.length > 0 && values[values.length - 1] === value)
      counts[counts.length - 1] = (counts[counts.length - 1] as number) + 1;
    else {
      values.push(value);
      counts.push(1);
    }
  }
  const edges: number[] = [];
  let left = sorted.length;
  let filled = 0;
  for (let at = 0; at + 1 < values.length; at++) {
    filled += counts[at] as number;
    const binsLeft = most - edges.length;
    if (binsLeft <= 1) break;
    // Every value its own bin while there are enough; else close a bin once it holds its share of what is left.
    const enough = values.length - at <= binsLeft || filled * binsLeft >= left;
    if (!enough) continue;
    edges.push(between(values[at] as number, values[at + 1] as number));
    left -= filled;
    filled = 0;
  }
  return Float64Array.from(edges);
}

/** A double that is at least `low` and below `high`. */
function between(low: number, high: number): number {
  const middle = low + (high - low) / 2;
  return middle >= low && middle < high ? middle : low;
}

/**
 * Edges of one feature. The caller goes from feature to feature, so that others get a turn between two.
 *
 * @param chosen the rows to cut the bins by: the validation slice must stay out.
 */
export function fitEdges(
  rows: Float64Array,
  width: number,
  feature: number,
  chosen: Uint32Array,
  most: number,
): Float64Array {
  const column = new Float64Array(chosen.length);
  let present = 0;
  for (let at = 0; at < chosen.length; at++) {
    const value = rows[(chosen[at] as number) * width + feature] as number;
    // Adding 0 makes of -0 a 0: they are one value.
    if (Math.abs(value) <= LARGEST) column[present++] = value + 0;
  }
  return edgesOf(column.subarray(0, present).sort(), most);
}

/** Writes the column of one feature into `binned`, which holds the chosen rows. */
export function binFeature(
  rows: Float64Array,
  width: number,
  feature: number,
  chosen: Uint32Array,
  edges: Float64Array,
  { bins, rows: count }: Binned,
): void {
  const nullBin = edges.length + 1;
  const start = feature * count;
  for (let at = 0; at < count; at++) {
    const value = rows[(chosen[at] as number) * width + feature] as number;
    if (!(Math.abs(value) <= LARGEST)) {
      bins[start + at] = nullBin;
      continue;
    }
    let low = 0;
    let high = edges.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((edges[middle] as number) < value) low = middle + 1;
      else high = middle;
    }
    bins[start + at] = low;
  }
}
