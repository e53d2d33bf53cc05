import type { Binning } from './types.ts';

/** A reference with at most so many distinct values is compared value by value. */
export const DISCRETE_VALUES = 32;
/**
 * Shares of the reference below each edge: a hundred cells, so that a distance at the edges is within 1 % of the
 * exact one.
 */
export const LEVELS: readonly number[] = Array.from({ length: 99 }, (_, i) => (i + 1) / 100);
/** Groups of cells for PSI and its like: deciles, as is usual. */
export const GROUPS = 10;

const bits = new DataView(new ArrayBuffer(8));

/** The least double above a finite one. */
export function nextUp(value: number): number {
  if (value === 0) return Number.MIN_VALUE;
  bits.setFloat64(0, value);
  bits.setBigUint64(0, bits.getBigUint64(0) + (value > 0 ? 1n : -1n));
  return bits.getFloat64(0) + 0;
}

/** Larger values count as missing, as infinite ones do: their squares could not be added up. */
const MAX_MAGNITUDE = 1e100;

export const isPresent = (value: number): boolean => Math.abs(value) <= MAX_MAGNITUDE;

/** A cell for each value, and one between every two. */
export function discreteBinning(values: readonly number[]): Binning {
  const edges: number[] = [];
  const groups: number[] = [values.length];
  [...new Set(values)]
    .sort((a, b) => a - b)
    .forEach((value, i) => {
      // Two doubles next to each other leave no cell between them.
      if (edges.at(-1) === value) groups.pop();
      else edges.push(value);
      edges.push(nextUp(value));
      groups.push(i, values.length);
    });
  return { edges, groups, discrete: true };
}

/** @param quantiles at each of LEVELS. A value at two levels or more (2 % of the rows) gets a cell of its own. */
export function quantileBinning(quantiles: readonly number[]): Binning {
  const edges: number[] = [];
  const rough: number[] = [0];
  for (let from = 0; from < quantiles.length; ) {
    const value = quantiles[from] as number;
    let to = from + 1;
    while (to < quantiles.length && quantiles[to] === value) to++;
    const alone = to - from > 1;
    if (edges.at(-1) === value) {
      edges.pop();
      rough.pop();
    }
    edges.push(value);
    rough.push(groupAt((from + 1 + (alone ? to : from + 2)) / 2));
    if (alone) {
      edges.push(nextUp(value));
      rough.push(groupAt(to + 0.5));
    }
    from = to;
  }
  return { edges, groups: consecutive(rough), discrete: false };
}

/** @param percent where the middle of a cell lies, 0 to 100. */
const groupAt = (percent: number) => Math.min(GROUPS - 1, Math.floor((percent * GROUPS) / 100));

function consecutive(rough: readonly number[]): number[] {
  let group = 0;
  return rough.map((value, i) => {
    if (i > 0 && value !== rough[i - 1]) group++;
    return group;
  });
}

/** Number of the cell that holds a finite value: the edges at or below it. */
export function cellOf({ edges }: Binning, value: number): number {
  let low = 0;
  let high = edges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((edges[middle] as number) <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

export const groupCount = ({ groups }: Binning): number => (groups.at(-1) ?? 0) + 1;

/** Counts of the cells, added up by group. */
export function groupCounts(binning: Binning, counts: readonly number[]): number[] {
  const sums = new Array<number>(groupCount(binning)).fill(0);
  binning.groups.forEach((group, cell) => {
    sums[group] = (sums[group] ?? 0) + (counts[cell] ?? 0);
  });
  return sums;
}

/** Checks what came from outside. */
export function sameBinning(a: Binning, b: Binning): boolean {
  return (
    a.discrete === b.discrete &&
    a.edges.length === b.edges.length &&
    a.edges.every((edge, i) => edge === b.edges[i]) &&
    a.groups.every((group, i) => group === b.groups[i])
  );
}
