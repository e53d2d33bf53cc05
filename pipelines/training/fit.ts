import { type Artefact, addressOf, type Manifest, serialiseArtefact } from '../../models/artefact.ts';
import { fitBaseRate, fitCalendar, scoreBaseline } from '../../models/baseline.ts';
import { CannotLearn } from '../../models/cannot-learn.ts';
import { type Metrics, metricsOf } from '../../models/metrics.ts';
import { createScorer } from '../../models/scorer.ts';
import {
  type Engine,
  type EpochReport,
  type Parameters,
  splitByTime,
  type Trained,
} from '../../models/trainer.ts';
import { prepareTraining, trainers } from '../../models/trainers.ts';
import { expressionsOf } from '../../schemas/layout.ts';
import type { Model, Project } from '../../schemas/project.ts';
import type { DataSet } from './dataset.ts';

/** Figures of a model and of what it must beat, on the same rows. */
export interface Comparison {
  readonly model: Metrics;
  readonly baseRate: Metrics;
  readonly calendar: Metrics;
}

export interface FitOptions {
  readonly project: Project;
  readonly model: Model;
  readonly training: DataSet;
  /** Rows that training never touches; null where there are none yet. */
  readonly test: DataSet | null;
  /** Pipeline's event time, epoch ms. */
  readonly asOf: number;
  readonly codeVersion: string;
  /** In the place of what the model declares, name by name: what tuning found. */
  readonly parameters?: Parameters;
  readonly onBackend?: (backend: Engine) => void;
  readonly onEpoch?: (report: EpochReport, of: number) => void;
  readonly signal?: AbortSignal;
  /** What trains; default: `fitTrial`, in the thread of the caller. */
  readonly trial?: FitTrial;
}

export interface Fitted {
  readonly artefact: Artefact;
  /** Canonical bytes, and their SHA-256. */
  readonly bytes: Uint8Array;
  readonly address: string;
  readonly trained: Trained;
  /** As training told them, for the record of the run. */
  readonly epochs: readonly EpochReport[];
  /** Declared ones and those that replaced them. */
  readonly parameters: Parameters;
  readonly validation: Comparison;
  readonly test: Comparison | null;
  /** Probabilities of the test rows, in their order. */
  readonly testScores: Float64Array | null;
  readonly backend: Engine;
  /** Of the training alone, ms of a monotonic clock. */
  readonly durationMs: number;
}

export interface TrialOptions {
  readonly onEpoch?: (report: EpochReport, of: number) => void;
  readonly onBackend?: (backend: Engine) => void;
  readonly signal?: AbortSignal;
}

export interface Trial {
  readonly trained: Trained;
  readonly parameters: Parameters;
  readonly backend: Engine;
  readonly durationMs: number;
}

/** What a trainer sees of a model. */
export interface Trainable {
  readonly features: ReadonlyArray<{ readonly name: string }>;
  readonly trainer: Model['trainer'];
}

export type FitTrial = typeof fitTrial;

/** A signal, a heartbeat, a request: whatever waits gets its turn between two steps of a training. */
const pause = () => new Promise<void>((resolve) => setImmediate(resolve));

/**
 * Trains once and keeps nothing: what tuning calls for each trial, and `fitModel` for the one that counts.
 *
 * @param parameters in the place of what the model declares, name by name.
 * @param share of the declared epochs (of trees: rounds) that the trial may take, at least one: 1 = all of them.
 *   A trainer that takes neither parameter is trained whole.
 * @throws CannotLearn naming a parameter that is unknown or out of range, or what is wrong with the rows.
 */
export async function fitTrial(
  model: Trainable,
  training: Pick<DataSet, 'rows' | 'labels' | 'times'>,
  parameters: Parameters = {},
  share = 1,
  options: TrialOptions = {},
): Promise<Trial> {
  const names = model.features.map(({ name }) => name);
  const trainer = model.trainer.name;
  const chosen: Record<string, Parameters[string]> = { ...model.trainer.parameters, ...parameters };
  const length = ['epochs', 'rounds'].find((name) => trainers[trainer].parameters.includes(name));
  if (share < 1 && length !== undefined) {
    const { epochs } = prepareTraining(trainer, chosen, names);
    chosen[length] = Math.max(1, Math.round(epochs * share));
  }
  const prepared = prepareTraining(trainer, chosen, names);
  let backend: Engine = { name: trainer, reason: '' };
  const { rows, labels, times } = training;
  const started = performance.now();
  const trained = await prepared.run(
    { names, rows, labels, times },
    {
      onEngine: (engine) => {
        backend = engine;
        options.onBackend?.(engine);
      },
      onEpoch: (report) => options.onEpoch?.(report, prepared.epochs),
      pause,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    },
  );
  return { trained, parameters: chosen, backend, durationMs: performance.now() - started };
}

