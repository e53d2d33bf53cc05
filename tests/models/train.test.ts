import { beforeAll, describe, expect, it } from 'vitest';
import { initialiseBackend, type TrainingBackend } from '../../models/backend.ts';
import { fitCalendar, scoreBaseline } from '../../models/baseline.ts';
import { createRaw } from '../../models/body.ts';
import { createCalibrator } from '../../models/calibration.ts';
import { createDense, sigmoid } from '../../models/dense.ts';
import { createEncoder } from '../../models/encoder.ts';
import { auc, metricsOf } from '../../models/metrics.ts';
import { tensorflowScores, train } from '../../models/train.ts';
import { defaultTrainSpec, type TrainSpec, trainSpecOf } from '../../models/train-spec.ts';
import { splitByTime, type Trained } from '../../models/trainer.ts';
import { cellsOfColumns } from './cells.ts';
import { NAMES, syntheticDataset } from './fixtures.ts';

const spec: TrainSpec = {
  ...trainSpecOf({ hidden: [16, 8], 'cycle.hour': 24, seed: 7, batchSize: 64 }, NAMES),
  epochs: 8,
};
const dataset = syntheticDataset(6_000, 1);
const fresh = syntheticDataset(3_000, 2);

function networkOf({ body }: Trained) {
  if (body.kind !== 'dense') throw new Error('a network was trained');
  return body;
}

function scoresOf(model: Trained, rows: Float64Array): Float64Array {
  const raw = createRaw(model.body);
  const calibrate = createCalibrator(model.calibration);
  return Float64Array.from({ length: rows.length / NAMES.length }, (_, row) =>
    calibrate(raw.logit(rows, row * NAMES.length)),
  );
}

let backend: TrainingBackend;
let model: Trained;

beforeAll(async () => {
  backend = await initialiseBackend();
  model = await train(dataset, spec);
});

describe('backend', () => {
  it('takes the best that loads, and says which and why', () => {
    expect(['tensorflow', 'wasm']).toContain(backend.name);
    expect(backend.reason).toContain(backend.name);
    if (backend.name === 'wasm') expect(backend.reason).toContain('not available: tensorflow');
    expect(model.backend).toBe(backend.name);
  });
});

