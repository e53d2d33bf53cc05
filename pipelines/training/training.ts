import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import type { VersionState } from '../../infrastructure/registry/history.ts';
import type { ModelRegistry } from '../../infrastructure/registry/models.ts';
import { emptyFeatures } from '../../models/empty-features.ts';
import type { Engine, EpochReport, Parameters } from '../../models/trainer.ts';
import { tables } from '../../schemas/names.ts';
import type { Model, Project } from '../../schemas/project.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import { countOvertaken, type Overtaken } from '../../streams/archive/labels.ts';
import { registerVersion } from '../rollout/moves.ts';
import { keepReference } from '../steps/reference.ts';
import { tailOf } from '../steps/train.ts';
import { buildDataSets, type DataSet, type DataSetProgress } from './dataset.ts';
import { type FitTrial, type Fitted, fitModel } from './fit.ts';
import { type RunMirror, trackRun } from './runs.ts';

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
  /** In the place of what the model declares, name by name. */
  readonly parameters?: Parameters;
  readonly mirror?: RunMirror | null;
  /** What trains; default: the thread of the caller. */
  readonly trial?: FitTrial;
  /** Event time of the first request that the new version answers, epoch ms; default: every one that is still unanswered. */
  readonly effectiveFrom?: number;
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
  | { readonly step: 'backend'; readonly backend: Engine }
  | { readonly step: 'epoch'; readonly report: EpochReport; readonly of: number };

export interface TrainReport {
  /** Of the experiment: `millrace runs show` tells of it. */
  readonly run: string;
  readonly version: VersionState;
  readonly dataSet: Omit<DataSet, 'ids' | 'times' | 'rows' | 'labels' | 'cells'> & { readonly rows: number };
  /** Requests of the range that stay unlabelled because their keys were asked again before a label came. */
  readonly overtaken: Overtaken;
  readonly fitted: Fitted;
  /** Features that are null in every row. */
  readonly emptyFeatures: readonly string[];
  readonly startedAt: number;
  readonly finishedAt: number;
}

export class NothingToLearn extends MillraceError {
  readonly code = 'nothing_to_learn';
  readonly retriable = false;
}

/**
 * From the archive to a registered model: data set, fit, artefact, registry record, and a run that keeps what
 * it took, of a failure too. The artefact is kept before the registry names it, so that no reader of the
 * registry can miss it.
 */
export async function trainModel(options: TrainOptions): Promise<TrainReport> {
  const { project, model, warehouse, codeVersion, mirror = null, parameters = {} } = options;
  const startedAt = options.now();
  const run = `train-${model.name}-${startedAt.toString(36)}`;
  const deps = { warehouse, prefix: project.prefix, codeVersion, now: options.now, mirror };
  const head = {
    id: run,
    kind: 'train' as const,
    subject: model.name,
    parameters: { ...model.trainer.parameters, ...parameters },
  };
  const made = await trackRun(deps, head, async () => {
    const value = await fitAndRegister(options);
    const { version, dataSet, fitted } = value;
    const tail = tailOf(fitted);
    const { emptyFeatures: empty } = value;
    const detail = {
      ...tail.detail,
      version: version.version,
      state: version.state,
      dataSet,
      emptyFeatures: empty,
    };
    return { value, tail: { ...tail, dataset: dataSet.hash, detail } };
  });
  return { run, ...made, startedAt, finishedAt: options.now() };
}

async function fitAndRegister(
  options: TrainOptions,
): Promise<Omit<TrainReport, 'run' | 'startedAt' | 'finishedAt'>> {
  const { project, model, warehouse, registry } = options;
  const { from, to, asOf } = await rangeOf(options);
  const selection = { from, to, asOf, sample: model.sample };
  if (from >= to) throw new NothingToLearn(`${iso(from)} does not lie before ${iso(to)}: no row is between.`);
  // A registry that is away is told of before the training, not after it.
  await registry.history(model.name);
  const passOn = options.signal === undefined ? {} : { signal: options.signal };
  const [training] = await buildDataSets({
    project,
    model,
    warehouse,
    selections: [selection],
    keep: true,
    ...(options.progress === undefined ? {} : { progress: options.progress }),
    ...passOn,
  });
  const overtaken = await countOvertaken({ project, model, warehouse }, selection);
  if (training === undefined || training.labels.length === 0)
    throw new NothingToLearn(
      `Between ${iso(from)} and ${iso(to)} there is no ${model.request.eventType} whose ${model.label.eventType} had come by ${iso(asOf)}: import history, or choose another range.${overtaken.example === null ? '' : ` ${overtakenSentence(model, overtaken)}`}`,
    );
  const fitted = await fitModel({
    project,
    model,
    training,
    test: null,
    asOf,
    codeVersion: options.codeVersion,
    ...(options.parameters === undefined ? {} : { parameters: options.parameters }),
    ...(options.trial === undefined ? {} : { trial: options.trial }),
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
      effectiveFrom: options.effectiveFrom ?? null,
    },
  );
  await keepReference({ warehouse, project, model }, version, fitted.artefact, training);
  const { ids: _ids, times: _times, rows: _rows, labels: _labels, cells: _cells, ...rest } = training;
  return {
    version,
    dataSet: { ...rest, rows: training.labels.length },
    overtaken,
    fitted,
    emptyFeatures: emptyFeatures(
      training.rows,
      model.features.map(({ name }) => name),
    ),
  };
}

/** What a person should know of requests that have no label because of how labels are joined. */
export function overtakenSentence({ request, label }: Model, { requests, example }: Overtaken): string {
  const keys = label.join.map((pair) => pair.request).join(', ');
  const shown =
    example === null
      ? ''
      : ` (for example ${example.id} of ${iso(example.at)}, asked again by ${example.next} of ${iso(example.nextAt)})`;
  return `${requests.toLocaleString('en-US')} ${request.eventType} stay without a label: the same ${keys} was asked again before a ${label.eventType} came${shown}.`;
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
