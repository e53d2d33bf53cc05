import { ensureTables } from '../../infrastructure/clickhouse/ensure-tables.ts';
import { createModelRegistry } from '../../infrastructure/registry/models.ts';
import type { FitTrial } from '../../pipelines/training/fit.ts';
import { type TrainProgress, trainModel } from '../../pipelines/training/training.ts';
import { backfillState } from '../../streams/history/backfill.ts';
import { importHistory } from '../../streams/history/import.ts';
import { bytes, count, day } from '../format.ts';
import { trainingSteps } from '../training-progress.ts';
import { codeVersion } from '../version.ts';
import { type RunningStreams, startInProcess, startProcesses } from './processes.ts';
import type { Stage } from './stage.ts';

interface Loaded {
  /** Event time, epoch ms; null = where the file begins. */
  readonly from?: number | null;
  /** Events an insert: few, where this process plays a replay meanwhile. */
  readonly batchSize?: number;
  readonly label?: string;
}

/** History into the warehouse, every event before `to` (event time, epoch ms). */
export async function load(
  { context, project, platform, source, file }: Stage,
  to: number,
  { from = null, batchSize, label = 'history' }: Loaded = {},
) {
  const progress = context.output.progress(label, { unit: 'events' });
  const started = performance.now();
  await ensureTables(platform.warehouse, project);
  const report = await importHistory({
    project,
    warehouse: platform.warehouse,
    source,
    file,
    from,
    to,
    ...(batchSize === undefined ? {} : { batchSize }),
    now: Date.now(),
    signal: context.signal,
    progress: ({ events, of }) => {
      progress.total(of);
      progress.update(events);
    },
  });
  progress.done(
    `${count(report.accepted)} events of ${day(report.from)} to ${day(report.to - 1)} into ClickHouse`,
  );
  return { ...report, ms: performance.now() - started };
}

/** The online state as of the end of history. */
export async function build({ context, project, platform }: Stage, to: number) {
  const progress = context.output.progress('features', { total: 1_000 });
  const started = performance.now();
  const report = await backfillState({
    project,
    warehouse: platform.warehouse,
    store: platform.store,
    kafka: platform.kafka,
    codecs: await platform.codecs(),
    to,
    signal: context.signal,
    progress: (done) => {
      if (done.step === 'write') progress.update(1_000, `writing ${done.view}`);
      else
        progress.update(
          Math.floor((1_000 * (done.time - done.from)) / (to - done.from)),
          `${count(done.events)} events`,
        );
    },
  });
  const entities = report.views.reduce((sum, view) => sum + view.entities, 0);
  const size = report.views.reduce((sum, view) => sum + view.bytes, 0);
  progress.done(`${count(entities)} entities as of ${day(to)}, ${bytes(size)}`);
  return { events: report.events, entities, ms: performance.now() - started };
}

export interface Lesson {
  /** Request times, epoch ms; null = what the model declares. */
  readonly from?: number | null;
  readonly to: number;
  /** Event time of the first request that it answers; default: every one that is still unanswered. */
  readonly effectiveFrom?: number;
  readonly by: string;
}

type Learner = Pick<Stage, 'project' | 'platform' | 'model'> & {
  readonly context: {
    readonly environment: { readonly packageDirectory: string };
    readonly signal: AbortSignal;
  };
};

/** The model, from requests before `to` and what was known of them then, and champion. */
export async function learn(stage: Stage, lesson: Lesson, trial?: FitTrial): Promise<Learnt> {
  return told(stage, (progress) => learnQuietly(stage, lesson, progress, trial));
}

/** Shows how far a training is. */
export async function told(
  { context }: Stage,
  training: (progress: (done: TrainProgress) => void) => Promise<Learnt>,
): Promise<Learnt> {
  const steps = trainingSteps(context.output);
  try {
    const learnt = await training(steps.on);
    steps.done();
    return learnt;
  } catch (error) {
    steps.fail();
    throw error;
  }
}

export interface Learnt {
  readonly version: number;
  readonly rows: number;
  readonly epochs: number;
  readonly backend: string;
  readonly ms: number;
}

export async function learnQuietly(
  { context, project, platform, model }: Learner,
  { from = null, to, effectiveFrom, by }: Lesson,
  progress: (done: TrainProgress) => void,
  trial?: FitTrial,
): Promise<Learnt> {
  const { models: codec } = await platform.codecs();
  const { version, dataSet, fitted, startedAt, finishedAt } = await trainModel({
    project,
    model,
    warehouse: platform.warehouse,
    artefacts: platform.artefacts,
    registry: createModelRegistry({ kafka: platform.kafka, codec, prefix: project.prefix }),
    from,
    to,
    asOf: to,
    as: 'champion',
    by,
    codeVersion: codeVersion(context.environment.packageDirectory),
    now: Date.now,
    progress,
    signal: context.signal,
    ...(effectiveFrom === undefined ? {} : { effectiveFrom }),
    ...(trial === undefined ? {} : { trial }),
  });
  return {
    version: version.version,
    rows: dataSet.rows,
    epochs: fitted.trained.rounds,
    backend: fitted.backend.name,
    ms: finishedAt - startedAt,
  };
}

const GROUPS = [
  ['ingest', 'features'],
  ['inference'],
  // Large inserts would make requests wait, so they have a process of their own.
  ['archive'],
  ['monitoring', 'delivery', 'pipelines'],
] as const;

/** Every stream, in this process or a few of their own; resolves when all of them work. */
export const launchStreams = (
  { context, project, platform }: Stage,
  embedded: boolean,
): Promise<RunningStreams> =>
  embedded
    ? startInProcess(project, platform, context.environment)
    : startProcesses(context, project, GROUPS);

/** Tells how streams start that were launched. */
export async function untilStarted(
  { context }: Stage,
  launched: Promise<RunningStreams>,
  embedded: boolean,
): Promise<RunningStreams> {
  const progress = context.output.progress('streams');
  const streams = await launched;
  progress.done(
    embedded ? 'in this process' : `${GROUPS.map((names) => names.join(' + ')).join(', ')}: a process each`,
  );
  return streams;
}
