import { beforeAll, describe, expect, it } from 'vitest';
import { loadProject } from '../../../config/load.ts';
import { parseArtefact } from '../../../models/artefact.ts';
import { CannotLearn } from '../../../models/cannot-learn.ts';
import { createScorer } from '../../../models/scorer.ts';
import type { Parameters } from '../../../models/trainer.ts';
import { trainers } from '../../../models/trainers.ts';
import type { DataSet } from '../../../pipelines/training/dataset.ts';
import { type FitOptions, type FitTrial, fitModel, fitTrial } from '../../../pipelines/training/fit.ts';
import { fitApart } from '../../../pipelines/training/fit-apart.ts';
import { layoutHash } from '../../../schemas/layout.ts';
import type { Model, Project } from '../../../schemas/project.ts';
import { TRAINERS, type TrainerName } from '../../../schemas/trainer.ts';
import { NAMES, syntheticDataset } from '../../models/fixtures.ts';

/** The parameter that says how long a trainer trains, where it has one. */
const lengthOf = (name: TrainerName) =>
  ['epochs', 'rounds'].find((parameter) => trainers[name].parameters.includes(parameter));

const QUICK: Readonly<Record<TrainerName, Model['trainer']['parameters']>> = {
  dense: { hidden: [8], epochs: 4, batchSize: 64, learningRate: 0.01 },
  logistic: { epochs: 20, patience: 20 },
  trees: { rounds: 20, leaves: 8 },
};

let project: Project;
let base: Model;

beforeAll(() => {
  project = loadProject('config', { environment: {}, prefix: 'fit-test' });
  const [first] = project.models;
  if (first === undefined) throw new Error('the project declares a model');
  const features = NAMES.map((name) => ({
    kind: 'on_demand' as const,
    name,
    expression: null,
    evaluate: () => null,
  }));
  base = {
    ...first,
    features,
    layoutHash: layoutHash(features),
  };
});

function dataSet(rows: number, seed: number): DataSet {
  const { rows: values, labels, times } = syntheticDataset(rows, seed);
  return {
    ids: Array.from(labels, (_, row) => `row ${row}`),
    times,
    rows: values,
    labels,
    cells: Int16Array.from(labels, (_, row) => row % 168),
    logged: 0,
    backfilled: rows,
    untold: 0,
    query: 'SELECT 1',
    from: times[0] ?? 0,
    to: (times.at(-1) ?? 0) + 1,
    hash: 'a'.repeat(64),
  } as DataSet;
}

const optionsOf = (trainer: TrainerName, more: Partial<FitOptions> = {}): FitOptions => ({
  project,
  model: { ...base, trainer: { name: trainer, parameters: QUICK[trainer] } },
  training: dataSet(2_000, 1),
  test: dataSet(500, 2),
  asOf: 978_307_200_000,
  codeVersion: 'test',
  ...more,
});

