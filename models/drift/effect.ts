import type { DriftStatistic } from '../../schemas/monitoring.ts';
import { driftOf } from './compare.ts';
import { mergeColumns } from './summary.ts';
import type { ColumnSummary, Comparison, ReferenceSummary } from './types.ts';

/**
 * The size of a change in the unit of a statistic, null where there is none to be had. PSI, Jensen-Shannon and
 * chi-squared have missing values as a group of their own; the other two see values alone. A reference of one value has
 * no deviation for Wasserstein to count in: the share of values that left it counts.
 */
export function effectOf(comparison: Comparison, statistic: DriftStatistic): number | null {
  const { psi, js, ks, wassersteinScaled, chiSquared } = comparison;
  switch (statistic) {
    case 'psi':
      return psi;
    case 'js':
      return js;
    case 'ks':
      return ks;
    case 'wasserstein':
      return wassersteinScaled ?? ks;
    default:
      return chiSquared?.effect ?? null;
  }
}

/** p of the same change, for independent rows. */
export function pOf(comparison: Comparison, statistic: DriftStatistic): number | null {
  return statistic === 'ks' || statistic === 'wasserstein'
    ? comparison.ksP
    : (comparison.chiSquared?.p ?? null);
}

/** What windows look like on which nothing happened. */
export interface Quiet {
  /** Effect of each, oldest first. */
  readonly nullEffects: readonly number[];
  /** How far the share of missing values moved, each >= 0. */
  readonly nullMissing: readonly number[];
  /** By how much the share of values never seen before rose, each >= 0. */
  readonly nullUnseen: readonly number[];
  /** Windows that were stuck or all missing. */
  readonly nullBroken: number;
}

export const isBroken = ({ status }: Comparison): boolean => status === 'stuck' || status === 'all_missing';

/**
 * The quiet windows of each column: each window of the reference against all its others, where both have `minRows`
 * rows. Spread into a `DriftFeature`.
 */
export function quietOf(
  reference: ReferenceSummary,
  statistic: DriftStatistic,
  minRows = 1,
): Record<string, Quiet> {
  const { windows, whole } = reference;
  return Object.fromEntries(
    Object.keys(whole.columns).map((name) => {
      const found = leaveOneOut(
        windows.flatMap(({ columns }) => columns[name] ?? []),
        minRows,
      );
      return [name, quietFrom(found, statistic)];
    }),
  );
}

/** The same from comparisons made earlier: of ticks at which the column did not fire. */
function quietFrom(comparisons: readonly Comparison[], statistic: DriftStatistic): Quiet {
  return {
    nullEffects: comparisons.flatMap((one) => effectOf(one, statistic) ?? []),
    nullMissing: comparisons.flatMap(({ missing }) => (missing === null ? [] : Math.abs(missing.difference))),
    nullUnseen: comparisons.flatMap(({ unseen }) => (unseen === null ? [] : Math.max(0, unseen.difference))),
    nullBroken: comparisons.filter(isBroken).length,
  };
}

function leaveOneOut(columns: readonly ColumnSummary[], minRows: number): Comparison[] {
  const merge = (a: ColumnSummary | null, b: ColumnSummary | null) =>
    a === null || b === null ? (a ?? b) : mergeColumns(a, b);
  // after[i]: all columns from i on.
  const after: Array<ColumnSummary | null> = [null];
  for (const column of [...columns].reverse()) after.unshift(merge(column, after[0] ?? null));
  let before: ColumnSummary | null = null;
  return columns.flatMap((column, i) => {
    const others = merge(before, after[i + 1] ?? null);
    before = merge(before, column);
    return others === null ? [] : driftOf(others, column, minRows);
  });
}
