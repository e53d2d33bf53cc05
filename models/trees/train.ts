/**
 * Gradient-boosted trees for two classes (Friedman, Annals of Statistics 29, 2001; second order as in Chen and Guestrin,
 * KDD 2016). The same rows, spec and seed give the same bits on any machine that rounds as IEEE 754 says and has the
 * same `Math.exp`.
 */
import { createRaw, rawOutputs } from '../body.ts';
import { checkDataset, type Dataset } from '../dataset.ts';
import { sigmoid } from '../dense.ts';
import { finish } from '../finish.ts';
import { logLoss, metricsOf } from '../metrics.ts';
import { createRandom } from '../random.ts';
import {
  breathe,
  type EpochReport,
  logOdds,
  splitByTime,
  type TrainControl,
  type Trained,
} from '../trainer.ts';
import { type Binned, binFeature, fitEdges } from './bins.ts';
import type { Forest } from './forest.ts';
import { addTree, createGrower, type Tree } from './grow.ts';
import type { TreesSpec } from './spec.ts';

/** Of a small forest every round is told, of a large one each tenth. */
const TELL_EVERY = 10;

/**
 * Gradients and curvatures are rounded to multiples of 2^-30: sums of up to four million of them are then exact, in
 * whatever order, and a histogram by subtraction is the one that counting would have given.
 */
const GRID = 2 ** 30;

export async function trainTrees(
  dataset: Dataset,
  spec: TreesSpec,
  control: TrainControl = {},
): Promise<Trained> {
  checkDataset(dataset);
  const { names, rows, labels } = dataset;
  const width = names.length;
  const split = splitByTime(dataset.times, spec.validationShare);
  const { training, validation } = split;
  const edges: Float64Array[] = [];
  const binned: Binned = { rows: training.length, bins: new Uint8Array(training.length * width) };
  const later: Binned = { rows: validation.length, bins: new Uint8Array(validation.length * width) };
  for (let feature = 0; feature < width; feature++) {
    const own = fitEdges(rows, width, feature, training, spec.bins);
    edges.push(own);
    binFeature(rows, width, feature, training, own, binned);
    binFeature(rows, width, feature, validation, own, later);
    await breathe(control);
  }
  const targets = Uint8Array.from(training, (row) => labels[row] as number);
  const laterLabels = Uint8Array.from(validation, (row) => labels[row] as number);

  const bias = logOdds(targets);
  const outputs = new Float64Array(training.length).fill(bias);
  const laterOutputs = new Float64Array(validation.length).fill(bias);
  const gradients = new Float64Array(training.length);
  const curvatures = new Float64Array(training.length);
  const grower = createGrower(binned, edges, spec);
  const random = createRandom(spec.seed);
  const bag = Math.max(1, Math.round(training.length * spec.rowShare));
  const columns = Math.max(1, Math.round(width * spec.featureShare));
  const bagged = new Uint32Array(training.length);
  const features = Uint32Array.from({ length: width }, (_, at) => at);

  const trees: Tree[] = [];
  const epochs: EpochReport[] = [];
  let best = { round: 0, loss: logLoss(laterOutputs.map(sigmoid), laterLabels) };
  let told = Number.POSITIVE_INFINITY;
  for (let round = 1; round <= spec.rounds; round++) {
    for (let row = 0; row < outputs.length; row++) {
      const p = sigmoid(outputs[row] as number);
      gradients[row] = Math.round((p - (targets[row] as number)) * GRID) / GRID;
      curvatures[row] = Math.max(1, Math.round(p * (1 - p) * GRID)) / GRID;
    }
    const out = drawRows(bagged, bag, random.next);
    random.shuffle(features);
    const chosen = features.slice(0, columns).sort();
    const tree = grower.grow(bagged, bag, chosen, gradients, curvatures, (value, from, to) => {
      for (let at = from; at < to; at++) {
        const row = bagged[at] as number;
        outputs[row] = (outputs[row] as number) + value;
      }
    });
    trees.push(tree);
    if (out.length > 0) addTree(tree, binned, edges, outputs, out);
    addTree(tree, later, edges, laterOutputs, null);

    const scores = laterOutputs.map(sigmoid);
    const loss = logLoss(scores, laterLabels);
    if (loss < best.loss) best = { round, loss };
    const ends = round === spec.rounds || round - best.round >= spec.patience || tree.splits.length === 0;
    if (round % TELL_EVERY === 0 || ends) {
      const report: EpochReport = {
        epoch: round,
        trainingLoss: logLoss(outputs.map(sigmoid), targets),
        validation: metricsOf(scores, laterLabels),
        best: loss < told,
      };
      told = Math.min(told, loss);
      epochs.push(report);
      control.onEpoch?.(report);
    }
    await breathe(control);
    if (ends) break;
  }

  const body = { kind: 'trees' as const, ...flatten(trees.slice(0, best.round), bias, width) };
  return {
    ...finish(dataset, split, spec, body, rawOutputs(createRaw(body), rows, width, validation)),
    epochs,
    rounds: trees.length,
    bestEpoch: best.round,
    backend: 'typescript',
    engineDifference: null,
  };
}

/**
 * Draws `wanted` rows into the front of `rows`, rising (Knuth's selection sampling, as in `sampleRows`).
 *
 * @returns the rows left out.
 */
function drawRows(rows: Uint32Array, wanted: number, next: () => number): Uint32Array {
  const out = new Uint32Array(rows.length - wanted);
  let taken = 0;
  for (let row = 0; row < rows.length; row++) {
    if (wanted === rows.length || next() * (rows.length - row) < wanted - taken) rows[taken++] = row;
    else out[row - taken] = row;
  }
  return out;
}

/** Many trees in the flat arrays that are kept. */
function flatten(trees: readonly Tree[], bias: number, features: number): Forest {
  const splits = trees.flatMap((tree) => tree.splits);
  const roots: number[] = [];
  const left: number[] = [];
  const right: number[] = [];
  const leaves: number[] = [];
  let nodes = 0;
  for (const tree of trees) {
    const move = (child: number) => (child >= 0 ? child + nodes : ~(~child + leaves.length));
    roots.push(tree.splits.length === 0 ? ~leaves.length : nodes);
    left.push(...tree.left.map(move));
    right.push(...tree.right.map(move));
    leaves.push(...tree.leaves);
    nodes += tree.splits.length;
  }
  return {
    features,
    precision: 'double',
    bias,
    roots: Int32Array.from(roots),
    feature: Int32Array.from(splits, (split) => split.feature),
    threshold: Float64Array.from(splits, (split) => split.threshold),
    left: Int32Array.from(left),
    right: Int32Array.from(right),
    nullLeft: Uint8Array.from(splits, (split) => (split.nullLeft ? 1 : 0)),
    leaves: Float64Array.from(leaves),
    leafRows: Int32Array.from(trees.flatMap((tree) => tree.leafRows)),
  };
}
