import type { Warehouse } from '../infrastructure/clickhouse/port.ts';
import { quoteName } from '../infrastructure/clickhouse/tables.ts';
import type { VersionState } from '../infrastructure/registry/history.ts';
import type { ModelRegistry } from '../infrastructure/registry/models.ts';
import type { TrainingBackend } from '../models/backend.ts';
import type { EpochReport } from '../models/train.ts';
import { tables } from '../schemas/names.ts';
import type { Model, Project } from '../schemas/project.ts';
import { MillraceError } from '../schemas/refusal.ts';
import { buildDataSets, type DataSet, type DataSetProgress } from './dataset.ts';
import { type Fitted, fitModel } from './fit.ts';
import { registerVersion } from './rollout-moves.ts';
import { recordRun } from './runs.ts';

export interface TrainOptions {
  readonly project: Project;
  readonly model: Model;
  readonly warehouse: Warehouse;
  readonly artefacts: ArtefactSink;
  readonly registry: ModelRegistry;
  /** Request times, epoch ms; null = what the model declares, else what the archive holds. */
  readonly from: number | null;
  readonly to: number | null;
  /** Pipeline's event time, epoch ms; null = the latest event in the archive. */
  readonly asOf: number | null;
  /**
   * What the new version becomes. `auto`: champion where the model has none, else a candidate, which another
   * step compares with the champion.
   */
  readonly as: 'auto' | 'champion' | 'candidate';
  readonly by: string;
  readonly codeVersion: string;
  /** Wall time, epoch ms. */
  readonly now: () => number;
  readonly progress?: (done: TrainProgress) => void;
  readonly signal?: AbortSignal;
}

/** Keeps bytes under their SHA-256. */
export interface ArtefactSink {
  put(bytes: Uint8Array): Promise<{ readonly sha256: string; readonly location: string }>;
}

export type TrainProgress =
  | DataSetProgress
  | { readonly step: 'backend'; readonly backend: TrainingBackend }
  | { readonly step: 'epoch'; readonly report: EpochReport; readonly of: number };

export interface TrainReport {
  readonly version: VersionState;
  readonly dataSet: Omit<DataSet, 'ids' | 'times' | 'rows' | 'labels' | 'cells'> & { readonly rows: number };
  readonly fitted: Fitted;
  readonly startedAt: number;
  readonly finishedAt: number;
}

export class NothingToLearn extends MillraceError {
  readonly code = 'nothing_to_learn';
  readonly retriable = false;
}

/**
 * From the archive to a registered model: data set, fit, artefact, registry record, run. The artefact is kept
 * before the registry names it, so that no reader of the registry can miss it.
 */
export async function trainModel(options: TrainOptions): Promise<TrainReport> {
  const { project, model, warehouse, registry } = options;
  const startedAt = options.now();
  const { from, to, asOf } = await rangeOf(options);
  const passOn = options.signal === undefined ? {} : { signal: options.signal };
  const [training] = await buildDataSets({
    project,
    model,
    warehouse,
    selections: [{ from, to, asOf, sample: model.sample }],
    keep: true,
    ...(options.progress === undefined ? {} : { progress: options.progress }),
    ...passOn,
  });
  if (training === undefined || training.labels.length === 0)
    throw new NothingToLearn(
      `Between ${iso(from)} and ${iso(to)} there is no ${model.request.eventType} whose ${model.label.eventType} had come by ${iso(asOf)}: import history, or choose another range.`,
    );
  const fitted = await fitModel({
    project,
    model,
    training,
    test: null,
    asOf,
    codeVersion: options.codeVersion,
    onBackend: (backend) => options.progress?.({ step: 'backend', backend }),
    onEpoch: (report, of) => options.progress?.({ step: 'epoch', report, of }),
    ...passOn,
  });
  const { location } = await options.artefacts.put(fitted.bytes);
  const { version } = await registerVersion(
    registry,
    {
      model: model.name,
      artefact: fitted.address,
      location,
      layout: model.layoutHash,
      as: options.as,
      guarded: false,
    },
    {
      by: options.by,
      reason: `trained on ${training.labels.length} rows of ${iso(training.from)} to ${iso(training.to)}`,
      evidence: { validation: fitted.validation, test: fitted.test },
    },
  );
  const finishedAt = options.now();
  const { ids: _ids, times: _times, labels: _labels, cells: _cells, ...rest } = training;
  const dataSet = { ...rest, rows: training.labels.length };
  await recordRun(warehouse, project.prefix, {
    id: fitted.address,
    kind: 'train',
    subject: model.name,
    startedAt,
    finishedAt,
    detail: { version: version.version, state: version.state, dataSet, validation: fitted.validation },
  });
  return { version, dataSet, fitted, startedAt, finishedAt };
}

/** Open ends: what the model declares, then what the archive holds. */
async function rangeOf(options: TrainOptions): Promise<{ from: number; to: number; asOf: number }> {
  const { project, model, warehouse } = options;
  const bounds = (source: string) =>
    warehouse.query<{ rows: number; first: number; last: number }>(
      `SELECT count() AS rows, min(toUnixTimestamp64Milli(time)) AS first, max(toUnixTimestamp64Milli(time)) AS last
      FROM ${quoteName(tables.events(project.prefix, source))}`,
    );
  const [requests] = await bounds(model.request.source);
  const [labels] = await bounds(model.label.source);
  if (requests === undefined || labels === undefined || requests.rows === 0 || labels.rows === 0)
    throw new NothingToLearn(
      `The archive of ${model.request.source} is empty: import history first (millrace import).`,
    );
  const { training } = model;
  return {
    from: options.from ?? training.from ?? requests.first,
    to: options.to ?? training.to ?? requests.last + 1,
    asOf: options.asOf ?? Math.max(requests.last, labels.last),
  };
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
