import type { Kafka } from '../../infrastructure/kafka/port.ts';
import type { Commit, OnlineStore } from '../../infrastructure/redis/port.ts';
import { encodeMeta, REBUILD, type ViewMeta } from '../../processors/meta.ts';
import type { ViewState } from '../../processors/state.ts';
import { reachOf } from '../../processors/window.ts';
import { keys, rawTopic, topics } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import type { HistorySection } from '../../schemas/records/block.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import { floorTo } from '../../schemas/time.ts';
import type { View } from '../../schemas/view.ts';
import { Checkpoint } from '../runtime/checkpoint.ts';
import type { Codecs } from '../runtime/codecs.ts';
import { viewPartitions } from '../runtime/partitions.ts';
import { wholeMeta } from '../runtime/state.ts';

export interface WriteOptions {
  readonly project: Project;
  readonly store: OnlineStore;
  readonly kafka: Kafka;
  readonly codecs: Codecs;
  /** E: event time, epoch ms. */
  readonly to: number;
}

/** A view partition, built in memory. */
export interface BuiltPartition {
  readonly view: View;
  readonly partition: number;
  /** Prefix of its keys. */
  readonly key: string;
  readonly state: ViewState;
}

/** A view partition in the online store is not free to be written. */
export class StateInTheWay extends MillraceError {
  readonly code = 'state_in_the_way';
  readonly retriable = false;
}

/** A commit blocks every reader of the store while it lasts. */
const MOST_KEYS = 500;
const MOST_BYTES = 512 * 1024;
const MOST_TRIES = 50;

type Change = Pick<Commit, 'expected' | 'next' | 'sets' | 'deletes'>;

/** floor(time - S, g): what is older is compacted away, as live with the frontier at `time`. */
export function exactHead(view: View, time: number, resolution: number): number {
  return floorTo(time - view.slack, resolution);
}

/**
 * Puts a built partition in the place of whatever stood there: a meta that says `building` first, so that
 * nobody reads and its owner leaves it alone; then the old logs go, the new ones come, and the meta says ready.
 * Each step is guarded by the meta before it. `head`: the oldest that may be read.
 */
export async function writePartition(
  { project, store }: WriteOptions,
  part: BuiltPartition,
  meta: ViewMeta,
  head: number,
): Promise<{ keys: number; bytes: number }> {
  const metaKey = keys.meta(part.key);
  const building = encodeMeta({ ...meta, status: 'building' });
  const { stateExtra } = project.retention;
  const tryCommit = async (change: Change): Promise<boolean> => {
    const [result] = await store.commit([
      { ...change, metaKey, appends: [], logTtlMs: reachOf(part.view) + stateExtra, metaTtlMs: stateExtra },
    ]);
    return result?.status === 'committed';
  };
  const commit = async (change: Change): Promise<void> => {
    if (!(await tryCommit(change)))
      throw new StateInTheWay(
        `Partition ${part.partition} of view ${part.view.id} was written by another process during the backfill; see that no other backfill of ${project.prefix} runs, and run it again.`,
      );
  };
  for (let tries = 1; ; tries += 1) {
    // Its owner may commit between the look and the call.
    const [[found = null] = []] = await store.read([[metaKey]]);
    if (meta.life.startsWith(REBUILD)) goesFirst(part, found);
    const begin = { expected: found, next: building, sets: [], deletes: [] };
    if (tries >= MOST_TRIES) await commit(begin);
    else if (!(await tryCommit(begin))) continue;
    break;
  }
  for await (const page of oldKeys(store, part.key)) {
    await commit({ expected: building, next: building, sets: [], deletes: page });
  }
  let written = { keys: 0, bytes: 0 };
  for (const sets of pages(part, head)) {
    await commit({ expected: building, next: building, sets, deletes: [] });
    written = {
      keys: written.keys + sets.length,
      bytes: written.bytes + sets.reduce((sum, [, value]) => sum + value.length, 0),
    };
  }
  await commit({ expected: building, next: encodeMeta(meta), sets: [], deletes: [] });
  return written;
}

/** A rebuild leaves a state alone that is being written by a backfill, or holds history already. Throws StateInTheWay. */
function goesFirst({ view, partition }: BuiltPartition, found: Uint8Array | null): void {
  const meta = wholeMeta(found);
  if (meta !== null && meta.history !== null && !meta.life.startsWith(REBUILD))
    throw new StateInTheWay(`A backfill has written partition ${partition} of view ${view.id} meanwhile.`);
}

function* pages(part: BuiltPartition, head: number): Generator<Array<readonly [string, Uint8Array]>> {
  let page: Array<readonly [string, Uint8Array]> = [];
  let bytes = 0;
  for (const { entity, set, bytes: value } of part.state.encode(head)) {
    if (page.length > 0 && (page.length >= MOST_KEYS || bytes + value.length > MOST_BYTES)) {
      yield page;
      page = [];
      bytes = 0;
    }
    page.push([keys.log(part.key, part.view.sets[set]?.suffix ?? 'w', entity), value]);
    bytes += value.length;
  }
  if (page.length > 0) yield page;
}

async function* oldKeys(store: OnlineStore, prefix: string): AsyncGenerator<string[]> {
  let page: string[] = [];
  for await (const key of store.scan(`${prefix}:`)) {
    if (key === keys.meta(prefix)) continue;
    page.push(key);
    if (page.length < MOST_KEYS) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}

/** A state that features already applied something to stays, unless it is to be replaced. */
export async function refuseLiveState(
  { project, store }: WriteOptions,
  views: readonly View[],
): Promise<void> {
  const wanted = views.flatMap((view) => viewPartitions(project.prefix, view));
  const found = await store.read(wanted.map(({ key }) => [keys.meta(key)]));
  for (const [i, { view, partition }] of wanted.entries()) {
    const meta = wholeMeta(found[i]?.[0] ?? null);
    if (meta?.status !== 'ready') continue;
    if (Object.values(meta.sources).some(({ runningMax }) => runningMax !== null))
      throw new StateInTheWay(
        `Nothing was written: partition ${partition} of view ${view.id} holds a live state that has applied events from Kafka. Backfill under another prefix, or say with --replace that it may be replaced.`,
      );
  }
}

/** In front of all state that Kafka alone could not make again. */
export async function writeHistorySections(
  { project, kafka, codecs }: WriteOptions,
  parts: readonly BuiltPartition[],
  history: HistorySection,
): Promise<void> {
  const checkpoint = new Checkpoint({ kafka });
  try {
    const records = parts.map(({ view, partition }) => {
      const source = project.sources.find(({ name }) => view.sources.includes(name));
      return {
        topic: topics.view(project.prefix, view.id),
        partition,
        key: null,
        value: codecs.blocks.encode({
          format: 1,
          sections: [
            {
              topic: rawTopic(project.prefix, source ?? { name: '' }),
              partition: 0,
              partitions: source?.partitions ?? 1,
              from: 0,
              to: -1,
              runningMax: null,
              watermark: null,
              byClock: false,
              idle: false,
              turn: 0,
              appendTime: null,
              clockOpen: false,
              history,
              contributions: [],
            },
          ],
        }),
      };
    });
    await checkpoint.flush({ outputs: [records] });
  } finally {
    await checkpoint.close();
  }
}
