import { describe, expect, it } from 'vitest';
import { type Artefact, addressOf, parseArtefact, serialiseArtefact } from '../../models/artefact.ts';
import { CannotLearn } from '../../models/cannot-learn.ts';
import { type Dataset, hashDataset } from '../../models/dataset.ts';
import { metricsOf } from '../../models/metrics.ts';
import { createRandom } from '../../models/random.ts';
import { createScorer } from '../../models/scorer.ts';
import type { EpochReport, Parameters, TrainControl, Trained } from '../../models/trainer.ts';
import { prepareTraining, trainers } from '../../models/trainers.ts';
import { TRAINERS, type TrainerName } from '../../schemas/trainer.ts';
import { manifestOf, NAMES, syntheticDataset } from './fixtures.ts';

/** The laws of every trainer, each on parameters that make it quick. */
const QUICK: Readonly<Record<TrainerName, Parameters>> = {
  dense: { hidden: [16], epochs: 12, batchSize: 32, learningRate: 0.01, 'cycle.hour': 24 },
  logistic: { 'cycle.hour': 24 },
  trees: { rounds: 60, leaves: 8, minWeight: 2 },
};

const HOUR_OF = { names: ['signal', 'noise', 'hour'] } as const;

interface Row {
  readonly signal: number;
  readonly noise: number;
  readonly label: number;
}

/** Rows a minute apart of a signal, a noise and an hour that tells nothing. */
function rowsOf(
  count: number,
  seed: number,
  make: (random: ReturnType<typeof createRandom>) => Row,
): Dataset {
  const random = createRandom(seed);
  const rows = new Float64Array(count * 3);
  const labels = new Uint8Array(count);
  for (let row = 0; row < count; row++) {
    const { signal, noise, label } = make(random);
    rows.set([signal, noise, random.next() * 24], row * 3);
    labels[row] = label;
  }
  const times = Float64Array.from(labels, (_, row) => 978_307_200_000 + row * 60_000);
  return { names: HOUR_OF.names, rows, labels, times };
}

const rising = (count: number, seed: number) =>
  rowsOf(count, seed, (random) => {
    const signal = random.normal();
    return { signal, noise: random.normal(), label: random.next() < 1 / (1 + Math.exp(-2 * signal)) ? 1 : 0 };
  });

const runOn = (trainer: TrainerName, data: Dataset, more: Parameters = {}, control: TrainControl = {}) =>
  prepareTraining(trainer, { ...QUICK[trainer], ...more }, data.names).run(data, control);

function artefactOf({ names }: Dataset, trained: Trained): Artefact {
  const { body, calibration, importance } = trained;
  return { manifest: { ...manifestOf(names), importance: [...importance] }, body, calibration };
}

function scoresOf(artefact: Artefact, { rows, labels }: Dataset): Float64Array {
  const out = new Float64Array(labels.length);
  createScorer(artefact).scoreBatch(rows, labels.length, out);
  return out;
}

it('there is one trainer for each name in a model file', () => {
  expect(Object.keys(trainers).sort()).toEqual([...TRAINERS].sort());
  for (const name of TRAINERS) expect(trainers[name].name).toBe(name);
});

