import { MIN_QUIET, quietThresholds, type Threshold } from './calibrate.ts';
import { effectOf, isBroken, pOf } from './effect.ts';
import { benjaminiHochberg } from './significance.ts';
import type { Comparison, DriftFeature, DriftInput, DriftReason, DriftRule, DriftVerdict } from './types.ts';

/** Least move of the share of missing values that is worth an alert. */
const MIN_MISSING = 0.05;
/** Least rise of the share of values never seen before. */
const MIN_UNSEEN = 0.01;

/** What may speak for a feature, and its part of the budget of false alarms. */
const PARTS = { values: 1 / 2, missing: 1 / 4, new_categories: 1 / 4 } as const;

/**
 * Which features drifted: those that fired first, each part by what the change may do to the model (shift x
 * importance).
 *
 * A feature has three faces: its distribution (the rule's statistic), its share of missing values, and that of values
 * never seen before, where one renamed category of many shows that a distance hardly feels. It fires where the effect of
 * one is at least the declared one and more than quiet windows reach within its part of the budget of false alarms
 * (calibrate.ts), where both windows have enough rows, and where p, adjusted over all faces of all features, keeps the
 * declared rate of false discoveries. A window that is stuck or all missing need not pass the quiet ones, unless some
 * of them were so too. What is calendar by nature is compared and ranked, but neither fires nor counts among what is
 * compared.
 */
export function decideDrift({ features, rule }: DriftInput): DriftVerdict[] {
  const watched = features.filter(({ calendar }) => !calendar);
  const values = quietOfAll(watched, rule, 'values', ({ nullEffects }) => nullEffects);
  const missing = quietOfAll(watched, rule, 'missing', ({ nullMissing }) => nullMissing ?? []);
  const unseen = quietOfAll(watched, rule, 'new_categories', ({ nullUnseen }) => nullUnseen ?? []);
  const byFeature = features.map((feature) => ({
    own: valuesFace(feature, rule, values.get(feature.name) ?? UNKNOWN),
    shares: [
      missingFace(feature, rule, missing.get(feature.name) ?? UNKNOWN),
      ...unseenFace(feature, rule, unseen.get(feature.name) ?? UNKNOWN),
    ],
  }));
  const faces = byFeature.flatMap(({ own, shares }) => [own, ...shares]);
  const tested = faces.filter(({ barred }) => barred === null);
  const qs = benjaminiHochberg(tested.map(({ p }) => p ?? 1));
  const qOf = new Map(tested.map((face, i) => [face, qs[i] ?? 1]));
  const importances = importanceShares(features);
  const judge = (face: Face) => judged(face, qOf.get(face) ?? null, rule);
  return features
    .flatMap(({ name, comparison }, i) => {
      const feature = byFeature[i];
      if (feature === undefined) return [];
      const best = feature.shares
        .map(judge)
        .reduce((spoken, next) => (speaksBefore(next, spoken) ? next : spoken), judge(feature.own));
      const { shift, known: _, least: __, ...verdict } = best;
      return {
        shift,
        verdict: {
          name,
          ...verdict,
          why: sentence(best, comparison, rule),
          impact: shift * (importances.get(name) ?? 0),
        },
      };
    })
    .sort(
      ({ verdict: a, shift }, { verdict: b, shift: other }) =>
        Number(b.fired) - Number(a.fired) ||
        b.impact - a.impact ||
        other - shift ||
        (a.name < b.name ? -1 : 1),
    )
    .map(({ verdict }) => verdict);
}

const UNKNOWN: Threshold = { quiet: null, usual: null };

function quietOfAll(
  features: readonly DriftFeature[],
  rule: DriftRule,
  part: keyof typeof PARTS,
  effects: (feature: DriftFeature) => readonly number[],
) {
  return quietThresholds(
    features.map((feature) => ({ name: feature.name, effects: effects(feature) })),
    {
      falseAlarmsPerMonth: rule.falseAlarmsPerMonth * PARTS[part],
      ticksPerMonth: rule.ticksPerMonth,
      minEffect: { values: rule.minEffect, missing: MIN_MISSING, new_categories: MIN_UNSEEN }[part],
      squared: part === 'values' && rule.statistic === 'psi',
    },
  );
}

interface Face {
  readonly statistic: DriftVerdict['statistic'];
  readonly effect: number | null;
  readonly least: number;
  readonly threshold: number;
  readonly known: Threshold;
  readonly p: number | null;
  readonly barred: DriftReason | null;
}

