import type { ArtefactStore } from '../infrastructure/artefacts/port.ts';
import type { Warehouse } from '../infrastructure/clickhouse/port.ts';
import type { Kafka } from '../infrastructure/kafka/port.ts';
import type { JobQueue } from '../infrastructure/queue/port.ts';
import type { OnlineStore } from '../infrastructure/redis/port.ts';
import type { AlertEvaluator } from '../monitoring/alerts/evaluate.ts';
import type { OnTick } from '../monitoring/monitoring.ts';
import type { StepExecutor } from '../pipelines/runs/work.ts';
import type { Clock } from '../schemas/clock.ts';
import type { Model, Project } from '../schemas/project.ts';
import type { ModelFollower } from '../streams/inference/follow-models.ts';
import { createServed, definitionBefore, formerOf, withViewsOf } from '../streams/inference/takeover.ts';
import { afterTakeover, standby } from '../streams/local/compose.ts';
import { isLocalModel } from '../streams/local/is-local.ts';
import type { Codecs } from '../streams/runtime/codecs.ts';
import type { Stream } from '../streams/runtime/stream.ts';
import type { Telemetry } from '../streams/runtime/telemetry.ts';

/** Every stream, in the order of the flow. */
export const STREAM_NAMES = [
  'ingest',
  'features',
  'inference',
  'archive',
  'monitoring',
  'delivery',
  'pipelines',
] as const;
export type StreamName = (typeof STREAM_NAMES)[number];

/** What streams stand on: servers, or their twins in memory. */
export interface StreamDeps {
  readonly project: Project;
  readonly kafka: Kafka;
  readonly store: OnlineStore;
  readonly warehouse: Warehouse;
  readonly codecs: Codecs;
  readonly artefacts: Pick<ArtefactStore, 'get'>;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** How long an operator's backfill of a lost state is waited for before features builds it by itself, ms. */
  readonly rebuildAfterMs?: number;
  /** What the stream `pipelines` works with, where it is wanted. */
  readonly pipelines?: { readonly queue: JobQueue; readonly execute: StepExecutor };
}

export interface Composed {
  readonly streams: readonly Stream[];
  /** Closes what the streams share; after they ended. */
  close(): Promise<void>;
}

/** Makes the streams of a project, one inference stream for each model. The code of a stream is loaded where it is to run. */
export async function composeStreams(deps: StreamDeps, names: readonly StreamName[]): Promise<Composed> {
  const before = await definitionBefore(deps);
  const both = { ...deps, project: withViewsOf(deps.project, before) };
  const shared: Shared[] = [];
  const makers: Readonly<Record<StreamName, () => Promise<readonly Stream[]>>> = {
    ingest: async () => [await ingestOf(deps, both, before, shared)],
    features: async () => [(await import('../streams/features/features.ts')).createFeatures(both)],
    inference: () => inferenceStreams(deps, before, shared),
    archive: async () => [(await import('../streams/archive/archive.ts')).createArchive(deps)],
    monitoring: () => monitoringStreams(deps, shared),
    delivery: async () => [(await import('../monitoring/delivery/delivery.ts')).createDelivery(deps)],
    pipelines: () => pipelineStreams(deps),
  };
  const streams: Stream[] = [];
  for (const name of names) streams.push(...(await makers[name]()));
  return {
    streams,
    async close() {
      await Promise.all(shared.map((one) => one.close()));
    },
  };
}

/** What several streams, or several tasks of one, use together; closed after all of them. */
type Shared = ModelFollower | AlertEvaluator;

/** Ingest scores the models that read local views alone, each once no earlier definition of it is in service. */
async function ingestOf(
  deps: StreamDeps,
  both: StreamDeps,
  before: Project | null,
  shared: Shared[],
): Promise<Stream> {
  const { project, store, clock } = deps;
  const { createIngest } = await import('../streams/ingest/ingest.ts');
  const models = new Map<string, ModelFollower>();
  for (const model of project.models)
    if (isLocalModel(project, model)) models.set(model.name, await follow(deps, model, shared));
  const scoring = createIngest({ ...both, models });
  const served = new Map<string, ReturnType<typeof createServed>>();
  for (const model of project.models) {
    const following = models.get(model.name);
    if (before !== null && following !== undefined && formerOf(model, before) !== null)
      served.set(model.name, createServed({ project, model, store, clock, models: following }, before));
  }
  if (served.size === 0) return scoring;
  const present = new Map([...models].filter(([name]) => !served.has(name)));
  const inService = async () =>
    (await Promise.all([...served.values()].map((now) => now()))).some((one) => one.project !== project);
  return afterTakeover(createIngest({ ...both, models: present }), scoring, clock, inService);
}

async function follow(deps: StreamDeps, { name }: Model, shared: Shared[]): Promise<ModelFollower> {
  const { followModels } = await import('../streams/inference/follow-models.ts');
  const models = await followModels({ ...deps, prefix: deps.project.prefix, model: name });
  shared.push(models);
  return models;
}

async function inferenceStreams(
  deps: StreamDeps,
  before: Awaited<ReturnType<typeof definitionBefore>>,
  shared: Shared[],
): Promise<readonly Stream[]> {
  const [{ createInference }, { createTakeover }] = await Promise.all([
    import('../streams/inference/inference.ts'),
    import('../streams/inference/takeover.ts'),
  ]);
  const streams: Stream[] = [];
  for (const model of deps.project.models) {
    const local = isLocalModel(deps.project, model) ? standby(`inference ${model.name}`) : undefined;
    if (local !== undefined && (before === null || formerOf(model, before) === null)) {
      streams.push(local);
      continue;
    }
    const own = { ...deps, model, models: await follow(deps, model, shared) };
    streams.push(before === null ? createInference(own) : createTakeover(own, before, local));
  }
  return streams;
}

async function monitoringStreams(deps: StreamDeps, shared: Shared[]): Promise<readonly Stream[]> {
  const [{ createAlertEvaluator }, { createMonitoring }] = await Promise.all([
    import('../monitoring/alerts/evaluate.ts'),
    import('../monitoring/monitoring.ts'),
  ]);
  const alerts = createAlertEvaluator(deps);
  shared.push(alerts);
  return [createMonitoring({ ...deps, onTick: firedBy(alerts) })];
}

async function pipelineStreams(deps: StreamDeps): Promise<readonly Stream[]> {
  if (deps.pipelines === undefined) throw new Error('the stream pipelines needs a queue and an executor');
  const { createPipelines } = await import('../pipelines/pipelines.ts');
  return [createPipelines({ ...deps, ...deps.pipelines })];
}

/** Rules are judged at each tick; those that began to fire may start pipelines. */
function firedBy(alerts: AlertEvaluator): OnTick {
  return async (tick, measures) => {
    const changes = await alerts.evaluate(tick, measures);
    return changes.flatMap(({ state, rule, id, model }) => (state === 'firing' ? [{ rule, id, model }] : []));
  };
}
