import type { EstimatedStatistic, QualityStatistic } from '../../schemas/monitoring.ts';
import type { ReliabilityBin } from '../metrics.ts';

/** Figures of a window of predictions, each with an interval, under the names that the table of measures uses. */

/** Why a figure has no value. */
export const MISSING_REASONS = {
  no_rows: 'the window has no rows with a label',
  none_predicted: 'nothing was predicted in the window',
  one_class: 'all labels are the same, so there is nothing to rank',
  constant_score: 'all scores are the same, so there is nothing to rank',
  no_decision: 'no score reached the threshold',
  no_positives: 'no label is positive',
} as const;
export type MissingReason = keyof typeof MISSING_REASONS;

/** A figure with its interval. `value` is null, and `reason` says why, where the window has no answer; never NaN. */
export interface Estimate {
  readonly value: number | null;
  /** Null with `value`, and where nothing can be said of the spread, as of one row. */
  readonly low: number | null;
  readonly high: number | null;
  readonly reason: MissingReason | null;
}

/** A figure estimated without labels. */
export interface LabelFreeEstimate extends Estimate {
  /** Standard deviation of the true figure around the estimate by the chance of the labels alone; null with `value`. */
  readonly sd: number | null;
}

export interface Quality {
  /** Predictions of the window, labelled or not. */
  readonly predicted: number;
  /** Those with a label: every figure but `label_coverage` is of these. */
  readonly rows: number;
  readonly positives: number;
  /** Rows whose score is at or above the threshold. */
  readonly decided: number;
  /** Null where there are no rows. */
  readonly meanScore: number | null;
  readonly figures: Readonly<Record<QualityStatistic, Estimate>>;
  /** The calibration curve: what was said and what came, by parts of equal count in the order of the scores. */
  readonly reliability: readonly ReliabilityBin[];
}

export interface QualityOptions {
  /** Score at or above which the decision is true. */
  readonly threshold: number;
  /** Predictions of the window, those without a label among them. Default: the rows given. */
  readonly predicted?: number;
  /** Of the intervals; default .95. */
  readonly confidence?: number;
  /** Of the bootstrap; default 0. The same rows and seed give the same bits. */
  readonly seed?: number;
  /** Resamples of the bootstrap; default 200. 0: `pr_auc` and `calibration_error` come without an interval, sooner. */
  readonly resamples?: number;
}

export interface SliceQuality {
  readonly slice: string;
  readonly quality: Quality;
}

/** What an estimate was wrong by once the labels came, one entry a statistic that had both. */
export type EstimateErrors = Readonly<
  Partial<
    Record<
      EstimatedStatistic,
      {
        /** Truth - estimate. */
        readonly error: number;
        /** The estimate's `sd`. */
        readonly sd: number;
      }
    >
  >
>;

export interface Estimated {
  readonly rows: number;
  /** Earlier windows that the intervals have learnt from. */
  readonly pastWindows: number;
  readonly figures: Readonly<Record<EstimatedStatistic, LabelFreeEstimate>>;
}

export interface EstimateOptions {
  readonly threshold: number;
  readonly confidence?: number;
  /** Maps a score to the chance it stands for, fitted on the reference; default: the score itself. Must be pure. */
  readonly recalibrate?: (score: number) => number;
  /** Of earlier windows of the same model whose labels have come, in any order. */
  readonly pastErrors?: readonly EstimateErrors[];
}
