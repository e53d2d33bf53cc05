import { type Artefact, addressOf, type Manifest, serialiseArtefact } from '../models/artefact.ts';
import { initialiseBackend, type TrainingBackend } from '../models/backend.ts';
import { fitBaseRate, fitCalendar, scoreBaseline } from '../models/baseline.ts';
import { type Metrics, metricsOf } from '../models/metrics.ts';
import { createScorer } from '../models/scorer.ts';
import { type EpochReport, splitByTime, type TrainedModel, train } from '../models/train.ts';
import { trainSpecOf } from '../models/train-spec.ts';
import type { Model, Project } from '../schemas/project.ts';
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
  readonly onBackend?: (backend: TrainingBackend) => void;
  readonly onEpoch?: (report: EpochReport, of: number) => void;
  readonly signal?: AbortSignal;
}

export interface Fitted {
  readonly artefact: Artefact;
  /** Canonical bytes, and their SHA-256. */
  readonly bytes: Uint8Array;
  readonly address: string;
  readonly trained: TrainedModel;
  readonly validation: Comparison;
  readonly test: Comparison | null;
  /** Probabilities of the test rows, in their order. */
  readonly testScores: Float64Array | null;
  readonly backend: TrainingBackend;
}

/** From a data set to an artefact with its manifest. Writes nothing anywhere. */
export async function fitModel(options: FitOptions): Promise<Fitted> {
  const { project, model, training, test } = options;
  const names = model.features.map(({ name }) => name);
  const spec = trainSpecOf(model.trainer.parameters, names);
  const backend = await initialiseBackend();
  options.onBackend?.(backend);
  const { rows, labels, times } = training;
  const control = {
    onEpoch: (report: EpochReport) => options.onEpoch?.(report, spec.epochs),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  };
  const trained = await train({ names, rows, labels, times }, spec, control);

  const split = splitByTime(times, spec.validationShare);
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
      layoutHash: model.layoutHash,
      threshold: model.threshold,
      trainer: {
        name: model.trainer.name,
        backend: trained.backend,
        parameters: Object.fromEntries(
          Object.entries(model.trainer.parameters).map(([name, value]) => [
            name,
            typeof value === 'object' ? [...value] : value,
          ]),
        ),
        epochs: trained.epochs.length,
        bestEpoch: trained.bestEpoch,
        tensorflowDifference: trained.tensorflowDifference,
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
    return { manifest, encoder: trained.encoder, layers: trained.layers, calibration: trained.calibration };
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
    validation,
    test: tested,
    testScores,
    backend,
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
