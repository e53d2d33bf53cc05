/**
 * Trains one dense network. Call `initialiseBackend` first. The same rows, spec and seed on the same backend give the
 * same bits: weights are drawn and rows shuffled by our own seeded generator, on one thread.
 */

import * as tf from '@tensorflow/tfjs-core';
import { createRaw, type ModelBody, rawOutputs } from './body.ts';
import { CannotLearn } from './cannot-learn.ts';
import { checkDataset, type Dataset } from './dataset.ts';
import { type DenseLayer, faultOfLayers, sigmoid } from './dense.ts';
import { createEncoder, fitEncoder } from './encoder.ts';
import { finish } from './finish.ts';
import { metricsOf } from './metrics.ts';
import { createRandom, type Random } from './random.ts';
import type { TrainSpec } from './train-spec.ts';
import { type EpochReport, splitByTime, type TrainControl, type Trained } from './trainer.ts';

export type { EpochReport };

type DenseBody = Extract<ModelBody, { kind: 'dense' }>;

/** He and others (ICCV 2015) for the hidden layers, Glorot and Bengio (AISTATS 2010) for the last. */
function drawLayer(random: Random, inputs: number, units: number, hidden: boolean): DenseLayer {
  const deviation = hidden ? Math.sqrt(2 / inputs) : Math.sqrt(2 / (inputs + units));
  return {
    inputs,
    units,
    activation: hidden ? 'relu' : 'linear',
    kernel: Float32Array.from({ length: inputs * units }, () => random.normal() * deviation),
    bias: new Float32Array(units),
  };
}

interface Variables {
  readonly kernel: tf.Variable<tf.Rank.R2>;
  readonly bias: tf.Variable<tf.Rank.R1>;
  readonly hidden: boolean;
}

function logitsOf(variables: readonly Variables[], inputs: tf.Tensor2D): tf.Tensor2D {
  let values = inputs;
  for (const { kernel, bias, hidden } of variables) {
    values = tf.fused.matMul({
      a: values,
      b: kernel,
      bias,
      activation: hidden ? 'relu' : 'linear',
    }) as tf.Tensor2D;
  }
  return values;
}

/** The probabilities TensorFlow.js itself computes for encoded inputs: what the published scorer is compared with. */
export function tensorflowScores(layers: readonly DenseLayer[], inputs: Float32Array): Float32Array {
  return tf.tidy(() => {
    const width = layers[0]?.inputs ?? 0;
    let values: tf.Tensor2D = tf.tensor2d(inputs, [inputs.length / width, width]);
    for (const layer of layers) {
      values = tf.fused.matMul({
        a: values,
        b: tf.tensor2d(layer.kernel, [layer.inputs, layer.units]),
        bias: tf.tensor1d(layer.bias),
        activation: layer.activation,
      }) as tf.Tensor2D;
    }
    return tf.sigmoid(values).dataSync() as Float32Array;
  });
}

function readLayers(variables: readonly Variables[]): DenseLayer[] {
  return variables.map(({ kernel, bias, hidden }) => ({
    inputs: kernel.shape[0],
    units: kernel.shape[1],
    activation: hidden ? ('relu' as const) : ('linear' as const),
    kernel: Float32Array.from(kernel.dataSync()),
    bias: Float32Array.from(bias.dataSync()),
  }));
}

function differenceOf(body: DenseBody, rows: Float64Array, chosen: Uint32Array): number {
  const encoder = createEncoder(body.encoder);
  const inputs = new Float32Array(chosen.length * encoder.width);
  chosen.forEach((row, at) => {
    encoder.encode(rows, inputs, at * encoder.width, row * encoder.features);
  });
  const theirs = tensorflowScores(body.layers, inputs);
  const ours = rawOutputs(createRaw(body), rows, encoder.features, chosen);
  return ours.reduce(
    (worst, logit, at) => Math.max(worst, Math.abs(sigmoid(logit) - (theirs[at] as number))),
    0,
  );
}