describe('training', () => {
  it('learns what the calendar cannot know', () => {
    const metrics = metricsOf(scoresOf(model, fresh.rows), fresh.labels);
    const cells = cellsOfColumns(dataset.rows, NAMES.length, 2, 2);
    const calendar = fitCalendar(cells, dataset.labels);
    const baseline = Float64Array.from(cellsOfColumns(fresh.rows, NAMES.length, 2, 2), (cell) =>
      scoreBaseline(calendar, cell),
    );
    expect(metrics.auc).toBeGreaterThan((auc(baseline, fresh.labels) ?? 1) + 0.05);
    expect(metrics.auc).toBeGreaterThan(0.85);
    expect(metrics.calibrationError).toBeLessThan(0.06);
  });

  it('agrees with TensorFlow.js to 1e-6 on every row', () => {
    const encoder = createEncoder(networkOf(model).encoder);
    const count = fresh.labels.length;
    const inputs = new Float32Array(count * encoder.width);
    for (let row = 0; row < count; row++) {
      encoder.encode(fresh.rows, inputs, row * encoder.width, row * NAMES.length);
    }
    const theirs = tensorflowScores(networkOf(model).layers, inputs);
    const network = createDense(networkOf(model).layers);
    let worst = 0;
    for (let row = 0; row < count; row++) {
      const input = inputs.subarray(row * encoder.width, (row + 1) * encoder.width);
      worst = Math.max(worst, Math.abs(sigmoid(network.logit(input)) - (theirs[row] ?? 1)));
    }
    expect(worst).toBeLessThan(1e-6);
    expect(model.engineDifference).toBeLessThan(1e-6);
    expect(model.engineDifference).toBeGreaterThan(0);
  });

  it('law: the same seed gives the same bits, another seed others', async () => {
    const short = { ...spec, epochs: 2 };
    const [first, second, other] = [
      await train(dataset, short),
      await train(dataset, short),
      await train(dataset, { ...short, seed: 8 }),
    ];
    expect(second).toEqual(first);
    expect(other?.body).not.toEqual(first?.body);
  });

  it('keeps the epoch that was best on later rows, and stops when patience ends', async () => {
    // 300 rows against 32 x 32 units: it soon learns its rows by heart.
    const few = syntheticDataset(300, 3);
    const found = await train(few, {
      ...defaultTrainSpec,
      hidden: [32, 32],
      epochs: 200,
      learningRate: 0.01,
      batchSize: 16,
      patience: 3,
    });
    expect(found.epochs.length).toBeLessThan(200);
    expect(found.epochs.length - found.bestEpoch).toBe(3);
    const losses = found.epochs.map((epoch) => epoch.validation.logLoss);
    expect(losses[found.bestEpoch - 1]).toBe(Math.min(...losses));
    expect(found.validation.logLoss).toBe(Math.min(...losses));
  });

  it('reports each epoch as it ends', async () => {
    const seen: number[] = [];
    await train(dataset, { ...spec, epochs: 2 }, { onEpoch: ({ epoch }) => seen.push(epoch) });
    expect(seen).toEqual([1, 2]);
  });

  it('stops between two batches when it is told to', async () => {
    const stop = new AbortController();
    const running = train(
      dataset,
      { ...spec, epochs: 50 },
      { signal: stop.signal, onEpoch: () => stop.abort() },
    );
    await expect(running).rejects.toThrow('abort');
  });

  it('lets others work between batches', async () => {
    let turns = 0;
    const pause = async () => {
      turns++;
    };
    await train(dataset, { ...spec, epochs: 1 }, { pause });
    expect(turns).toBeGreaterThan(3);
  });

  it('calibrates on the later slice when asked, in the artefact as in the scores', async () => {
    const found = await train(dataset, { ...spec, epochs: 2, calibration: 'isotonic' });
    expect(found.calibration.kind).toBe('isotonic');
    expect(found.validation.calibrationError).toBeLessThan(found.epochs[1]?.validation.calibrationError ?? 0);
  });

  it('says what is wrong with a data set, or a rate that is too high', async () => {
    await expect(train({ ...dataset, labels: dataset.labels.subarray(1) }, spec)).rejects.toThrow(
      'fit together',
    );
    await expect(train(dataset, { ...spec, learningRate: 1e38 })).rejects.toThrow('lower the learning rate');
  });
});

describe('the split by time', () => {
  it('never cuts a moment in two, and puts the later rows aside', () => {
    //  time     1 1 1 1 2 3 3 3 3 3     a share of 0.2 would cut inside the 3s
    //           |-- training -|
    const times = Float64Array.of(3, 1, 3, 1, 3, 1, 2, 3, 1, 3);
    const { training, validation, cutTime } = splitByTime(times, 0.2);
    expect(cutTime).toBe(3);
    expect([...training]).toEqual([1, 3, 5, 6, 8]);
    expect([...validation]).toEqual([0, 2, 4, 7, 9]);
    expect(splitByTime(Float64Array.of(1, 1, 1, 2), 0.5).cutTime).toBe(2);
    expect(() => splitByTime(Float64Array.of(1, 1), 0.5)).toThrow('one moment');
  });
});

describe('parameters of a declared trainer', () => {
  it('become a spec', () => {
    const parsed = trainSpecOf({ hidden: [80, 64], epochs: 3, 'cycle.hour': 24, 'nulls.noise': 0 }, NAMES);
    expect(parsed.hidden).toEqual([80, 64]);
    expect(parsed.epochs).toBe(3);
    expect(parsed.patience).toBe(defaultTrainSpec.patience);
    expect(parsed.encoder.features).toEqual({ hour: { period: 24 }, noise: { nulls: { value: 0 } } });
  });

  it('are refused by name', () => {
    expect(() => trainSpecOf({ epoch: 3 }, NAMES)).toThrow('"epoch" is not known');
    expect(() => trainSpecOf({ epochs: 0 }, NAMES)).toThrow('"epochs" is 0');
    expect(() => trainSpecOf({ hidden: [1.5] }, NAMES)).toThrow('"hidden"');
    expect(() => trainSpecOf({ 'cycle.hours': 24 }, NAMES)).toThrow('"hours" is no feature');
    expect(() => trainSpecOf({ calibration: 'best' }, NAMES)).toThrow('none, platt or isotonic');
  });
});
