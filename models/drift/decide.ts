import { quietThresholds, type Threshold } from './calibrate.ts';
import { effectOf, pOf } from './effect.ts';
import { benjaminiHochberg } from './significance.ts';
import type { Comparison, DriftFeature, DriftInput, DriftReason, DriftRule, DriftVerdict } from './types.ts';

/**
 * Which features drifted, those that fired first, each part by what the change may do to the model (shift x importance). A feature fires where
 * its effect is at least the declared one and more than quiet windows reach within the budget of false alarms (calibrate.ts), where both windows have
 * enough rows, and where its p, adjusted over all features compared, keeps the declared rate of false discoveries.
 * What is calendar by nature is compared and ranked, but neither fires nor counts among the features compared.
 */
export function decideDrift({ features, rule }: DriftInput): DriftVerdict[] {
  const judged = features.map((feature) => judge(feature, rule));
  const tested = judged.filter(({ barred }) => barred === null);
  const qs = benjaminiHochberg(tested.map(({ p }) => p ?? 1));
  const qOf = new Map(tested.map(({ feature }, i) => [feature.name, qs[i] ?? 1]));
  const thresholds = quietThresholds(
    features
      .filter(({ calendar }) => !calendar)
      .map(({ name, nullEffects }) => ({ name, effects: nullEffects.filter((effect) => effect >= 0) })),
    rule,
  );
  const shares = importanceShares(features);
  return judged
    .map((one) => {
      const { feature, effect, p } = one;
      const known = thresholds.get(feature.name) ?? { quiet: null, usual: null };
      const threshold = Math.max(rule.minEffect, known.quiet ?? 0);
      const q = qOf.get(feature.name) ?? null;
      const reason = one.barred ?? reasonOf(effect ?? 0, threshold, q ?? 1, rule);
      const shift = effect === null ? 0 : effect / Math.max(threshold, Number.MIN_VALUE);
      return {
        name: feature.name,
        effect,
        threshold,
        p,
        q,
        fired: reason === 'fired',
        reason,
        why: sentence(reason, feature.comparison, { effect, threshold, q, known, rule }),
        impact: shift * (shares.get(feature.name) ?? 0),
        shift,
      };
    })
    .sort(
      (a, b) =>
        Number(b.fired) - Number(a.fired) ||
        b.impact - a.impact ||
        b.shift - a.shift ||
        (a.name < b.name ? -1 : 1),
    )
    .map(({ shift: _, ...verdict }) => verdict);
}

function judge(feature: DriftFeature, rule: DriftRule) {
  const { comparison, calendar } = feature;
  const effect = effectOf(comparison, rule.statistic);
  const rows = Math.min(comparison.referenceRows, comparison.currentRows);
  const barred: DriftReason | null = calendar
    ? 'calendar'
    : rows < rule.minCount || effect === null
      ? 'too_few'
      : null;
  return { feature, effect, p: pOf(comparison, rule.statistic), barred };
}

function reasonOf(effect: number, threshold: number, q: number, rule: DriftRule): DriftReason {
  if (effect < rule.minEffect) return 'small_effect';
  if (effect < threshold) return 'usual_effect';
  return q <= rule.falseDiscoveryRate ? 'fired' : 'not_significant';
}

/** Shares that add up to one; equal ones where nobody knows. */
function importanceShares(features: readonly DriftFeature[]): Map<string, number> {
  const known = features.map(({ importance }) =>
    importance > 0 && Number.isFinite(importance) ? importance : 0,
  );
  const total = known.reduce((sum, share) => sum + share, 0);
  return new Map(
    features.map(({ name }, i) => [name, total > 0 ? (known[i] ?? 0) / total : 1 / features.length]),
  );
}

const UNITS = {
  psi: 'PSI',
  js: 'Jensen-Shannon distance',
  ks: 'Kolmogorov-Smirnov distance',
  wasserstein: 'Wasserstein distance (reference deviations)',
  chi2: "Cramer's V",
} as const;

const digits = (value: number) => Number(value.toPrecision(3)).toString();
const share = (value: number) => `${digits(value * 100)} %`;

function sentence(
  reason: DriftReason,
  comparison: Comparison,
  one: {
    readonly effect: number | null;
    readonly threshold: number;
    readonly q: number | null;
    readonly known: Threshold;
    readonly rule: DriftRule;
  },
): string {
  const { effect, threshold, q, known, rule } = one;
  const value = effect === null ? 'nothing' : `${UNITS[rule.statistic]} ${digits(effect)}`;
  const extra = details(comparison);
  switch (reason) {
    case 'calendar':
      return `${value}; it changes with the calendar, so it is not alerted on.`;
    case 'too_few':
      return `Compared ${comparison.currentRows} rows with ${comparison.referenceRows}; ${rule.minCount} are needed on each side.`;
    case 'small_effect':
      return `${value} is below the declared ${digits(rule.minEffect)}${extra}.`;
    case 'usual_effect':
      return `${value} is below ${digits(threshold)}, which quiet windows pass no more often than the budget allows${extra}.`;
    case 'not_significant':
      return `${value} is large, but chance alone could do it with so few rows (q = ${digits(q ?? 1)})${extra}.`;
    default:
      return known.quiet === null
        ? `${value} is at or above the declared ${digits(threshold)}; no quiet windows are known to compare it with${extra}.`
        : `${value} is at or above ${digits(threshold)}, where a quiet window has ${digits(known.usual ?? 0)}${extra}.`;
  }
}

/** What a person would look at first. */
function details({ status, missing, unseenShare }: Comparison): string {
  const said: string[] = [];
  if (status === 'stuck') said.push('every value is the same');
  if (missing !== null && Math.abs(missing.difference) >= 0.01)
    said.push(`${share(missing.current)} are missing, ${share(missing.reference)} before`);
  if (unseenShare !== null && unseenShare >= 0.01)
    said.push(`${share(unseenShare)} are values never seen before`);
  return said.length === 0 ? '' : `; ${said.join('; ')}`;
}