function faceOf(feature: DriftFeature, rule: DriftRule, face: Omit<Face, 'barred'>): Face {
  const { comparison, calendar } = feature;
  const rows = Math.min(comparison.referenceRows, comparison.currentRows);
  const few = rows < rule.minCount || face.effect === null;
  return { ...face, barred: calendar ? 'calendar' : few ? 'too_few' : null };
}

function valuesFace(feature: DriftFeature, rule: DriftRule, known: Threshold): Face {
  const { comparison, nullBroken = 0 } = feature;
  const news = isBroken(comparison) && nullBroken === 0;
  return faceOf(feature, rule, {
    statistic: rule.statistic,
    effect: effectOf(comparison, rule.statistic),
    least: rule.minEffect,
    threshold: news ? rule.minEffect : Math.max(rule.minEffect, known.quiet ?? 0),
    known,
    p: pOf(comparison, rule.statistic),
  });
}

function missingFace(feature: DriftFeature, rule: DriftRule, known: Threshold): Face {
  const { missing } = feature.comparison;
  return faceOf(feature, rule, {
    statistic: 'missing',
    effect: missing === null ? null : Math.abs(missing.difference),
    least: MIN_MISSING,
    threshold: Math.max(MIN_MISSING, known.quiet ?? 0),
    known,
    p: missing?.p ?? null,
  });
}

/** None for a feature of too many values to know them all. */
function unseenFace(feature: DriftFeature, rule: DriftRule, known: Threshold): Face[] {
  const { unseen } = feature.comparison;
  if (unseen === null) return [];
  return [
    faceOf(feature, rule, {
      statistic: 'new_categories',
      effect: Math.max(0, unseen.difference),
      least: MIN_UNSEEN,
      threshold: Math.max(MIN_UNSEEN, known.quiet ?? 0),
      known,
      p: unseen.p,
    }),
  ];
}

type Judged = ReturnType<typeof judged>;

function judged(face: Face, q: number | null, rule: DriftRule) {
  const { statistic, effect, least, threshold, p, known } = face;
  const reason = face.barred ?? reasonOf(face, q ?? 1, rule);
  const shift = effect === null ? 0 : effect / Math.max(threshold, 1e-12);
  return { statistic, effect, least, threshold, p, q, fired: reason === 'fired', reason, shift, known };
}

/** A share speaks for a feature only where it fires, and is further beyond its threshold than what would speak else. */
function speaksBefore(share: Judged, other: Judged): boolean {
  return share.fired && (!other.fired || share.shift > other.shift);
}

function reasonOf({ effect, least, threshold }: Face, q: number, rule: DriftRule): DriftReason {
  if ((effect ?? 0) < least) return 'small_effect';
  if ((effect ?? 0) < threshold) return 'usual_effect';
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
  missing: 'a move of the share of missing values by',
  new_categories: 'a rise of the share of values never seen before by',
} as const;

const digits = (value: number) => Number(value.toPrecision(3)).toString();
const share = (value: number) => `${digits(value * 100)} %`;

function sentence(one: Judged, comparison: Comparison, rule: DriftRule): string {
  const { statistic, reason, effect, least, threshold, q, known } = one;
  const value = effect === null ? 'Nothing to compare' : `${UNITS[statistic]} ${digits(effect)}`;
  return `${capital(value)}${outcome()}${details(comparison)}.`;

  function outcome(): string {
    switch (reason) {
      case 'calendar':
        return ', and it changes with the calendar, so it is not alerted on';
      case 'too_few':
        return `: ${comparison.currentRows} rows against ${comparison.referenceRows}, where ${rule.minCount} are needed on each side`;
      case 'small_effect':
        return ` is below the least effect of ${digits(least)}`;
      case 'usual_effect':
        return ` is below ${digits(threshold)}, which quiet windows pass no more often than the budget allows`;
      case 'not_significant':
        return ` is large, but chance alone could do it with so few rows (q = ${digits(q ?? 1)})`;
      default:
        return known.usual === null
          ? ` is at or above the least effect of ${digits(threshold)}, which alone counts: fewer than ${MIN_QUIET} quiet windows are known`
          : ` is at or above ${digits(threshold)}, where a quiet window has ${digits(known.usual)}`;
    }
  }
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

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
