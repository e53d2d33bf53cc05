import { hasEvicted, type OnlineStore } from '../../infrastructure/redis/port.ts';
import type { Log } from '../../processors/decoded-log.ts';
import { LogCache } from '../../processors/log-cache.ts';
import { decodeMeta, type ViewMeta } from '../../processors/meta.ts';
import { keys } from '../../schemas/names.ts';
import type { ViewPartition } from '../runtime/partitions.ts';
import { isTorn } from '../runtime/state.ts';

/** Why a view partition cannot be read at all. `torn`: a write failed half-way, or the server dropped keys of it. */
export type Unreadable = 'no_frontier' | 'torn';

export interface PartitionSnapshot {
  readonly meta: ViewMeta | null;
  readonly unreadable: Unreadable | null;
  /** Logs of an entity, one a tile set, as they stood beside the meta. */
  logs(entity: string): ReadonlyArray<Log | null>;
}

const NO_LOGS: ReadonlyArray<Log | null> = [];

/**
 * Reads metas and logs. What belongs to one view partition comes from one atomic snapshot; decoded metas
 * and logs are kept as long as their bytes stay the same.
 */
export class SnapshotReader {
  readonly #store: OnlineStore;
  readonly #cache = new LogCache();
  readonly #metas = new Map<string, { readonly bytes: Uint8Array; readonly meta: ViewMeta }>();

  constructor(store: OnlineStore) {
    this.#store = store;
  }

  /**
   * The meta and the logs of `entities` for each view partition, in one round trip; where a log is missing one more asks whether
   * the server has dropped keys, since an entity that was never seen has no log either.
   */
  async read(
    wanted: ReadonlyArray<{ readonly of: ViewPartition; readonly entities: readonly string[] }>,
  ): Promise<PartitionSnapshot[]> {
    const groups = wanted.map(({ of, entities }) => {
      const group = [keys.meta(of.key)];
      for (const entity of entities)
        for (const { suffix } of of.view.sets) group.push(keys.log(of.key, suffix, entity));
      return group;
    });
    const found = await this.#store.read(groups);
    const read = wanted.map(({ of, entities }, i) =>
      this.#snapshot(of, entities, groups[i] ?? [], found[i] ?? []),
    );
    const doubtful = read.flatMap(({ meta, unreadable }, i) =>
      unreadable === null && meta?.evictions != null && found[i]?.includes(null)
        ? [{ i, key: groups[i]?.[0] ?? '', before: meta.evictions }]
        : [],
    );
    if (doubtful.length === 0) return read;
    const now = await this.#store.evictions(doubtful.map(({ key }) => key));
    for (const [at, { i, before }] of doubtful.entries()) {
      const one = read[i];
      const counted = now[at];
      if (one !== undefined && counted !== undefined && hasEvicted(before, counted))
        read[i] = { ...one, unreadable: 'torn' };
    }
    return read;
  }

  #snapshot(
    of: ViewPartition,
    entities: readonly string[],
    group: readonly string[],
    values: ReadonlyArray<Uint8Array | null>,
  ): PartitionSnapshot {
    const { sets } = of.view;
    const places = new Map<string, number>();
    for (let i = 0; i < entities.length; i += 1) places.set(entities[i] as string, i);
    const seen: Array<ReadonlyArray<Log | null>> = [];
    const bytes = values[0] ?? null;
    const torn = bytes !== null && isTorn(bytes);
    const meta = bytes === null || torn ? null : this.#decode(of.key, bytes);
    const readable = meta !== null && meta.status === 'ready' && meta.frontier !== null;
    return {
      meta,
      unreadable: torn ? 'torn' : readable ? null : 'no_frontier',
      logs: (entity) => {
        const place = places.get(entity);
        if (place === undefined) return NO_LOGS;
        seen[place] ??= sets.map((set, k) => {
          const at = 1 + place * sets.length + k;
          const log = values[at] ?? null;
          return log === null ? null : this.#cache.see(group[at] as string, set, log);
        });
        return seen[place];
      },
    };
  }

  #decode(key: string, bytes: Uint8Array): ViewMeta {
    const known = this.#metas.get(key);
    if (known !== undefined && Buffer.compare(known.bytes, bytes) === 0) return known.meta;
    const meta = decodeMeta(bytes);
    this.#metas.set(key, { bytes, meta });
    return meta;
  }
}
