/**
 * Logistic regression on encoded columns, all rows at once: limited-memory BFGS (Liu and Nocedal, Mathematical
 * Programming 45, 1989) on the mean log loss plus l2 / 2 times the squared weights. It draws nothing by chance; the
 * encoded columns are kept in memory, four bytes a value.
 */

import { createRaw, type ModelBody, rawOutputs } from './body.ts';
import { CannotLearn } from './cannot-learn.ts';
import { checkDataset, type Dataset } from './dataset.ts';
import { sigmoid } from './dense.ts';
import { createEncoder, defaultEncoderSpec, type EncoderSpec, fitEncoder } from './encoder.ts';
import { finish } from './finish.ts';
import { createMinimiser } from './lbfgs.ts';
import { metricsOf } from './metrics.ts';
import {
  COMMON_RULES,
  type CommonSpec,
  checkedParameters,
  ENCODER_PARAMETERS,
  encoderSpecOf,
  rules,
} from './parameters.ts';
import {
  breathe,
  type EpochReport,
  logOdds,
  type Parameters,
  splitByTime,
  type TrainControl,
  type Trained,
} from './trainer.ts';

export interface LogisticSpec extends CommonSpec {
  /** Most steps; it stops sooner where it has arrived. */
  readonly epochs: number;
  /** Weight of half the sum of squared weights in the mean loss. */
  readonly l2: number;
  readonly encoder: EncoderSpec;
}

const defaultLogisticSpec: LogisticSpec = {
  epochs: 100,
  l2: 0.0001,
  patience: 10,
  seed: 1,
  validationShare: 0.1,
  calibration: 'none',
  encoder: defaultEncoderSpec,
};

const NUMBERS = { ...COMMON_RULES, epochs: rules.whole(1, 10_000), l2: rules.from0to(1_000) };

export const LOGISTIC_PARAMETERS: readonly string[] = [
  ...Object.keys(NUMBERS),
  'calibration',
  ...ENCODER_PARAMETERS,
];

/** @throws CannotLearn naming the parameter that is unknown or out of range. */
export function logisticSpecOf(parameters: Parameters, features: readonly string[]): LogisticSpec {
  const { encoder, rest } = encoderSpecOf(parameters, features);
  return { ...defaultLogisticSpec, ...checkedParameters(rest, NUMBERS, LOGISTIC_PARAMETERS), encoder };
}

/** Rows between two turns of others. */
const BLOCK = 32_768;

export async function trainLogistic(
  dataset: Dataset,
  spec: LogisticSpec,
  control: TrainControl = {},
): Promise<Trained> {
  checkDataset(dataset);
  const { rows, labels, names } = dataset;
  const split = splitByTime(dataset.times, spec.validationShare);
  const { training, validation } = split;
  const encoderData = fitEncoder(names, rows, spec.encoder, training);
  const encoder = createEncoder(encoderData);
  const width = encoder.width;
  if (width === 0) throw new CannotLearn('No feature is encoded: the regression would have no inputs.');
  const inputs = new Float32Array(training.length * width);
  for (let at = 0; at < training.length; at++) {
    encoder.encode(rows, inputs, at * width, (training[at] as number) * names.length);
    if (at % BLOCK === 0) await breathe(control);
  }
  const targets = Uint8Array.from(training, (row) => labels[row] as number);
  const laterLabels = Uint8Array.from(validation, (row) => labels[row] as number);

  /** Mean loss at a point (weights, then the intercept), and its gradient. The intercept costs nothing. */
  const evaluate = async (point: Float64Array, gradient: Float64Array): Promise<number> => {
    gradient.fill(0);
    let loss = 0;
    for (let from = 0; from < training.length; from += BLOCK) {
      loss += addLoss(inputs, targets, width, from, Math.min(training.length, from + BLOCK), point, gradient);
      await breathe(control);
    }
    loss /= training.length;
    for (let at = 0; at <= width; at++) {
      const weight = at < width ? (point[at] as number) : 0;
      gradient[at] = (gradient[at] as number) / training.length + spec.l2 * weight;
      loss += (spec.l2 / 2) * weight * weight;
    }
    return loss;
  };

  const start = new Float64Array(width + 1);
  start[width] = logOdds(targets);
  const minimiser = await createMinimiser(start, evaluate);
  const bodyOf = (point: Float64Array): Extract<ModelBody, { kind: 'logistic' }> => ({
    kind: 'logistic',
    encoder: encoderData,
    weights: point.slice(0, width),
    intercept: point[width] as number,
  });
  const outputsOf = (body: ModelBody) => rawOutputs(createRaw(body), rows, names.length, validation);

  const epochs: EpochReport[] = [];
  let best: { readonly epoch: number; readonly loss: number; readonly body: ModelBody } | null = null;
  for (let epoch = 1; epoch <= spec.epochs; epoch++) {
    const moved = await minimiser.step();
    const body = bodyOf(minimiser.point);
    const metrics = metricsOf(outputsOf(body).map(sigmoid), laterLabels);
    const better = best === null || metrics.logLoss < best.loss;
    if (better) best = { epoch, loss: metrics.logLoss, body };
    const report = { epoch, trainingLoss: minimiser.value, validation: metrics, best: better };
    epochs.push(report);
    control.onEpoch?.(report);
    if (!moved || (best !== null && epoch - best.epoch >= spec.patience)) break;
  }
  if (best === null) throw new CannotLearn(`Training needs at least one epoch, not ${spec.epochs}.`);
  return {
    ...finish(dataset, split, spec, best.body, outputsOf(best.body)),
    epochs,
    rounds: epochs.length,
    bestEpoch: best.epoch,
    backend: 'typescript',
    engineDifference: null,
  };
}

/** Adds gradient and loss of the rows [from, to). */
function addLoss(
  inputs: Float32Array,
  targets: Uint8Array,
  width: number,
  from: number,
  to: number,
  point: Float64Array,
  gradient: Float64Array,
): number {
  let loss = 0;
  for (let row = from; row < to; row++) {
    const start = row * width;
    let z = point[width] as number;
    for (let at = 0; at < width; at++) z += (point[at] as number) * (inputs[start + at] as number);
    const target = targets[row] as number;
    loss += z >= 0 ? (1 - target) * z + Math.log1p(Math.exp(-z)) : Math.log1p(Math.exp(z)) - target * z;
    const error = sigmoid(z) - target;
    for (let at = 0; at < width; at++)
      gradient[at] = (gradient[at] as number) + error * (inputs[start + at] as number);
    gradient[width] = (gradient[width] as number) + error;
  }
  return loss;
}