/**
 * From a data set to an artefact with its manifest. Writes nothing anywhere.
 *
 * @throws CannotLearn where all labels are the same: a trainer would fit that, and a first version would score by it.
 */
export async function fitModel(options: FitOptions): Promise<Fitted> {
  const { project, model, training, test } = options;
  const names = model.features.map(({ name }) => name);
  const { labels, times } = training;
  if (labels.length > 0 && labels.every((label) => label === labels[0]))
    throw new CannotLearn(
      `${labels.length === 1 ? 'The only label is' : `All ${labels.length.toLocaleString('en-US')} labels are`} ${labels[0] === 0 ? 'false' : 'true'}, so there is nothing to tell apart: choose a range that holds both, or look at what the label checks.`,
    );
  const { trial = fitTrial } = options;
  const { trained, parameters, backend, durationMs } = await trial(
    model,
    training,
    options.parameters,
    1,
    options,
  );

  const { validationShare } = prepareTraining(model.trainer.name, parameters, names);
  const split = splitByTime(times, validationShare);
  const baselines = baselinesOf(training, split.training);
  const validation: Comparison = {
    model: trained.validation,
    ...baselines.score(pick(training.cells, split.validation), pick(labels, split.validation)),
  };
  const artefactWith = (tested: Comparison | null): Artefact => {
    const compared = tested ?? validation;
    const manifest: Manifest = {
      model: model.name,
      task: model.task,
      features: names,
      expressions: { ...expressionsOf(model.features) },
      layoutHash: model.layoutHash,
      threshold: model.threshold,
      importance: [...trained.importance],
      trainer: {
        name: model.trainer.name,
        backend: trained.backend,
        parameters: Object.fromEntries(
          Object.entries(parameters).map(([name, value]) => [
            name,
            typeof value === 'object' ? [...value] : value,
          ]),
        ),
        epochs: trained.rounds,
        bestEpoch: trained.bestEpoch,
        engineDifference: trained.engineDifference,
      },
      dataset: {
        query: training.query,
        from: training.from,
        to: training.to,
        rows: labels.length,
        loggedRows: training.logged,
        backfilledRows: training.backfilled,
        hash: training.hash,
      },
      metrics: {
        validation: trained.validation,
        test: tested?.model ?? null,
        baseRate: compared.baseRate,
        calendar: compared.calendar,
      },
      codeVersion: options.codeVersion,
      createdFrom: project.hash,
      asOf: options.asOf,
      card: {
        purpose: `Answers \`${model.name}\` for each ${model.request.eventType} of ${model.request.source}, from ${names.length} features.`,
        limits:
          'Learnt from the rows named below alone; says nothing of entities, seasons or routes unlike them. Its figures hold for that time.',
      },
    };
    return { manifest, body: trained.body, calibration: trained.calibration };
  };

  let testScores: Float64Array | null = null;
  let tested: Comparison | null = null;
  if (test !== null && test.labels.length > 0) {
    const scorer = createScorer(artefactWith(null), model.layoutHash);
    testScores = new Float64Array(test.labels.length);
    scorer.scoreBatch(test.rows, test.labels.length, testScores);
    tested = { model: metricsOf(testScores, test.labels), ...baselines.score(test.cells, test.labels) };
  }
  const artefact = artefactWith(tested);
  const bytes = serialiseArtefact(artefact);
  return {
    artefact,
    bytes,
    address: addressOf(bytes),
    trained,
    epochs: trained.epochs,
    parameters,
    validation,
    test: tested,
    testScores,
    backend,
    durationMs,
  };
}

function baselinesOf(training: DataSet, chosen: Uint32Array) {
  const labels = pick(training.labels, chosen);
  const rate = fitBaseRate(labels);
  const calendar = fitCalendar(pick(training.cells, chosen), labels);
  return {
    score(cells: Int16Array, of: Uint8Array): Omit<Comparison, 'model'> {
      return {
        baseRate: metricsOf(
          Float64Array.from(cells, (cell) => scoreBaseline(rate, cell)),
          of,
        ),
        calendar: metricsOf(
          Float64Array.from(cells, (cell) => scoreBaseline(calendar, cell)),
          of,
        ),
      };
    },
  };
}

function pick<A extends Int16Array | Uint8Array>(values: A, chosen: Uint32Array): A {
  const picked = new (values.constructor as new (length: number) => A)(chosen.length);
  for (let i = 0; i < chosen.length; i += 1) picked[i] = values[chosen[i] as number] as number;
  return picked;
}