describe.each(TRAINERS.map((name) => [name] as const))('law of trainers: %s', (name) => {
  const data = syntheticDataset(1_500, 1);
  const fresh = syntheticDataset(1_500, 2);

  it('leaves what it is given unchanged, and gives the same bytes for the same seed', async () => {
    const before = hashDataset(data);
    const first = artefactOf(data, await runOn(name, data));
    const second = artefactOf(data, await runOn(name, data));
    expect(hashDataset(data)).toBe(before);
    expect(addressOf(serialiseArtefact(second))).toBe(addressOf(serialiseArtefact(first)));
  });

  it('scores a batch as its rows, and the same bits after it was written and read', async () => {
    for (const calibration of ['none', 'platt', 'isotonic']) {
      const artefact = artefactOf(data, await runOn(name, data, { calibration }));
      const bytes = serialiseArtefact(artefact);
      const again = parseArtefact(bytes, addressOf(bytes));
      const scores = scoresOf(artefact, fresh);
      expect(scoresOf(again, fresh)).toEqual(scores);
      expect(serialiseArtefact(again)).toEqual(bytes);
      const one = createScorer(again);
      for (let row = fresh.labels.length - 1; row >= 0; row -= 7)
        expect(one.score(fresh.rows.slice(row * NAMES.length, (row + 1) * NAMES.length))).toBe(scores[row]);
    }
  });

  it('learns a planted signal: better than the base rate on rows it never saw', async () => {
    const trained = await runOn(name, data);
    const found = metricsOf(scoresOf(artefactOf(data, trained), fresh), fresh.labels);
    const { baseRate } = found;
    const entropy = -(baseRate * Math.log(baseRate) + (1 - baseRate) * Math.log(1 - baseRate));
    expect(found.logLoss).toBeLessThan(entropy - 0.05);
    expect(found.auc).toBeGreaterThan(0.72);
    expect(trained.validation.rows).toBe(trained.split.validationRows);
  });

  it('rises where the truth rises', async () => {
    const artefact = artefactOf(rising(3_000, 5), await runOn(name, rising(3_000, 5)));
    const scorer = createScorer(artefact);
    // The mean over noise and hour, at each tenth of the signal.
    const means = [-1.5, -1, -0.5, 0, 0.5, 1, 1.5].map((signal) => {
      let sum = 0;
      for (const noise of [-1, 0, 1])
        for (const hour of [3, 12, 21]) sum += scorer.score(Float64Array.of(signal, noise, hour));
      return sum / 9;
    });
    expect(means).toEqual([...means].sort((a, b) => a - b));
    expect((means.at(-1) ?? 0) - (means[0] ?? 1)).toBeGreaterThan(0.6);
  });

  it('shares out the importance: it sums to 1 and finds the planted feature', async () => {
    const { importance } = await runOn(name, rising(3_000, 6));
    expect(importance.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 12);
    expect(importance.every((share) => share >= 0)).toBe(true);
    expect(importance[0]).toBeGreaterThan(0.6);
  });

  it('tells its epochs as they end, and keeps the best', async () => {
    const told: EpochReport[] = [];
    const engines: string[] = [];
    const trained = await runOn(
      name,
      data,
      {},
      {
        onEpoch: (report) => told.push(report),
        onEngine: (engine) => engines.push(engine.name),
      },
    );
    expect(told).toEqual(trained.epochs);
    expect(told.at(-1)?.epoch).toBe(trained.rounds);
    expect(trained.bestEpoch).toBeLessThanOrEqual(trained.rounds);
    expect(engines).toEqual([trained.backend]);
    for (const { trainingLoss, validation } of told)
      expect([trainingLoss, validation.logLoss].every(Number.isFinite)).toBe(true);
  });

  it('lets others work, and stops when it is told to', async () => {
    let turns = 0;
    const stop = new AbortController();
    const pause = async () => {
      if (++turns === 3) stop.abort(new Error('enough'));
    };
    await expect(runOn(name, data, {}, { pause, signal: stop.signal })).rejects.toThrow('enough');
    expect(turns).toBe(3);
  });

  describe('makes a fine model of, or says in a sentence what is wrong with', () => {
    const fine = async (odd: Dataset, more: Parameters = {}) => {
      const trained = await runOn(name, odd, more);
      const artefact = artefactOf(odd, trained);
      const bytes = serialiseArtefact(artefact);
      const scores = scoresOf(parseArtefact(bytes, addressOf(bytes)), odd);
      expect(scores.every((score) => score >= 0 && score <= 1)).toBe(true);
      expect(trained.importance.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 12);
      return { trained, scores };
    };
    const withColumn = (from: Dataset, feature: number, value: number): Dataset => ({
      ...from,
      rows: from.rows.map((x, at) => (at % from.names.length === feature ? value : x)),
    });

    it('a constant feature', async () => {
      const { trained } = await fine(withColumn(rising(600, 7), 1, 42));
      expect(trained.importance[1]).toBe(0);
    });

    it('a feature that is always null', async () => {
      const { trained } = await fine(withColumn(rising(600, 7), 1, Number.NaN));
      expect(trained.importance[1]).toBe(0);
    });

    it('values that no feature should hold', async () => {
      await fine(withColumn(rising(600, 7), 1, Number.POSITIVE_INFINITY));
      await fine(withColumn(rising(600, 7), 1, 1e300));
    });

    it('nothing but nulls', async () => {
      const none = rising(600, 7);
      await fine({ ...none, rows: none.rows.map(() => Number.NaN) });
    });

    it.each([0, 1])('one class only (%i)', async (label) => {
      const one = rising(600, 8);
      const { scores } = await fine({ ...one, labels: one.labels.map(() => label) });
      for (const score of scores) expect(Math.abs(score - label)).toBeLessThan(0.5);
    });

    it('one moment only', async () => {
      const one = rising(200, 9);
      const work = runOn(name, { ...one, times: one.times.map(() => 5) });
      await expect(work).rejects.toThrow('200 rows of one moment cannot be split by time');
      await expect(work).rejects.toBeInstanceOf(CannotLearn);
    });

    it('two rows, and none', async () => {
      const few = rising(2, 10);
      await fine(few);
      const none = {
        ...few,
        rows: few.rows.slice(0, 0),
        labels: few.labels.slice(0, 0),
        times: few.times.slice(0, 0),
      };
      await expect(runOn(name, none)).rejects.toThrow('The data set has no rows');
    });

    it('parameters it does not know, or out of range', () => {
      expect(() => prepareTraining(name, { colour: 1 }, NAMES)).toThrow('"colour" is not known; there are');
      expect(() => prepareTraining(name, { constructor: 1 }, NAMES)).toThrow('"constructor" is not known');
      expect(() => prepareTraining(name, { patience: 0 }, NAMES)).toThrow('"patience" is 0');
      expect(() => prepareTraining(name, { validationShare: 0.9 }, NAMES)).toThrow('above 0, at most 0.5');
    });

    it.runIf(trainers[name].parameters.includes('l2'))('a penalty out of range', () => {
      expect(() => prepareTraining(name, { l2: -1 }, NAMES)).toThrow('from 0 to 1000');
    });
  });
});
