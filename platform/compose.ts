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
import type { Project } from '../schemas/project.ts';
import { createArchive } from '../streams/archive/archive.ts';
import { createFeatures } from '../streams/features/features.ts';
import { followModels, type ModelFollower } from '../streams/inference/follow-models.ts';
import { createInference } from '../streams/inference/inference.ts';
import { createTakeover, definitionBefore, withViewsOf } from '../streams/inference/takeover.ts';
import { createIngest } from '../streams/ingest/ingest.ts';
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
  for (const name of names) {
    if (name === 'ingest') streams.push(createIngest(both));
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
        const models = await followModels({ ...deps, prefix: project.prefix, model: model.name });
        followers.push(models);
        const own = { ...deps, model, models };
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

/** Rules are judged at each tick; those that began to fire may start pipelines. */
function firedBy(alerts: AlertEvaluator): OnTick {
  return async (tick, measures) => {
    const changes = await alerts.evaluate(tick, measures);
    return changes.flatMap(({ state, rule, id, model }) => (state === 'firing' ? [{ rule, id, model }] : []));
  };
}
