import type { Contribution } from '../schemas/records/block.ts';
import type { View } from '../schemas/view.ts';
import type { Log } from './decoded-log.ts';
import { type AsOf, createReader, type Reader, type ReadRequest, type ReadStatus } from './read.ts';
import { type StateLog, StateLogs } from './state-logs.ts';

export interface ViewStateOptions {
  /** What the decoded tiles of a view may take together; what comes beyond it is held as the store holds it. */
  readonly maxTileBytes?: number;
  /** Tiles that a log may have beyond twice those of its last compaction. */
  readonly room?: number;
}

const MAX_TILE_BYTES = 256 * 1024 * 1024;
const ROOM = 64;

/**
 * The state of a view in memory, for backfill: the tiles of every entity, grown in place and compacted as those of the online
 * store are (see state-logs.ts). It reads and writes what the store would: tiles hold exact integers, and a law holds its reads
 * against those of the logs.
 */
export class ViewState {
  readonly #view: View;
  readonly #byTime: boolean;
  readonly #reader: Reader;
  readonly #entities = new Map<string, Array<StateLog | null>>();
  readonly #sets: readonly StateLogs[];
  readonly #logs: Array<Log | null>;
  #oldest = Number.NEGATIVE_INFINITY;

  constructor(view: View, { maxTileBytes = MAX_TILE_BYTES, room = ROOM }: ViewStateOptions = {}) {
    this.#view = view;
    this.#byTime = view.at === null;
    this.#reader = createReader(view);
    const options = { maxBytes: maxTileBytes / view.sets.length, room };
    this.#sets = view.sets.map((set) => new StateLogs(view, set, options));
    this.#logs = view.sets.map(() => null);
  }

  get entities(): number {
    return this.#entities.size;
  }

  apply({ entity, time, at, values }: Contribution): void {
    let logs = this.#entities.get(entity);
    if (logs === undefined) {
      logs = this.#view.sets.map(() => null);
      this.#entities.set(entity, logs);
    }
    const key = this.#byTime ? time : at;
    if (key === null) return;
    for (let k = 0; k < this.#sets.length; k += 1) {
      const set = this.#sets[k] as StateLogs;
      let log = logs[k] ?? null;
      if (log === null) {
        log = set.create();
        logs[k] = log;
      }
      set.add(log, key, values, this.#oldest);
    }
  }

  /** Reads as `createReader` does over the logs of a store; 'behind' below the edge that `prune` was last told. */
  read(entity: string, request: ReadRequest, asOf: AsOf, out: Float64Array, offset: number): ReadStatus {
    const logs = this.#entities.get(entity);
    for (let k = 0; k < this.#logs.length; k += 1) {
      const log = logs?.[k] ?? null;
      this.#logs[k] = log === null ? null : (this.#sets[k] as StateLogs).read(log);
    }
    const limits = { oldestExactHead: this.#oldest, base: Number.NEGATIVE_INFINITY };
    return this.#reader.read(this.#logs, request, asOf, limits, out, offset);
  }

  /** No read will come as of an edge below `oldestExactHead` any more. Each log is cut when it next grows enough. */
  prune(oldestExactHead: number): void {
    this.#oldest = Math.max(this.#oldest, oldestExactHead);
  }

  /** Every log, compacted as of `oldestExactHead`, ready to be set in the online store. */
  *encode(
    oldestExactHead: number,
  ): Iterable<{ readonly entity: string; readonly set: number; readonly bytes: Uint8Array }> {
    const oldest = Math.max(this.#oldest, oldestExactHead);
    for (const [entity, logs] of this.#entities)
      for (const [set, log] of logs.entries()) {
        const bytes = log === null ? null : (this.#sets[set] as StateLogs).encode(log, oldest);
        if (bytes !== null) yield { entity, set, bytes };
      }
  }

  /** Bytes of all logs, for a report. */
  get bytes(): number {
    let total = 0;
    for (const logs of this.#entities.values())
      for (const [k, log] of logs.entries())
        total += log === null ? 0 : (this.#sets[k] as StateLogs).sizeOf(log);
    return total;
  }
}
