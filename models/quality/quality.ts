import type { QualityStatistic } from '../../schemas/monitoring.ts';
import { CALIBRATION_BINS, LOG_LOSS_CLIP, type ReliabilityBin } from '../metrics.ts';
import { createRandom } from '../random.ts';
import { averagePrecisionEstimate, calibrationEstimate } from './bootstrap.ts';
import { meanOf, missing, normalWidth, wilson } from './interval.ts';
import { aucEstimate, type Ranking, rankingOf } from './ranking.ts';
import type { Estimate, Quality, QualityOptions, SliceQuality } from './types.ts';

/**
 * All figures of a window of labelled rows, each with an interval of how far another window of as many rows from the same
 * world might lie: rows are taken as independent of each other.
 *
 * Intervals: `auc` DeLong; `log_loss` and `brier` normal, of a mean; `precision`, `recall`, `base_rate`, `label_coverage`
 * Wilson; `pr_auc` and `calibration_error` a seeded bootstrap.
 *
 * @param scores probabilities, 0 to 1; may be empty.
 * @param labels 0 or 1, one a row.
 */
export function qualityOf(scores: Float64Array, labels: Uint8Array, options: QualityOptions): Quality {
  checkRows(scores, labels);
  const confidence = options.confidence ?? 0.95;
  const z = normalWidth(confidence);
  const rows = scores.length;
  const predicted = options.predicted ?? rows;
  if (!(predicted >= rows)) {
    throw new RangeError(
      `A window has at least as many predictions as labelled rows: ${predicted} and ${rows}.`,
    );
  }
  const coverage = predicted === 0 ? missing('none_predicted') : wilson(rows, predicted, z);
  if (rows === 0) {
    const none = missing('no_rows');
    return {
      predicted,
      rows,
      positives: 0,
      decided: 0,
      meanScore: null,
      figures: everyFigure(none, coverage),
      reliability: [],
    };
  }

  const counts = countRows(scores, labels, options.threshold);
  const { positives, decided, hits } = counts;
  const ranking = rankingOf(scores, labels);
  const reliability = reliabilityOf(ranking, rows);
  const losses = new Float64Array(rows);
  const squares = new Float64Array(rows);
  for (let i = 0; i < rows; i++) {
    const score = scores[i] as number;
    const given = labels[i] === 1 ? score : 1 - score;
    losses[i] = -Math.log(Math.min(1 - LOG_LOSS_CLIP, Math.max(LOG_LOSS_CLIP, given)));
    squares[i] = (1 - given) ** 2;
  }
  const resampling = {
    confidence,
    resamples: options.resamples ?? 200,
    random: createRandom(options.seed ?? 0),
  };
  const unranked =
    positives === 0 || positives === rows
      ? missing('one_class')
      : ranking.scores.length === 1
        ? missing('constant_score')
        : null;
  return {
    predicted,
    rows,
    positives,
    decided,
    meanScore: counts.scoreSum / rows,
    figures: {
      auc: unranked ?? aucEstimate(ranking, z),
      pr_auc: unranked ?? averagePrecisionEstimate(ranking, resampling),
      log_loss: meanOf(losses, z),
      brier: meanOf(squares, z),
      calibration_error: calibrationEstimate(reliability, resampling),
      precision: decided === 0 ? missing('no_decision') : wilson(hits, decided, z),
      recall: positives === 0 ? missing('no_positives') : wilson(hits, positives, z),
      base_rate: wilson(positives, rows, z),
      label_coverage: coverage,
    },
    reliability,
  };
}

function everyFigure(figure: Estimate, coverage: Estimate): Record<QualityStatistic, Estimate> {
  return {
    auc: figure,
    pr_auc: figure,
    log_loss: figure,
    brier: figure,
    calibration_error: figure,
    precision: figure,
    recall: figure,
    base_rate: figure,
    label_coverage: coverage,
  };
}

function checkRows(scores: Float64Array, labels: Uint8Array): void {
  if (scores.length !== labels.length) {
    throw new RangeError(`Every row needs a label: ${scores.length} scores, ${labels.length} labels.`);
  }
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i] as number;
    if (!(score >= 0 && score <= 1)) {
      throw new RangeError(`Row ${i} has the score ${score}; a probability is 0 to 1.`);
    }
    if ((labels[i] as number) > 1)
      throw new RangeError(`Row ${i} has the label ${labels[i]}; a label is 0 or 1.`);
  }
}

function countRows(scores: Float64Array, labels: Uint8Array, threshold: number) {
  let [positives, decided, hits, scoreSum] = [0, 0, 0, 0];
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i] as number;
    const label = labels[i] as number;
    scoreSum += score;
    positives += label;
    if (score >= threshold) {
      decided++;
      hits += label;
    }
  }
  return { positives, decided, hits, scoreSum };
}

/** The reliability table of models/metrics.ts from rows that are sorted already: parts of equal count, ties never cut. */
function reliabilityOf({ scores, rows, positives }: Ranking, total: number): ReliabilityBin[] {
  const table: ReliabilityBin[] = [];
  let [group, taken] = [0, 0];
  for (let bin = 1; bin <= CALIBRATION_BINS && group < rows.length; bin++) {
    const until = Math.round((bin * total) / CALIBRATION_BINS);
    const first = group;
    let [count, ones, scoreSum] = [0, 0, 0];
    while (group < rows.length && taken < until) {
      const tied = rows[group] as number;
      count += tied;
      ones += positives[group] as number;
      scoreSum += tied * (scores[group] as number);
      taken += tied;
      group++;
    }
    if (count === 0) continue;
    table.push({
      rows: count,
      meanScore: scoreSum / count,
      rate: ones / count,
      lowest: scores[first] as number,
      highest: scores[group - 1] as number,
    });
  }
  return table;
}

/**
 * The same by slice, in rising order of the name.
 *
 * @param slices the slice of each row; null: in none.
 * @param options `minRows`: slices with fewer labelled rows are left out; `predictedBySlice`: predictions of each slice,
 *   labelled or not (default: its rows).
 */
export function qualityBySlice(
  scores: Float64Array,
  labels: Uint8Array,
  slices: ReadonlyArray<string | null>,
  options: Omit<QualityOptions, 'predicted'> & {
    readonly minRows: number;
    readonly predictedBySlice?: ReadonlyMap<string, number>;
  },
): SliceQuality[] {
  if (slices.length !== scores.length) {
    throw new RangeError(`Every row needs a slice, or null: ${scores.length} rows, ${slices.length} slices.`);
  }
  const { minRows, predictedBySlice, ...rest } = options;
  return rowsBySlice(slices, minRows).map(({ slice, rows }) => {
    const predicted = predictedBySlice?.get(slice);
    return {
      slice,
      quality: qualityOf(
        Float64Array.from(rows, (row) => scores[row] as number),
        Uint8Array.from(rows, (row) => labels[row] as number),
        { ...rest, ...(predicted === undefined ? {} : { predicted }) },
      ),
    };
  });
}

/** Row numbers of each slice of at least `minRows`, in rising order of the name. */
export function rowsBySlice(
  slices: ReadonlyArray<string | null>,
  minRows: number,
): { readonly slice: string; readonly rows: readonly number[] }[] {
  const members = new Map<string, number[]>();
  slices.forEach((slice, row) => {
    if (slice === null) return;
    const rows = members.get(slice);
    if (rows === undefined) members.set(slice, [row]);
    else rows.push(row);
  });
  return [...members]
    .filter(([, rows]) => rows.length >= minRows)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([slice, rows]) => ({ slice, rows }));
}
