import { groupCount, groupCounts, nextUp, sameBinning } from './binning.ts';
import { jensenShannon, ksOfCounts, psi, type Weighted, wassersteinOfPoints } from './distances.ts';
import { chiSquared, ksP, twoProportions } from './significance.ts';
import { MAX_CATEGORIES } from './summary.ts';
import type {
  CategorySummary,
  ColumnSummary,
  Comparison,
  ComparisonStatus,
  NumericSummary,
  WindowSummary,
} from './types.ts';

/**
 * Compares one column of two windows. Never NaN and never a throw for what the data are: an empty, constant or
 * all-missing window has a status that says so.
 *
 * @param minRows fewer on either side, and nothing is computed.
 * @throws RangeError where the two were not counted alike: a bug.
 */
export function driftOf(reference: ColumnSummary, current: ColumnSummary, minRows = 1): Comparison {
  if (reference.kind !== current.kind)
    throw new RangeError(`A ${reference.kind} column cannot be compared with a ${current.kind} one.`);
  if (reference.rows < Math.max(1, minRows) || current.rows < Math.max(1, minRows)) {
    return { ...nothing, referenceRows: reference.rows, currentRows: current.rows };
  }
  return reference.kind === 'numeric'
    ? numbers(reference, current as NumericSummary)
    : words(reference, current as CategorySummary);
}

export const nothing: Comparison = {
  status: 'too_few',
  referenceRows: 0,
  currentRows: 0,
  psi: null,
  js: null,
  ks: null,
  ksP: null,
  wasserstein: null,
  wassersteinScaled: null,
  chiSquared: null,
  missing: null,
  unseen: null,
  unseenShare: null,
};

function byGroup(reference: ColumnSummary, current: ColumnSummary, groups: [number[], number[]]) {
  const [a, b] = [
    [...groups[0], reference.missing],
    [...groups[1], current.missing],
  ];
  return {
    referenceRows: reference.rows,
    currentRows: current.rows,
    psi: psi(a, b),
    js: jensenShannon(a, b),
    chiSquared: chiSquared(a, b),
    missing: twoProportions(reference.missing, reference.rows, current.missing, current.rows),
  };
}

function numbers(reference: NumericSummary, current: NumericSummary): Comparison {
  const { binning } = reference;
  if (!sameBinning(binning, current.binning))
    throw new RangeError('Windows counted in different cells cannot be compared; count both in the same.');
  const counts = [groupCounts(binning, reference.counts), groupCounts(binning, current.counts)] as const;
  const [n, m] = [reference.rows - reference.missing, current.rows - current.missing];
  const last = groupCount(binning) - 1;
  const shared = {
    ...byGroup(reference, current, [counts[0], counts[1]]),
    ...(binning.discrete
      ? unseenIn(
          reference,
          current,
          counts[0][last] ?? 0,
          newRows(counts[0], counts[1], counts[1][last] ?? 0),
        )
      : { unseen: null, unseenShare: null }),
  };
  const status = statusOf(reference, current);
  if (n === 0 || m === 0)
    return { ...shared, status, ks: null, ksP: null, wasserstein: null, wassersteinScaled: null };
  const ks = ksOfCounts(reference.counts, current.counts);
  const wasserstein = wassersteinOfPoints(pointsOf(reference), pointsOf(current));
  const deviation = reference.min === reference.max ? 0 : Math.sqrt(reference.m2 / n);
  return {
    ...shared,
    status,
    ks,
    ksP: ksP(ks, n, m),
    wasserstein,
    wassersteinScaled: deviation > 0 ? wasserstein / deviation : null,
  };
}

/** Current rows in groups that the reference never holds, and in the group of what no cell was learnt from. */
function newRows(before: readonly number[], after: readonly number[], unknown: number): number {
  // Where the last group is itself empty in the reference, it is among those counted.
  const last = before.length - 1;
  return after.reduce((sum, rows, i) => sum + (i !== last && before[i] === 0 ? rows : 0), unknown);
}

function unseenIn(reference: ColumnSummary, current: ColumnSummary, before: number, after: number) {
  const unseen = twoProportions(before, reference.rows, after, current.rows);
  return { unseen, unseenShare: unseen.current };
}

/** Each cell at the mean of its values; a cell of one value at that value, whatever its sum was rounded to. */
function pointsOf({ binning, counts, sums }: NumericSummary): Weighted[] {
  const { edges } = binning;
  return counts.flatMap((rows, cell) => {
    if (rows === 0) return [];
    const edge = edges[cell - 1];
    const alone = edge !== undefined && edges[cell] === nextUp(edge);
    return [{ at: alone ? edge : (sums[cell] as number) / rows, rows }];
  });
}

/** What decides the status of a comparison with enough rows. */
export interface Extent {
  readonly rows: number;
  readonly missing: number;
  readonly min: number | null;
  readonly max: number | null;
}

export function statusOf(reference: Extent, current: Extent): ComparisonStatus {
  const present = [reference.rows - reference.missing, current.rows - current.missing] as const;
  if (present[0] === 0) return present[1] === 0 ? 'constant' : 'no_reference_values';
  if (present[1] === 0) return 'all_missing';
  const single = current.min === current.max;
  if (reference.min !== reference.max) return single && present[1] > 1 ? 'stuck' : 'compared';
  return single && current.min === reference.min ? 'constant' : 'compared';
}

function words(reference: CategorySummary, current: CategorySummary): Comparison {
  const names = [...new Set([...Object.keys(reference.counts), ...Object.keys(current.counts)])];
  const a = names.map((name) => reference.counts[name] ?? 0);
  const b = names.map((name) => current.counts[name] ?? 0);
  const only = (counts: readonly number[], others: number) => {
    const held = counts.flatMap((count, i) => (count > 0 ? [i] : []));
    return others === 0 && held.length === 1 ? (held[0] as number) : null;
  };
  // The place of the one category stands for the value of a column of numbers.
  const extent = (column: CategorySummary, counts: readonly number[]): Extent => {
    const single = only(counts, column.others);
    return { ...column, min: single ?? 0, max: single ?? 1 + names.length };
  };
  return {
    ...byGroup(reference, current, [
      [...a, reference.others],
      [...b, current.others],
    ]),
    status: statusOf(extent(reference, a), extent(current, b)),
    ks: null,
    ksP: null,
    wasserstein: null,
    wassersteinScaled: null,
    ...(isWhole(reference)
      ? unseenIn(reference, current, reference.others, newRows([...a, 0], [...b, 0], current.others))
      : { unseen: null, unseenShare: null }),
  };
}

/**
 * Whether the categories kept are all there were. Of more, the most frequent are kept: what is none of them may be well
 * known, and comes more often later than in the rows that chose them.
 */
const isWhole = ({ counts }: CategorySummary) => Object.keys(counts).length < MAX_CATEGORIES;

/** Every column of the reference with the same of another window; a column that is not there counts as empty. */
export function compareWindows(
  reference: WindowSummary,
  current: WindowSummary,
  minRows = 1,
): Record<string, Comparison> {
  return Object.fromEntries(
    Object.entries(reference.columns).map(([name, column]) => {
      const other = current.columns[name];
      return [name, other === undefined ? nothing : driftOf(column, other, minRows)];
    }),
  );
}
