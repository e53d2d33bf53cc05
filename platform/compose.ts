import type { ArtefactStore } from '../infrastructure/artefacts/port.ts';
import type { Warehouse } from '../infrastructure/clickhouse/port.ts';
import type { Kafka } from '../infrastructure/kafka/port.ts';
import type { JobQueue } from '../infrastructure/queue/port.ts';
import type { OnlineStore } from '../infrastructure/redis/port.ts';
import { type AlertEvaluator, createAlertEvaluator } from '../monitoring/alerts/evaluate.ts';
import { createDelivery } from '../monitoring/delivery/delivery.ts';
import { createMonitoring, type OnTick } from '../monitoring/monitoring.ts';
import { createPipelines } from '../pipelines/pipelines.ts';
import type { StepExecutor } from '../pipelines/runs/work.ts';
import type { Clock } from '../schemas/clock.ts';
import type { Model, Project } from '../schemas/project.ts';
import { createArchive } from '../streams/archive/archive.ts';
import { createFeatures } from '../streams/features/features.ts';
import { followModels, type ModelFollower } from '../streams/inference/follow-models.ts';
import { createInference } from '../streams/inference/inference.ts';
import { createTakeover, definitionBefore, withViewsOf } from '../streams/inference/takeover.ts';
import { createIngest } from '../streams/ingest/ingest.ts';
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

/** Makes the streams of a project, one inference stream for each model. */
export async function composeStreams(deps: StreamDeps, names: readonly StreamName[]): Promise<Composed> {
  const { project } = deps;
  const before = await definitionBefore(deps);
  const both = { ...deps, project: withViewsOf(project, before) };
  const followers: ModelFollower[] = [];
  const evaluators: AlertEvaluator[] = [];
  const streams: Stream[] = [];
  const follow = async (model: Model): Promise<ModelFollower> => {
    const models = await followModels({ ...deps, prefix: project.prefix, model: model.name });
    followers.push(models);
    return models;
  };
  for (const name of names) {
    if (name === 'ingest') streams.push(await ingestOf(deps, both, before, follow));
    if (name === 'features') streams.push(createFeatures(both));
    if (name === 'archive') streams.push(createArchive(deps));
    if (name === 'monitoring') {
      const alerts = createAlertEvaluator(deps);
      evaluators.push(alerts);
      streams.push(createMonitoring({ ...deps, onTick: firedBy(alerts) }));
    }
    if (name === 'delivery') streams.push(createDelivery(deps));
    if (name === 'pipelines') {
      if (deps.pipelines === undefined) throw new Error('the stream pipelines needs a queue and an executor');
      streams.push(createPipelines({ ...deps, ...deps.pipelines }));
    }
    if (name === 'inference')
      for (const model of project.models) {
        if (before === null && isLocalModel(project, model)) {
          streams.push(standby(`inference ${model.name}`));
          continue;
        }
        const own = { ...deps, model, models: await follow(model) };
        streams.push(before === null ? createInference(own) : createTakeover(own, before));
      }
  }
  return {
    streams,
    async close() {
      await Promise.all([...followers, ...evaluators].map((one) => one.close()));
    },
  };
}

/** Ingest scores the models that read local views alone, once no earlier definition is in service. */
async function ingestOf(
  deps: StreamDeps,
  both: StreamDeps,
  before: Project | null,
  follow: (model: Model) => Promise<ModelFollower>,
): Promise<Stream> {
  const { project, clock } = deps;
  const models = new Map<string, ModelFollower>();
  for (const model of project.models)
    if (isLocalModel(project, model)) models.set(model.name, await follow(model));
  const scoring = createIngest({ ...both, models });
  if (before === null || models.size === 0) return scoring;
  return afterTakeover(
    createIngest(both),
    scoring,
    clock,
    async () => (await definitionBefore(deps)) !== null,
  );
}

/** Rules are judged at each tick; those that began to fire may start pipelines. */
function firedBy(alerts: AlertEvaluator): OnTick {
  return async (tick, measures) => {
    const changes = await alerts.evaluate(tick, measures);
    return changes.flatMap(({ state, rule, id, model }) => (state === 'firing' ? [{ rule, id, model }] : []));
  };
}
