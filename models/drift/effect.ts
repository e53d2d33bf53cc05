import type { DriftStatistic } from '../../schemas/monitoring.ts';
import { driftOf } from './compare.ts';
import { mergeColumns } from './summary.ts';
import type { ColumnSummary, Comparison, ReferenceSummary } from './types.ts';

/**
 * The size of a change in the unit of a statistic, null where there is none to be had. PSI, Jensen-Shannon and
 * chi-squared have missing values as a group of their own. The other two see values alone: there the change of the share of missing
 * values counts as well, as a distance of shares (ks) or as one standard deviation for each row (wasserstein). A reference of one value
 * has no deviation to count in: the share of rows that left it counts.
 */
export function effectOf(comparison: Comparison, statistic: DriftStatistic): number | null {
  const { psi, js, ks, wassersteinScaled, chiSquared, missing } = comparison;
  if (statistic === 'psi') return psi;
  if (statistic === 'js') return js;
  if (statistic === 'chi2') return chiSquared?.effect ?? null;
  if (missing === null) return null;
  const gone = Math.abs(missing.difference);
  return Math.max(gone, (statistic === 'ks' ? ks : (wassersteinScaled ?? ks)) ?? 0);
}

/** p of the same change: of the groups, or the smaller of values and missing share, twice (Bonferroni). */
export function pOf(comparison: Comparison, statistic: DriftStatistic): number | null {
  const { chiSquared, ksP, missing } = comparison;
  if (statistic === 'ks' || statistic === 'wasserstein')
    return missing === null ? null : Math.min(1, 2 * Math.min(ksP ?? 1, missing.p));
  return chiSquared?.p ?? null;
}

/**
 * What the statistic says of windows on which nothing happened: each window of the reference against all its others.
 * One effect for each window with at least `minRows` rows on both sides, oldest first; the same windows for every column, as long
 * as no column has fewer rows than another.
 */
export function leaveOneOutEffects(
  reference: ReferenceSummary,
  statistic: DriftStatistic,
  minRows = 1,
): Record<string, number[]> {
  const { windows, whole } = reference;
  return Object.fromEntries(
    Object.keys(whole.columns).map((name) => {
      const columns = windows.flatMap(({ columns: all }) => all[name] ?? []);
      return [name, leftOut(columns, statistic, minRows)];
    }),
  );
}

function leftOut(columns: readonly ColumnSummary[], statistic: DriftStatistic, minRows: number): number[] {
  const merge = (a: ColumnSummary | null, b: ColumnSummary | null) =>
    a === null || b === null ? (a ?? b) : mergeColumns(a, b);
  // after[i]: all columns from i on.
  const after: Array<ColumnSummary | null> = [null];
  for (const column of [...columns].reverse()) after.unshift(merge(column, after[0] ?? null));
  let before: ColumnSummary | null = null;
  const effects: number[] = [];
  columns.forEach((column, i) => {
    const others = merge(before, after[i + 1] ?? null);
    before = merge(before, column);
    const effect = others === null ? null : effectOf(driftOf(others, column, minRows), statistic);
    if (effect !== null) effects.push(effect);
  });
  return effects;
}