describe.each(TRAINERS.map((name) => [name] as const))('a fit by %s', (name) => {
  it('is an artefact that says how it was made, with figures by epoch and what it took', async () => {
    const told: [number, number][] = [];
    const engines: string[] = [];
    const fitted = await fitModel(
      optionsOf(name, {
        onEpoch: ({ epoch }, of) => told.push([epoch, of]),
        onBackend: (engine) => engines.push(engine.name),
      }),
    );
    const { manifest } = parseArtefact(fitted.bytes, fitted.address);
    expect(manifest.trainer).toMatchObject({
      name,
      parameters: QUICK[name],
      bestEpoch: fitted.trained.bestEpoch,
    });
    expect(manifest.importance.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 12);
    expect(fitted.epochs.map(({ epoch }) => epoch)).toEqual(told.map(([epoch]) => epoch));
    expect(fitted.epochs.length).toBeGreaterThan(0);
    expect(engines).toEqual([fitted.backend.name]);
    expect(fitted.durationMs).toBeGreaterThan(0);
    expect(fitted.test?.model.logLoss).toBeLessThan(fitted.test?.baseRate.logLoss ?? 0);
    const scores = new Float64Array(500);
    createScorer(fitted.artefact).scoreBatch(dataSet(500, 2).rows, 500, scores);
    expect(fitted.testScores).toEqual(scores);
  });

  it('takes parameters in the place of declared ones, and names them in its manifest', async () => {
    const parameters = { validationShare: 0.3, seed: 9 };
    const { artefact, parameters: used, trained } = await fitModel(optionsOf(name, { parameters }));
    expect(used).toEqual({ ...QUICK[name], ...parameters });
    expect(artefact.manifest.trainer.parameters).toEqual(used);
    expect(trained.split.validationRows).toBe(600);
  });

  it('is refused where all labels are the same', async () => {
    const training = dataSet(200, 1);
    training.labels.fill(0);
    await expect(fitModel(optionsOf(name, { training }))).rejects.toThrow(
      'All 200 labels are false, so there is nothing to tell apart',
    );
    const single = dataSet(1, 1);
    await expect(fitModel(optionsOf(name, { training: single }))).rejects.toThrow('The only label is');
  });

  const length = lengthOf(name);

  it.runIf(length)('is a trial on a share of its epochs, at least one', async () => {
    const { model, training } = optionsOf(name);
    const all = QUICK[name].epochs ?? QUICK[name].rounds ?? 0;
    const half = await fitTrial(model, training, {}, 0.5);
    expect(half.parameters[String(length)]).toBe(Number(all) / 2);
    expect(half.trained.rounds).toBeLessThanOrEqual(Number(all) / 2);
    expect((await fitTrial(model, training, {}, 0.001)).trained.rounds).toBe(1);
    const again = await fitTrial(model, training, {}, 0.5);
    expect(again.trained).toEqual(half.trained);
  });

  it.runIf(length)(
    'ends when a signal arrives while it works, since whatever waits gets its turn',
    async () => {
      const stop = new AbortController();
      const parameters = { [String(length)]: 5_000, patience: 5_000 };
      const onBackend = () => setTimeout(() => stop.abort(new Error('stopped by hand')));
      const training = dataSet(20_000, 3);
      await expect(
        fitModel(optionsOf(name, { training, parameters, onBackend, signal: stop.signal })),
      ).rejects.toThrow('stopped by hand');
    },
  );

  it('in a thread of its own gives the same bits, and tells the same on the way', async () => {
    const tell = async (more: Partial<FitOptions>) => {
      const told: unknown[] = [];
      const fitted = await fitModel(
        optionsOf(name, {
          ...more,
          onBackend: (engine) => told.push(engine),
          onEpoch: (report, of) => told.push({ report, of }),
        }),
      );
      return { told, bytes: fitted.bytes };
    };
    const here = await tell({});
    expect(await tell({ trial: fitApart })).toEqual(here);
    expect(here.told.length).toBeGreaterThan(1);
  });

  it.runIf(length)('ends in its thread too when a signal arrives', async () => {
    const stop = new AbortController();
    const parameters = { [String(length)]: 5_000, patience: 5_000 };
    const onEpoch = () => stop.abort(new Error('stopped by hand'));
    const more = { training: dataSet(2_000, 3), parameters, onEpoch, signal: stop.signal, trial: fitApart };
    await expect(fitModel(optionsOf(name, more))).rejects.toThrow('stopped by hand');
  });

  it('says in a sentence what is wrong with its parameters', async () => {
    const work = fitModel(optionsOf(name, { parameters: { depth: 0 } }));
    await expect(work).rejects.toBeInstanceOf(CannotLearn);
    await expect(work).rejects.toThrow('Trainer parameter "depth" is');
    const apart = fitModel(optionsOf(name, { parameters: { patience: 0 }, trial: fitApart }));
    await expect(apart).rejects.toBeInstanceOf(CannotLearn);
    await expect(apart).rejects.toThrow('Trainer parameter "patience" is');
  });
});

it('a trial of a trainer that has neither epochs nor rounds is its whole training', async () => {
  const once = 'once' as TrainerName;
  const { prepare } = trainers.logistic;
  const given: Parameters[] = [];
  Object.assign(trainers, {
    once: {
      name: once,
      parameters: ['l2'],
      prepare(parameters: Parameters, features: readonly string[]) {
        given.push(parameters);
        return prepare(parameters, features);
      },
    },
  });
  try {
    const model = { ...base, trainer: { name: once, parameters: { l2: 0.1 } } };
    await fitTrial(model, dataSet(500, 1), {}, 0.5);
    expect(given).toEqual([{ l2: 0.1 }]);
  } finally {
    Reflect.deleteProperty(trainers, once);
  }
});

it('a training in a thread leaves the turns of its process to others', async () => {
  const busy = async (trial: FitTrial) => {
    const { model, training } = optionsOf('trees', { training: dataSet(60_000, 4) });
    const before = performance.eventLoopUtilization();
    await trial(model, training, { rounds: 40, leaves: 64 });
    return performance.eventLoopUtilization(before).utilization;
  };
  expect(await busy(fitTrial)).toBeGreaterThan(0.8);
  expect(await busy(fitApart)).toBeLessThan(0.3);
});
