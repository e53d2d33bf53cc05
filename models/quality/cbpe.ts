/**
 * Confidence-based performance estimation: if a score of .3 means that three in ten are positive, the scores alone tell
 * what the figures will be, since every label is a coin of known bias. NannyML, "Estimation of performance of the
 * monitored model" (CBPE); Bialek and others, "Estimating model performance under covariate shift without labels" (2024);
 * the idea for accuracy: Garg and others, "Leveraging unlabeled data to predict out-of-distribution performance" (2022).
 * It sees a shift of the inputs. It cannot see that the same inputs have come to mean something else.
 *
 * Each interval is of the true figure of this very window. Its width is the standard deviation by the chance of the labels
 * (independent coins given their probabilities, Poisson-binomial; delta method for what is no sum), times what earlier
 * windows of the model teach (conformal.ts): where its calibration wandered, their errors were larger than chance allows.
 */
import { ESTIMATED_STATISTICS, type EstimatedStatistic } from '../../schemas/monitoring.ts';
import { LOG_LOSS_CLIP } from '../metrics.ts';
import { conformalWidth } from './conformal.ts';
import type {
  Estimated,
  EstimateErrors,
  EstimateOptions,
  LabelFreeEstimate,
  MissingReason,
  Quality,
} from './types.ts';

interface Centre {
  readonly value: number;
  readonly sd: number;
}

/** What the figures of a window will probably be, from its scores alone. */
export function estimateQuality(scores: Float64Array, options: EstimateOptions): Estimated {
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i] as number;
    if (!(score >= 0 && score <= 1)) {
      throw new RangeError(`Row ${i} has the score ${score}; a probability is 0 to 1.`);
    }
  }
  const sorted = scores.slice().sort();
  const chances = options.recalibrate === undefined ? sorted : sorted.map(options.recalibrate);
  for (let i = 0; i < chances.length; i++) {
    if (!((chances[i] as number) >= 0 && (chances[i] as number) <= 1)) {
      throw new RangeError(`The recalibration of ${sorted[i]} is ${chances[i]}; a probability is 0 to 1.`);
    }
  }
  const pastErrors = options.pastErrors ?? [];
  const centres = scores.length === 0 ? null : centresOf(sorted, chances, options.threshold);
  const figure = (statistic: EstimatedStatistic): LabelFreeEstimate => {
    const centre = centres === null ? 'no_rows' : centres[statistic];
    if (typeof centre === 'string') return { value: null, low: null, high: null, sd: null, reason: centre };
    const width = centre.sd * conformalWidth(standardised(pastErrors, statistic), options.confidence ?? 0.95);
    const most = statistic === 'log_loss' ? Number.POSITIVE_INFINITY : 1;
    return {
      value: centre.value,
      low: Math.max(0, centre.value - width),
      high: Math.min(most, centre.value + width),
      sd: centre.sd,
      reason: null,
    };
  };
  return {
    rows: scores.length,
    pastWindows: pastErrors.length,
    figures: {
      auc: figure('auc'),
      log_loss: figure('log_loss'),
      brier: figure('brier'),
      precision: figure('precision'),
      recall: figure('recall'),
      base_rate: figure('base_rate'),
    },
  };
}

function standardised(past: readonly EstimateErrors[], statistic: EstimatedStatistic): number[] {
  return past.flatMap((errors) => {
    const one = errors[statistic];
    return one !== undefined && one.sd > 0 ? [one.error / one.sd] : [];
  });
}

