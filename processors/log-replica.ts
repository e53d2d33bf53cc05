import type { TileSet, View } from '../schemas/view.ts';
import { layoutOf, type RowLayout } from './columns.ts';
import { compactLog } from './compact.ts';
import type { DecodedLog, Log } from './decoded-log.ts';
import { logInfo, oldestExactHeadOf, wantsCompaction } from './log-layout.ts';
import { exactHeadOf, type ViewMeta } from './meta.ts';
import { Tiles } from './tiles.ts';
import { levelsOf } from './window.ts';

const FIRST_BYTES = 128;

/** One log in memory. As a reader takes it: its bytes, and its tiles where they are kept decoded. */
class ReplicaLog {
  #buffer = new Uint8Array(FIRST_BYTES);
  bytes = this.#buffer.subarray(0, 0);
  oldestExactHead = Number.NEGATIVE_INFINITY;
  compactedBytes = 0;
  readonly tiles: Tiles | null;

  constructor(tiles: Tiles | null) {
    this.tiles = tiles;
  }

  append(chunk: Uint8Array): void {
    const from = this.bytes.length;
    const length = from + chunk.length;
    if (length > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(length, this.#buffer.length * 2));
      larger.set(this.bytes);
      this.#buffer = larger;
    }
    this.#buffer.set(chunk, from);
    this.bytes = this.#buffer.subarray(0, length);
    this.tiles?.take(this.bytes, from);
  }

  /** Takes a whole log, compacted lately or not. */
  replace(log: Uint8Array): void {
    this.#buffer = Uint8Array.prototype.slice.call(log);
    this.bytes = this.#buffer.subarray(0, log.length);
    this.compactedBytes = logInfo(this.bytes).compactedBytes;
    this.oldestExactHead = oldestExactHeadOf(this.bytes);
    this.tiles?.clear();
    this.tiles?.take(this.bytes, 0);
  }

  /** The tiles where their sums are exact; else the bytes, to be scanned. */
  get log(): Log {
    return this.tiles?.exact === true ? (this as DecodedLog) : this.bytes;
  }
}

/**
 * The logs of one view partition, as the online store has them, in memory: they grow by the same chunks and are compacted by the same
 * function, so that what is read here is what is read there, to the bit.
 */
export class LogReplica {
  readonly #view: View;
  readonly #shapes: ReadonlyArray<{ readonly layout: RowLayout; readonly levels: Float64Array } | null>;
  readonly #entities = new Map<string, Array<ReplicaLog | null>>();
  readonly #grown = new Map<ReplicaLog, TileSet>();

  constructor(view: View) {
    this.#view = view;
    this.#shapes = view.sets.map((set) =>
      set.kind === 'sketches' ? null : { layout: layoutOf(set.columns), levels: levelsOf(set) },
    );
  }

  get entities(): number {
    return this.#entities.size;
  }

  /** Appends a partial chunk to an entity's log of one set (an index into the view's sets). */
  append(set: number, entity: string, chunk: Uint8Array): void {
    const log = this.#logOf(set, entity);
    log.append(chunk);
    if (wantsCompaction(log.bytes.length, log.compactedBytes))
      this.#grown.set(log, this.#view.sets[set] as TileSet);
  }

  /** Takes an entity's whole log of one set. Throws UnknownStateFormat and CorruptState. */
  put(set: number, entity: string, log: Uint8Array): void {
    this.#logOf(set, entity).replace(log);
  }

  /** Logs of an entity, one a set; null where it has none. */
  logs(entity: string): ReadonlyArray<Log | null> {
    return this.#entities.get(entity)?.map((log) => log?.log ?? null) ?? [];
  }

  /** Merges the logs that have outgrown their last compaction, as far as no read of the slack can reach. */
  compact(meta: ViewMeta): void {
    for (const [log, set] of this.#grown) {
      const oldest = exactHeadOf(this.#view, meta, set.resolution);
      const compacted = oldest === null ? null : compactLog(this.#view, set, log.bytes, oldest);
      if (compacted !== null) log.replace(compacted);
    }
    this.#grown.clear();
  }

  #logOf(set: number, entity: string): ReplicaLog {
    let logs = this.#entities.get(entity);
    if (logs === undefined) {
      logs = this.#view.sets.map(() => null);
      this.#entities.set(entity, logs);
    }
    const known = logs[set];
    if (known != null) return known;
    const shape = this.#shapes[set] ?? null;
    const log = new ReplicaLog(shape === null ? null : new Tiles(shape.layout, shape.levels));
    logs[set] = log;
    return log;
  }
}
