import {
  DISCRETE_VALUES,
  discreteBinning,
  isPresent,
  LEVELS,
  quantileBinning,
} from '../../../models/drift/binning.ts';
import { MAX_CATEGORIES } from '../../../models/drift/summary.ts';
import type { Binning } from '../../../models/drift/types.ts';

/** What is learnt and compared from the values themselves: an oracle for what is counted in cells, here and in ClickHouse. */

/** Values that are present, sorted; -0 is 0. */
export function presentSorted(values: Iterable<number>): Float64Array {
  const kept: number[] = [];
  for (const value of values) if (isPresent(value)) kept.push(value + 0);
  return Float64Array.from(kept).sort();
}

/** Element floor(level * n) of sorted values: what ClickHouse's quantilesExact answers. */
function quantilesOf(sorted: Float64Array): number[] {
  return sorted.length === 0
    ? []
    : LEVELS.map((level) => sorted[Math.min(sorted.length - 1, Math.floor(level * sorted.length))] as number);
}

/** The cells for values like these. */
export function learnBinning(values: Iterable<number>): Binning {
  const sorted = presentSorted(values);
  const distinct: number[] = [];
  for (const value of sorted) {
    if (distinct.length > DISCRETE_VALUES) break;
    if (value !== distinct.at(-1)) distinct.push(value);
  }
  return distinct.length <= DISCRETE_VALUES
    ? discreteBinning(distinct)
    : quantileBinning(quantilesOf(sorted));
}

/** The categories that a reference keeps: the most frequent, by name where equal. */
export function learnCategories(words: Iterable<string | null>): string[] {
  const counts = new Map<string, number>();
  for (const word of words) if (word !== null && word !== '') counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts]
    .sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))
    .slice(0, MAX_CATEGORIES)
    .map(([word]) => word);
}

/** Exact, from samples sorted in rising order. */
export function ksOfSamples(reference: Float64Array, current: Float64Array): number {
  let largest = 0;
  walk(reference, current, (left, right) => {
    largest = Math.max(largest, Math.abs(left - right));
  });
  return largest;
}

/** Exact, from samples sorted in rising order. */
export function wassersteinOfSamples(reference: Float64Array, current: Float64Array): number {
  let area = 0;
  walk(reference, current, (left, right, width) => {
    area += Math.abs(left - right) * width;
  });
  return area;
}

/** Calls back with both cumulative shares from each distinct value up to the next, and how far that is. */
function walk(
  reference: Float64Array,
  current: Float64Array,
  each: (left: number, right: number, width: number) => void,
): void {
  const [n, m] = [reference.length, current.length];
  if (n === 0 || m === 0) throw new RangeError('A distance needs at least one row on each side.');
  let [i, j] = [0, 0];
  const next = () =>
    Math.min(reference[i] ?? Number.POSITIVE_INFINITY, current[j] ?? Number.POSITIVE_INFINITY);
  for (let value = next(); i < n || j < m; ) {
    while (i < n && reference[i] === value) i++;
    while (j < m && current[j] === value) j++;
    const following = next();
    each(i / n, j / m, i < n || j < m ? following - value : 0);
    value = following;
  }
}
