import { errorsOf, estimateQuality } from '../../models/quality/cbpe.ts';
import { qualityBySlice, qualityOf } from '../../models/quality/quality.ts';
import {
  type Estimated,
  type EstimateErrors,
  MISSING_REASONS,
  type Quality,
} from '../../models/quality/types.ts';
import { ESTIMATED_STATISTICS, type Measure, QUALITY_STATISTICS } from '../../schemas/monitoring.ts';
import type { Model } from '../../schemas/project.ts';
import { detailOf, measure } from '../measures.ts';
import { labelledRows, type ScoredWindow, type SliceNames } from '../window.ts';

/** With this share of its labels a window counts as known: its estimate is held against it, its losses are watched. */
const SETTLED_COVERAGE = 0.98;

/** How long after its end a window waits for its labels, ms: the declared wait, and what they need to mature. */
export function waitOf({ monitoring, label }: Pick<Model, 'monitoring' | 'label'>): number {
  return monitoring.labelWait + label.maturity;
}

/** What earlier ticks said of a version's window. */
export interface Earlier {
  /** Its labels were known by then. */
  readonly settled: boolean;
  /** All of them had come: nothing can change. */
  readonly complete: boolean;
  /** Measures of its estimate when it was new, by statistic. */
  readonly estimates: ReadonlyMap<string, Measure>;
}

export interface JudgedWindow {
  readonly measures: readonly Measure[];
  readonly quality: Quality;
  /** Its labels are known, and were not at the tick before. */
  readonly settles: boolean;
}

/**
 * A window of a version at a tick: what its labels say, whole and by slice, and beside it what its scores alone said
 * when it was new.
 */
export function judgeWindow(
  model: Model,
  window: ScoredWindow,
  tick: number,
  earlier: Earlier,
  slices: SliceNames,
  pastErrors: readonly EstimateErrors[],
): JudgedWindow {
  const { confidence } = model.monitoring;
  const { threshold } = model;
  const { version, from, to, by } = window;
  const labelled = labelledRows(window);
  const predicted = window.scores.length;
  const options = { threshold, confidence, seed: Math.floor(from / 1_000) };
  const quality = qualityOf(labelled.scores, labelled.labels, { ...options, predicted });
  const coverage = predicted === 0 ? 0 : labelled.rows.length / predicted;
  const settled = coverage >= SETTLED_COVERAGE || to + waitOf(model) <= tick;
  const shared = { model: model.name, version, from, to, tick };
  const note = { settled, complete: coverage === 1 && model.label.which === 'first', by };

  const measures = qualityMeasures(shared, '', quality, note);
  for (const { slice, of } of slices) {
    const names = window.ids.map((id) => of.get(id) ?? null);
    const predictedBySlice = new Map<string, number>();
    for (const name of names)
      if (name !== null) predictedBySlice.set(name, (predictedBySlice.get(name) ?? 0) + 1);
    const parts = qualityBySlice(
      labelled.scores,
      labelled.labels,
      labelled.rows.map((row) => names[row] ?? null),
      { ...options, minRows: slice.minRows, predictedBySlice, resamples: 0 },
    );
    for (const part of parts) measures.push(...qualityMeasures(shared, part.slice, part.quality, { by }));
  }

  const estimated = estimateQuality(window.scores, { threshold, confidence, pastErrors });
  const settles = settled && !earlier.settled;
  measures.push(...estimateMeasures(shared, estimated, quality, earlier, settled));
  return { measures, quality, settles };
}

type Shared = Pick<Measure, 'model' | 'version' | 'from' | 'to' | 'tick'>;

function qualityMeasures(shared: Shared, slice: string, quality: Quality, note: object): Measure[] {
  return QUALITY_STATISTICS.map((statistic) => {
    const { value, low, high, reason } = quality.figures[statistic];
    return measure({
      ...shared,
      kind: 'quality',
      statistic,
      slice,
      value,
      low,
      high,
      rows: statistic === 'label_coverage' ? quality.predicted : quality.rows,
      detail: {
        ...note,
        ...(statistic === 'base_rate' ? { positives: quality.positives, mean_score: quality.meanScore } : {}),
        ...(statistic === 'calibration_error' && slice === '' ? { curve: quality.reliability } : {}),
        ...(reason === null ? {} : { why: `${sentenceOf(reason)}` }),
      },
    });
  });
}

const sentenceOf = (reason: keyof typeof MISSING_REASONS) => {
  const text = MISSING_REASONS[reason];
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
};

/** As it stood when the window was new; once the labels are known, with what it was wrong by. */
function estimateMeasures(
  shared: Shared,
  estimated: Estimated,
  quality: Quality,
  earlier: Earlier,
  settled: boolean,
): Measure[] {
  const errors = errorsOf(estimated, quality);
  return ESTIMATED_STATISTICS.map((statistic) => {
    const first = earlier.estimates.get(statistic);
    const { value, low, high, sd, reason } =
      first === undefined ? estimated.figures[statistic] : asFigure(first);
    const truth = quality.figures[statistic].value;
    const error = errors[statistic];
    const known = settled && truth !== null && value !== null && error !== undefined;
    return measure({
      ...shared,
      kind: 'estimate',
      statistic,
      value,
      low,
      high,
      rows: first?.rows ?? estimated.rows,
      detail: {
        sd,
        past_windows: first === undefined ? estimated.pastWindows : detailOf(first).past_windows,
        ...(reason === null ? {} : { why: reason }),
        ...(known
          ? {
              truth,
              error: truth - value,
              covered: low !== null && high !== null && truth >= low && truth <= high,
            }
          : {}),
      },
    });
  });
}

function asFigure(one: Measure) {
  const { sd, why } = detailOf(one);
  return {
    value: one.value,
    low: one.low,
    high: one.high,
    sd: typeof sd === 'number' ? sd : null,
    reason: typeof why === 'string' ? why : null,
  };
}

/** What estimates of earlier windows were wrong by, one entry a window, from their measures. */
export function pastErrorsOf(measures: readonly Measure[]): EstimateErrors[] {
  const windows = new Map<string, Record<string, { error: number; sd: number }>>();
  for (const one of measures) {
    const { error, sd } = detailOf(one);
    if (typeof error !== 'number' || typeof sd !== 'number') continue;
    const key = `${one.from} ${one.version}`;
    const errors = windows.get(key) ?? {};
    errors[one.statistic] = { error, sd };
    windows.set(key, errors);
  }
  return [...windows.values()];
}

/** What the measures before a tick say of each window of each version, by `from version`. */
export function earlierOf(measures: readonly Measure[]): Map<string, Earlier> {
  const found = new Map<string, { settled: boolean; complete: boolean; estimates: Map<string, Measure> }>();
  const of = ({ from, version }: Measure) => {
    const key = `${from} ${version}`;
    const one = found.get(key) ?? { settled: false, complete: false, estimates: new Map() };
    found.set(key, one);
    return one;
  };
  for (const one of measures) {
    if (one.kind === 'estimate') {
      const { estimates } = of(one);
      const known = estimates.get(one.statistic);
      if (known === undefined || one.tick < known.tick) estimates.set(one.statistic, one);
    }
    if (one.kind === 'quality' && one.statistic === 'label_coverage' && one.slice === '') {
      const { settled, complete } = detailOf(one);
      const window = of(one);
      window.settled ||= settled === true;
      window.complete ||= complete === true;
    }
  }
  return found;
}
