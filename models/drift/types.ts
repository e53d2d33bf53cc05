import type { DriftRule as DeclaredRule, DriftStatistic } from '../../schemas/monitoring.ts';

/** What drift statistics take and give. All of it is plain data: it can be kept as JSON. */

/**
 * How the numbers of one column are counted: cell k of `edges.length + 1` holds edges[k - 1] <= x < edges[k]. Learnt
 * from the reference, and the same for every window compared with it, so that counts of windows can be added.
 */
export interface Binning {
  /** Rising, finite. A value with a cell of its own has two edges: itself and the next double. */
  readonly edges: readonly number[];
  /** Group of each cell, from 0: about ten of equal count, compared by PSI, Jensen-Shannon and chi-squared. */
  readonly groups: readonly number[];
  /**
   * True where the reference holds few distinct values (32 at most): each has a cell and a group of its own, and what
   * falls between them, never seen before, is the last group.
   */
  readonly discrete: boolean;
}

/** One window of one column. Null, NaN, infinite values and those beyond 1e100 are missing. */
export interface NumericSummary {
  readonly kind: 'numeric';
  readonly rows: number;
  /** Of `rows`. */
  readonly missing: number;
  readonly binning: Binning;
  /** Values in each cell. */
  readonly counts: readonly number[];
  /** Sum of the values in each cell, in the feature's unit: a cell stands at its mean. */
  readonly sums: readonly number[];
  /** Of the values present; 0 where there is none. */
  readonly mean: number;
  /** Sum of squared differences from the mean. */
  readonly m2: number;
  /** Least and largest value; null where there is none. */
  readonly min: number | null;
  readonly max: number | null;
}

export interface CategorySummary {
  readonly kind: 'category';
  readonly rows: number;
  readonly missing: number;
  /** Rows of each category that the reference kept. */
  readonly counts: Readonly<Record<string, number>>;
  /** Rows of categories that the reference has not seen (or, too many to keep, put together). */
  readonly others: number;
}

export type ColumnSummary = NumericSummary | CategorySummary;

/** Every column of a window of event time, from <= time < to, epoch ms. */
export interface WindowSummary {
  readonly from: number;
  readonly to: number;
  readonly columns: Readonly<Record<string, ColumnSummary>>;
}

/** A reference period, summarised once, by windows as long as those it will be compared with. */
export interface ReferenceSummary {
  readonly whole: WindowSummary;
  /** Its parts, in order of time. */
  readonly windows: readonly WindowSummary[];
}

const COMPARISON_STATUSES = [
  /** All figures that make sense for the kind of column are there. */
  'compared',
  /** No rows, or fewer than asked for, on one side. */
  'too_few',
  /** Both sides hold one and the same value, or nothing but missing ones. */
  'constant',
  /** Every value of the current window is the same, where the reference varied. */
  'stuck',
  /** The reference has values, the current window has none. */
  'all_missing',
  /** The reference has none, the current window has some. */
  'no_reference_values',
] as const;
export type ComparisonStatus = (typeof COMPARISON_STATUSES)[number];

/** Figures that cannot be had (too few rows, nothing but missing values) are null; none is ever NaN. */
export interface Comparison {
  readonly status: ComparisonStatus;
  readonly referenceRows: number;
  readonly currentRows: number;
  /** Population stability index of the groups and of missing values as one more group; nats, >= 0. */
  readonly psi: number | null;
  /** Jensen-Shannon distance of the same groups, base 2; 0 to 1. */
  readonly js: number | null;
  /** Kolmogorov-Smirnov distance of the values at the edges of the cells; 0 to 1. Null for categories. */
  readonly ks: number | null;
  readonly ksP: number | null;
  /** First Wasserstein distance of the values, each at the mean of its cell; in the feature's unit. */
  readonly wasserstein: number | null;
  /** The same in standard deviations of the reference; null where that is 0. */
  readonly wassersteinScaled: number | null;
  /** Two samples, same groups as the PSI. */
  readonly chiSquared: ChiSquared | null;
  readonly missing: TwoProportions | null;
  /**
   * Rows with values of no known category: between the values, or beside the categories, that the cells were learnt
   * from, and in the current window those too that the reference never holds. Null for what is not discrete, and for a
   * reference of so many categories that not all were kept.
   */
  readonly unseen: TwoProportions | null;
  /** `unseen.current` */
  readonly unseenShare: number | null;
}

export interface ChiSquared {
  readonly statistic: number;
  readonly degrees: number;
  readonly p: number;
  /** Cramer's V as if both samples had as many rows; 0 to 1. */
  readonly effect: number;
}

export interface TwoProportions {
  readonly reference: number;
  readonly current: number;
  /** current - reference */
  readonly difference: number;
  readonly z: number;
  /** Two-sided. */
  readonly p: number;
}

/**
 * As declared: `minEffect` in the statistic's unit (`chi2`: Cramer's V; `wasserstein`: standard deviations of the
 * reference). What the budget counts is features that fire at a tick though nothing has changed.
 */
export interface DriftRule extends Omit<DeclaredRule, 'calendar'> {
  /** Comparisons a month, e.g. 30 for one a day. */
  readonly ticksPerMonth: number;
}

export interface DriftFeature {
  readonly name: string;
  /** Changes with the calendar by nature: ranked, never fired. */
  readonly calendar: boolean;
  /** Share of the model's importance, >= 0. */
  readonly importance: number;
  readonly comparison: Comparison;
  /**
   * The same effect on past quiet windows: of the reference's own windows against its rest (`quietOf`), or of earlier
   * ticks.
   */
  readonly nullEffects: readonly number[];
  /** How far the share of missing values moved on them, >= 0. */
  readonly nullMissing?: readonly number[];
  /** By how much the share of values never seen before rose on them, >= 0. */
  readonly nullUnseen?: readonly number[];
  /** How many of them were stuck or all missing: where that happens by itself it is no news. */
  readonly nullBroken?: number;
}

export interface DriftInput {
  readonly features: readonly DriftFeature[];
  readonly rule: DriftRule;
}

const DRIFT_REASONS = [
  'fired',
  'calendar',
  'too_few',
  'small_effect',
  'usual_effect',
  'not_significant',
] as const;
export type DriftReason = (typeof DRIFT_REASONS)[number];

export interface DriftVerdict {
  readonly name: string;
  /** Which figure speaks: the rule's, or a share where that moved further beyond its threshold. */
  readonly statistic: DriftStatistic | 'missing' | 'new_categories';
  /** In that figure's unit; null where it could not be had. */
  readonly effect: number | null;
  /** What the effect must reach: the larger of the declared minimum and what quiet windows reach. */
  readonly threshold: number;
  readonly p: number | null;
  /** Benjamini-Hochberg adjusted. */
  readonly q: number | null;
  readonly fired: boolean;
  readonly reason: DriftReason;
  /** One sentence for a person. */
  readonly why: string;
  /** Shift x importance: the effect in units of its threshold, times the share of importance. The ranking. */
  readonly impact: number;
}