export async function train(dataset: Dataset, spec: TrainSpec, control: TrainControl = {}): Promise<Trained> {
  checkDataset(dataset);
  const { rows, labels } = dataset;
  const split = splitByTime(dataset.times, spec.validationShare);
  const { training, validation } = split;
  const encoderData = fitEncoder(dataset.names, rows, spec.encoder, training);
  const encoder = createEncoder(encoderData);
  const width = encoder.width;
  if (width === 0) throw new CannotLearn('No feature is encoded: the network would have no inputs.');
  const random = createRandom(spec.seed);
  const sizes = [width, ...spec.hidden, 1];
  const drawn = sizes
    .slice(1)
    .map((units, at) => drawLayer(random, sizes[at] as number, units, at < spec.hidden.length));

  const variables: Variables[] = drawn.map((layer) => ({
    kernel: tf.variable(tf.tensor2d(layer.kernel, [layer.inputs, layer.units])),
    bias: tf.variable(tf.tensor1d(layer.bias)),
    hidden: layer.activation === 'relu',
  }));
  const trainable = variables.flatMap(({ kernel, bias }) => [kernel, bias] as tf.Variable[]);
  const optimizer = tf.train.adam(spec.learningRate);
  const batchSize = Math.min(spec.batchSize, training.length);
  const batches = Math.floor(training.length / batchSize);
  const steps = batches * spec.epochs;
  const inputs = new Float32Array(batchSize * width);
  const targets = new Float32Array(batchSize);
  const order = Uint32Array.from(training);
  const validationLabels = Uint8Array.from(validation, (row) => labels[row] as number);

  const bodyOf = (layers: readonly DenseLayer[]): DenseBody => ({
    kind: 'dense',
    encoder: encoderData,
    layers,
  });
  const outputsOf = (layers: readonly DenseLayer[]): Float64Array =>
    rawOutputs(createRaw(bodyOf(layers)), rows, encoder.features, validation);

  /** One step of Adam on `targets.length` rows; the loss, as a tensor that the caller disposes of. */
  const step = (): tf.Scalar =>
    tf.tidy(() => {
      const x = tf.tensor2d(inputs, [batchSize, width]);
      const y = tf.tensor2d(targets, [batchSize, 1]);
      const { value, grads } = tf.variableGrads(() => {
        const loss: tf.Scalar = tf.losses.sigmoidCrossEntropy(y, logitsOf(variables, x));
        if (spec.l2 === 0) return loss;
        const squares = variables.map(({ kernel }) => tf.sum(tf.square(kernel)));
        return tf.add(loss, tf.mul(tf.addN(squares), spec.l2)) as tf.Scalar;
      }, trainable);
      optimizer.applyGradients(Object.entries(grads).map(([name, tensor]) => ({ name, tensor })));
      return value;
    });

  const reports: EpochReport[] = [];
  let best: { readonly epoch: number; readonly loss: number; readonly layers: DenseLayer[] } | null = null;
  try {
    for (let epoch = 1; epoch <= spec.epochs; epoch++) {
      random.shuffle(order);
      let lossSum = 0;
      for (let batch = 0; batch < batches; batch++) {
        for (let at = 0; at < batchSize; at++) {
          const row = order[batch * batchSize + at] as number;
          encoder.encode(rows, inputs, at * width, row * encoder.features);
          targets[at] = labels[row] as number;
        }
        const done = (epoch - 1) * batches + batch;
        setLearningRate(optimizer, (spec.learningRate * (1 + Math.cos((Math.PI * done) / steps))) / 2);
        const loss = step();
        lossSum += loss.dataSync()[0] as number;
        loss.dispose();
        if (batch % 16 === 0) {
          await control.pause?.();
          control.signal?.throwIfAborted();
        }
      }
      const layers = readLayers(variables);
      if (!Number.isFinite(lossSum) || faultOfLayers(layers) !== null) {
        throw new CannotLearn(
          `Training diverged in epoch ${epoch}: lower the learning rate (now ${spec.learningRate}).`,
        );
      }
      const metrics = metricsOf(outputsOf(layers).map(sigmoid), validationLabels);
      const better = best === null || metrics.logLoss < best.loss;
      if (better) best = { epoch, loss: metrics.logLoss, layers };
      const report = { epoch, trainingLoss: lossSum / batches, validation: metrics, best: better };
      reports.push(report);
      control.onEpoch?.(report);
      if (best !== null && epoch - best.epoch >= spec.patience) break;
    }
  } finally {
    for (const variable of trainable) variable.dispose();
    optimizer.dispose();
  }
  if (best === null) throw new CannotLearn(`Training needs at least one epoch, not ${spec.epochs}.`);

  return {
    ...finish(dataset, split, spec, bodyOf(best.layers), outputsOf(best.layers)),
    epochs: reports,
    rounds: reports.length,
    bestEpoch: best.epoch,
    backend: tf.getBackend(),
    engineDifference: differenceOf(bodyOf(best.layers), rows, validation.subarray(0, 1_000)),
  };
}

/** Adam reads its rate at each step but keeps it protected; there is no public way to plan it. */
function setLearningRate(optimizer: tf.AdamOptimizer, rate: number): void {
  (optimizer as unknown as { learningRate: number }).learningRate = rate;
}
