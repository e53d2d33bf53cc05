import {
  type Artefact,
  addressOf,
  type Manifest,
  parseArtefact,
  serialiseArtefact,
} from '../../models/artefact.ts';
import type { Calibration } from '../../models/calibration.ts';
import type { Dataset } from '../../models/dataset.ts';
import type { DenseLayer } from '../../models/dense.ts';
import { encodedNames, fitEncoder } from '../../models/encoder.ts';
import { createRandom } from '../../models/random.ts';
import { defaultTrainSpec } from '../../models/train-spec.ts';
import { layoutHash } from '../../schemas/layout.ts';

export const NAMES = ['a.sum', 'b.mean', 'hour', 'noise'] as const;

/** Labels that depend on a curve of `b.mean`, on the hour, and on whether `b.mean` is null. Times rise by a minute. */
export function syntheticDataset(rows: number, seed: number): Dataset {
  const random = createRandom(seed);
  const values = new Float64Array(rows * NAMES.length);
  const labels = new Uint8Array(rows);
  const times = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    const sum = Math.exp(random.normal() * 2);
    const mean = random.next() < 0.1 ? Number.NaN : random.normal() * 30;
    const hour = random.next() * 24;
    values.set([sum, mean, hour, random.normal()], row * NAMES.length);
    const curve = Number.isNaN(mean) ? 1 : Math.abs(mean) / 15 - 1.5;
    const logit = 1.5 * curve + 2 * Math.sin((hour * Math.PI) / 12) + 0.4 * Math.log(sum);
    labels[row] = random.next() < 1 / (1 + Math.exp(-logit)) ? 1 : 0;
    times[row] = 978_307_200_000 + row * 60_000;
  }
  return { names: NAMES, rows: values, labels, times };
}

export function randomLayers(sizes: readonly number[], seed: number): DenseLayer[] {
  const random = createRandom(seed);
  return sizes.slice(1).map((units, at) => {
    const inputs = sizes[at] ?? 0;
    return {
      inputs,
      units,
      activation: at === sizes.length - 2 ? ('linear' as const) : ('relu' as const),
      kernel: Float32Array.from({ length: inputs * units }, () => random.normal() * Math.sqrt(2 / inputs)),
      bias: Float32Array.from({ length: units }, () => random.normal() * 0.1),
    };
  });
}

const FIGURES = {
  rows: 100,
  positives: 20,
  baseRate: 0.2,
  meanScore: 0.21,
  auc: 0.9,
  logLoss: 0.27,
  brier: 0.08,
  calibrationError: 0.01,
};

export function manifestOf(names: readonly string[], expressions: Record<string, string> = {}): Manifest {
  return {
    model: 'late',
    task: 'binary',
    features: [...names],
    expressions,
    layoutHash: layoutHash(names.map((name) => ({ name, expression: expressions[name] ?? null }))),
    threshold: 0.5,
    importance: names.map(() => 1 / names.length),
    trainer: {
      name: 'dense',
      backend: 'wasm',
      parameters: { hidden: [8], seed: 1 },
      epochs: 3,
      bestEpoch: 2,
      engineDifference: 1e-7,
    },
    dataset: {
      query: 'SELECT 1',
      from: 978_912_000_000,
      to: 989_798_400_000,
      rows: 900,
      loggedRows: 400,
      backfilledRows: 500,
      hash: 'ab12',
    },
    metrics: { validation: FIGURES, test: FIGURES, baseRate: { ...FIGURES, auc: null }, calendar: null },
    codeVersion: '0.1.0',
    createdFrom: 'cd34',
    asOf: 989_798_400_000,
    card: { purpose: 'Says whether a flight will be late.', limits: 'Learnt from one half-year.' },
  };
}

/** A model with random weights on an encoder that was really fitted. */
export function randomArtefact(seed: number, calibration: Calibration = { kind: 'none' }): Artefact {
  const dataset = syntheticDataset(400, seed);
  const encoder = fitEncoder(dataset.names, dataset.rows, {
    ...defaultTrainSpec.encoder,
    features: { hour: { period: 24 }, noise: { nulls: { value: 0 }, missing: 'always' } },
  });
  return {
    manifest: manifestOf(dataset.names),
    body: {
      kind: 'dense',
      encoder,
      layers: randomLayers([encodedNames(encoder).length, 9, 6, 1], seed),
    },
    calibration,
  };
}

export function roundTrip(artefact: Artefact): Artefact {
  const bytes = serialiseArtefact(artefact);
  return parseArtefact(bytes, addressOf(bytes));
}
