import { randomUUID } from 'node:crypto';
import type { Kafka } from '../../infrastructure/kafka/port.ts';
import { type Evictions, hasEvicted, type OnlineStore } from '../../infrastructure/redis/port.ts';
import { encodeMeta, freshMeta, type ViewMeta } from '../../processors/meta.ts';
import { keys } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import { Contended, wholeMeta } from '../runtime/state.ts';
import type { Telemetry } from '../runtime/telemetry.ts';
import { startOf } from '../runtime/topic.ts';
import type { OwnedView } from './view-partition.ts';

export interface StateDeps {
  readonly project: Project;
  readonly kafka: Kafka;
  readonly store: OnlineStore;
  readonly telemetry: Telemetry;
}

const DELETE_AT_ONCE = 400;

export interface Begun {
  readonly bytes: Uint8Array;
  readonly meta: ViewMeta;
}

/**
 * The state that a view partition goes on from. A whole meta is gone on with. None, a torn one, one that
 * was being cleared, or one whose server has dropped keys since begins a new life from the start of the view topic: first a `clearing` meta is set, so
 * that nobody reads and no older owner can commit; then every log of the older life is deleted, each deletion
 * guarded by that meta; then the meta says ready. `cutAt`: the log no longer holds what the state needs
 * next, so the state is replaced by an empty one with a base.
 */
export async function beginState(
  deps: StateDeps,
  state: OwnedView,
  bytes: Uint8Array | null,
  options: { readonly cutAt?: number } = {},
): Promise<Begun> {
  const { project, store, telemetry } = deps;
  const [evictions = null] = await store.evictions([keys.meta(state.key)]);
  const whole = options.cutAt === undefined ? goneOnWith(deps, state, bytes, evictions) : null;
  if (whole !== null) return whole;
  const start = options.cutAt ?? (await startOf(deps.kafka, state.topic, state.partition));
  const ready = freshMeta(randomUUID(), start, start > 0, evictions);
  const clearing = encodeMeta({ ...ready, status: 'clearing' });
  telemetry.note('features', 'new state', { view: state.view.id, partition: state.partition, from: start });

  const set = async (
    expected: Uint8Array | null,
    next: Uint8Array,
    deletes: readonly string[],
  ): Promise<void> => {
    const [result] = await store.commit([
      {
        metaKey: keys.meta(state.key),
        expected,
        next,
        sets: [],
        appends: [],
        deletes,
        logTtlMs: project.retention.stateExtra,
        metaTtlMs: project.retention.stateExtra,
      },
    ]);
    if (result?.status !== 'committed')
      throw new Contended(
        `Another process is taking over partition ${state.partition} of view ${state.view.id}; trying again.`,
      );
  };

  await set(bytes, clearing, []);
  let old: string[] = [];
  for await (const key of store.scan(`${state.key}:`)) {
    if (key === keys.meta(state.key)) continue;
    old.push(key);
    if (old.length < DELETE_AT_ONCE) continue;
    await set(clearing, clearing, old);
    old = [];
  }
  const encoded = encodeMeta(ready);
  await set(clearing, encoded, old);
  return { bytes: encoded, meta: ready };
}

/** A whole state, as it is; null where there is none, or its server has dropped keys since it began. */
function goneOnWith(
  { telemetry }: StateDeps,
  { view, partition }: OwnedView,
  bytes: Uint8Array | null,
  evictions: Evictions | null,
): Begun | null {
  const meta = wholeMeta(bytes);
  if (bytes === null || meta === null) return null;
  if (meta.evictions !== null && evictions !== null && hasEvicted(meta.evictions, evictions)) {
    const { keys } = evictions;
    telemetry.note('features', 'the online store dropped keys', { view: view.id, partition, keys });
    return null;
  }
  return meta.status === 'ready'
    ? { bytes, meta: { ...meta, evictions: meta.evictions ?? evictions } }
    : null;
}

/** A backfill has begun to write the state and not ended. */
export function isBuilding(bytes: Uint8Array | null): boolean {
  return wholeMeta(bytes)?.status === 'building';
}
