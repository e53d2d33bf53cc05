import type { Kafka } from '../../infrastructure/kafka/port.ts';
import { hasEvicted, type OnlineStore } from '../../infrastructure/redis/port.ts';
import { freshMeta, type ViewMeta } from '../../processors/meta.ts';
import { keys, topics } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import type { View } from '../../schemas/view.ts';
import type { Codecs } from '../runtime/codecs.ts';
import { wholeMeta } from '../runtime/state.ts';
import { boundsOf, onlyOf, readTopic } from '../runtime/topic.ts';
import { Replica } from './replica.ts';

export interface LoadDeps {
  readonly project: Project;
  readonly kafka: Kafka;
  readonly store: Pick<OnlineStore, 'evictions' | 'read' | 'scan'>;
  readonly codecs: Pick<Codecs, 'blocks'>;
}

/** The state that a replica begins from changes its life while it is read, or a backfill writes it. It is read again. */
export class StateMoves extends MillraceError {
  readonly code = 'state_moves';
  readonly retriable = true;
}

/** Logs read in one snapshot. */
const MOST_KEYS = 400;

/**
 * A partition of a local view as its log in Kafka has it now: what the online store holds, and the tail of the view's topic that
 * features has not folded yet. A state that cannot be gone on with is built from the topic alone, as features does. Throws StateMoves,
 * StateNeedsBackfill, StoreError, KafkaError.
 */
export async function loadReplica(deps: LoadDeps, view: View, partition: number): Promise<Replica> {
  const { project, kafka, codecs } = deps;
  const topic = topics.view(project.prefix, view.id);
  const key = keys.viewPartition(project.prefix, view.id, partition);
  const stored = await readMeta(deps, key);
  const bounds = await boundsOf(kafka, topic);
  const { start = 0 } = bounds[partition] ?? {};
  const whole = stored !== null && stored.next >= start;
  const replica = new Replica(
    project,
    view,
    partition,
    whole ? stored : freshMeta('memory', start, start > 0),
  );
  const marks = whole ? await readLogs(deps, replica, stored) : new Map<string, number>();
  await readTopic(
    kafka,
    topic,
    onlyOf(bounds, partition),
    ({ value, offset }) => {
      const block = value === null ? null : codecs.blocks.read(value);
      if (block !== null) replica.apply(block.sections, (entity) => marks.get(entity) ?? -1);
      replica.meta = { ...replica.meta, next: offset + 1 };
    },
    () => replica.meta.next,
  );
  return replica;
}

/** The meta of a state that can be gone on with; null where there is none. */
async function readMeta({ store }: LoadDeps, key: string): Promise<ViewMeta | null> {
  const [evictions] = await store.evictions([keys.meta(key)]);
  const [[bytes = null] = []] = await store.read([[keys.meta(key)]]);
  const meta = wholeMeta(bytes);
  if (meta === null) return null;
  if (meta.status === 'building')
    throw new StateMoves(`A backfill writes ${key}; its requests are answered once it has ended.`);
  const dropped = meta.evictions !== null && evictions !== undefined && hasEvicted(meta.evictions, evictions);
  return meta.status === 'ready' && !dropped ? meta : null;
}

/**
 * Reads all logs of a state, each entity's beside the meta of that moment, while features may go on. Answers with the last source offset
 * that the logs of each entity hold.
 */
async function readLogs(
  { store }: LoadDeps,
  replica: Replica,
  { life }: ViewMeta,
): Promise<Map<string, number>> {
  const { key, own, view } = replica;
  const entities = new Set<string>();
  for await (const name of store.scan(`${key}:`)) {
    const rest = name.slice(key.length + 1);
    if (rest !== 'meta') entities.add(rest.slice(2));
  }
  const marks = new Map<string, number>();
  const names = [...entities];
  const each = Math.max(1, Math.floor(MOST_KEYS / view.sets.length));
  for (let from = 0; from < names.length; from += each) {
    const some = names.slice(from, from + each);
    const logs = some.flatMap((entity) => view.sets.map(({ suffix }) => keys.log(key, suffix, entity)));
    const [[bytes = null, ...found] = []] = await store.read([[keys.meta(key), ...logs]]);
    const meta = wholeMeta(bytes);
    if (meta?.life !== life || meta.status !== 'ready')
      throw new StateMoves(`The state ${key} began anew while it was read; it is read again.`);
    const { mark = -1 } = meta.sources[own ?? ''] ?? {};
    for (const [i, entity] of some.entries()) {
      marks.set(entity, mark);
      for (const [set] of view.sets.entries()) {
        const log = found[i * view.sets.length + set] ?? null;
        if (log !== null) replica.logs.put(set, entity, log);
      }
    }
  }
  return marks;
}

/** Throws StateMoves where the store has a state of another history than the one that was loaded, or a backfill writes one. */
export function mustHaveHistory(key: string, loaded: ViewMeta, bytes: Uint8Array | null): void {
  const meta = wholeMeta(bytes);
  if (meta === null) return;
  const { history, status } = meta;
  const same = JSON.stringify(history) === JSON.stringify(loaded.history);
  if (status === 'building' || (status === 'ready' && history !== null && !same))
    throw new StateMoves(`A backfill has replaced the state ${key}; it is loaded again.`);
}