/** @param scores rising; `chances` go with them. */
function centresOf(
  scores: Float64Array,
  chances: Float64Array,
  threshold: number,
): Record<EstimatedStatistic, Centre | MissingReason> {
  const rows = scores.length;
  let [ones, decided, hits, variance, decidedVariance] = [0, 0, 0, 0, 0];
  let [loss, lossVariance, square, squareVariance] = [0, 0, 0, 0];
  for (let i = 0; i < rows; i++) {
    const score = scores[i] as number;
    const chance = chances[i] as number;
    const coin = chance * (1 - chance);
    ones += chance;
    variance += coin;
    if (score >= threshold) {
      decided++;
      hits += chance;
      decidedVariance += coin;
    }
    const lossOfOne = -Math.log(Math.max(LOG_LOSS_CLIP, Math.min(1 - LOG_LOSS_CLIP, score)));
    const lossOfZero = -Math.log(Math.max(LOG_LOSS_CLIP, Math.min(1 - LOG_LOSS_CLIP, 1 - score)));
    loss += chance * lossOfOne + (1 - chance) * lossOfZero;
    lossVariance += coin * (lossOfOne - lossOfZero) ** 2;
    square += chance * (1 - score) ** 2 + (1 - chance) * score ** 2;
    squareVariance += coin * (1 - 2 * score) ** 2;
  }
  const recall = hits / ones;
  return {
    auc: aucCentre(scores, chances, ones, variance),
    log_loss: { value: loss / rows, sd: Math.sqrt(lossVariance) / rows },
    brier: { value: square / rows, sd: Math.sqrt(squareVariance) / rows },
    precision:
      decided === 0 ? 'no_decision' : { value: hits / decided, sd: Math.sqrt(decidedVariance) / decided },
    recall:
      ones === 0
        ? 'no_positives'
        : {
            value: recall,
            sd:
              Math.sqrt((1 - recall) ** 2 * decidedVariance + recall ** 2 * (variance - decidedVariance)) /
              ones,
          },
    base_rate: { value: ones / rows, sd: Math.sqrt(variance) / rows },
  };
}

/**
 * Expected pairs in the right order over expected pairs of one positive and one negative row, a row never with itself.
 * Its standard deviation by the delta method: what one label more moves it by, times that label's own deviation.
 */
function aucCentre(
  scores: Float64Array,
  chances: Float64Array,
  ones: number,
  variance: number,
): Centre | MissingReason {
  const rows = scores.length;
  if (scores[0] === scores[rows - 1]) return 'constant_score';
  const zeros = rows - ones;
  const pairs = ones * zeros - variance;
  if (!(pairs > 1e-12)) return 'one_class';
  const moves = new Float64Array(rows);
  let right = 0;
  let [onesBelow, zerosBelow] = [0, 0];
  for (let from = 0; from < rows; ) {
    let [to, tiedOnes, tiedCoins] = [from, 0, 0];
    while (to < rows && scores[to] === scores[from]) {
      const chance = chances[to++] as number;
      tiedOnes += chance;
      tiedCoins += chance * (1 - chance);
    }
    const tiedZeros = to - from - tiedOnes;
    const onesAbove = ones - onesBelow - tiedOnes;
    right += tiedOnes * zerosBelow + (tiedOnes * tiedZeros - tiedCoins) / 2;
    for (let i = from; i < to; i++) {
      const chance = chances[i] as number;
      // As a positive it beats the negatives below; as a negative it is beaten by the positives above; ties half.
      moves[i] = zerosBelow + (tiedZeros - (1 - chance)) / 2 - onesAbove - (tiedOnes - chance) / 2;
    }
    onesBelow += tiedOnes;
    zerosBelow += tiedZeros;
    from = to;
  }
  const auc = Math.min(1, Math.max(0, right / pairs));
  let squares = 0;
  for (let i = 0; i < rows; i++) {
    const chance = chances[i] as number;
    const slope = (moves[i] as number) - auc * (zeros - (1 - chance) - (ones - chance));
    squares += chance * (1 - chance) * slope * slope;
  }
  return { value: auc, sd: Math.sqrt(squares) / pairs };
}

/** What an estimate was wrong by, once `truth` (the same window, with its labels) is known. */
export function errorsOf(estimated: Estimated, truth: Quality): EstimateErrors {
  const errors: { -readonly [S in EstimatedStatistic]?: { error: number; sd: number } } = {};
  for (const statistic of ESTIMATED_STATISTICS) {
    const { value, sd } = estimated.figures[statistic];
    const true_ = truth.figures[statistic].value;
    if (value !== null && sd !== null && true_ !== null) errors[statistic] = { error: true_ - value, sd };
  }
  return errors;
}
