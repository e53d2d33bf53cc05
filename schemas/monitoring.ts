import type { EventExpression } from './event.ts';

/** How the distribution of a window is compared with that of its reference. */
export const DRIFT_STATISTICS = ['psi', 'js', 'ks', 'wasserstein', 'chi2'] as const;
export type DriftStatistic = (typeof DRIFT_STATISTICS)[number];

/** A part of the requests that is judged by itself: all requests with the same answer of the expression. */
export interface Slice {
  readonly name: string;
  /** The expression as it is written. */
  readonly by: string;
  /** Of the request. Null: in no slice. */
  readonly evaluate: EventExpression<string>;
  /** Slices with fewer labelled rows in a window are left out. */
  readonly minRows: number;
  /** Values with a slice of their own in a window: the largest; the rest is one slice, `other`. */
  readonly atMost: number;
}

export interface DriftRule {
  readonly statistic: DriftStatistic;
  /** Least effect, in units of the statistic. */
  readonly minEffect: number;
  /** Least rows in the window and in its reference. */
  readonly minCount: number;
  /** Share of wrong alerts among all of a tick that is accepted (Benjamini and Hochberg). */
  readonly falseDiscoveryRate: number;
  /** Budget over all features of the model; thresholds are set from the reference so that it holds. */
  readonly falseAlarmsPerMonth: number;
  /** Features that are calendar by nature: compared and shown, never alerted on. */
  readonly calendar: readonly string[];
}

/** How a model is watched. Windows of event time, [k * every, (k + 1) * every) in UTC. */
export interface Monitoring {
  /** Length of a window and distance between two, ms. */
  readonly every: number;
  /** Event time before a window with which it is compared, ms. */
  readonly reference: number;
  /** A window is looked at again, at each tick, until its labels are complete or this long after its end, ms. */
  readonly labelWait: number;
  /** Of the intervals, 0.95. */
  readonly confidence: number;
  readonly slices: readonly Slice[];
  readonly drift: DriftRule;
}

/** Ends of the windows of all models after `time`, the first of them; infinity where nothing is watched. Epoch ms. */
export function tickAfter(
  { models }: { readonly models: readonly { readonly monitoring: Pick<Monitoring, 'every'> }[] },
  time: number,
): number {
  const next = models.map(({ monitoring: { every } }) => (Math.floor(time / every) + 1) * every);
  return Math.min(...next, Number.POSITIVE_INFINITY);
}

export const QUALITY_STATISTICS = [
  'auc',
  'pr_auc',
  'log_loss',
  'brier',
  'calibration_error',
  'precision',
  'recall',
  'base_rate',
  'label_coverage',
] as const;
export type QualityStatistic = (typeof QUALITY_STATISTICS)[number];

/** What can be said before the labels are there. */
export const ESTIMATED_STATISTICS = ['auc', 'log_loss', 'brier', 'precision', 'recall', 'base_rate'] as const;
export type EstimatedStatistic = (typeof ESTIMATED_STATISTICS)[number];

/** Subject of what is measured of the label, among the names of features. */
export const LABEL_SUBJECT = 'label';

/** Everything that is measured, by what it tells of. One table holds all; alert rules name these. */
export const MEASURES = {
  quality: QUALITY_STATISTICS, // with labels
  estimate: ESTIMATED_STATISTICS, // while labels are pending
  drift: [...DRIFT_STATISTICS, 'missing', 'new_categories'], // of a feature, the score or the label
  detector: ['page_hinkley', 'adwin', 'ddm'], // on loss and score
  data: ['volume', 'volume_z', 'rejected', 'late', 'nulls', 'out_of_range'],
  freshness: [
    'feature_age_p50',
    'feature_age_p99',
    'watermark_delay_p50',
    'watermark_delay_p99',
    'label_delay_p50',
    'label_delay_p99',
  ],
  resource: ['cpu', 'memory', 'event_loop_delay', 'gc'], // of a process
} as const satisfies Readonly<Record<string, readonly string[]>>;
export type MeasureKind = keyof typeof MEASURES;
export const MEASURE_KINDS = Object.keys(MEASURES) as readonly MeasureKind[];

/** One figure of one window. */
export interface Measure {
  readonly kind: MeasureKind;
  /** `log_loss`, `psi`, `volume`. */
  readonly statistic: string;
  /** Empty where it is of no model. */
  readonly model: string;
  /** 0 where it is of no version. */
  readonly version: number;
  /** Feature, source, view, code or process that it is of; empty where of the whole. */
  readonly subject: string;
  /** `origin=ORD`; empty for all requests. */
  readonly slice: string;
  /** Window of event time, epoch ms: from <= time < to. */
  readonly from: number;
  readonly to: number;
  /** The tick at which it was measured, epoch ms of event time: windows with pending labels are measured again. */
  readonly tick: number;
  /** Null where the window has no answer; `detail` says why. */
  readonly value: number | null;
  readonly low: number | null;
  readonly high: number | null;
  readonly rows: number;
  /** For drift: the threshold that `value` was held against, and whether it was passed. */
  readonly threshold: number | null;
  readonly fired: boolean;
  /** JSON: whatever else belongs to it. */
  readonly detail: string;
}
