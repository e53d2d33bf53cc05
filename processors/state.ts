import type { Contribution } from '../schemas/records/block.ts';
import type { View } from '../schemas/view.ts';
import { Folder } from './fold.ts';
import { HeldLogs, type Log } from './held-logs.ts';
import { compactLog, wantsCompaction } from './log.ts';
import { type AsOf, createReader, type Reader, type ReadRequest, type ReadStatus } from './read.ts';

/** A log that grows in place. */
interface GrowingLog {
  bytes: Uint8Array;
  length: number;
  compactedBytes: number;
}

/**
 * The state of a view in memory, for backfill: the very logs that the online store would hold, grown in place
 * and compacted as they are there. So what it reads and what it writes to the store are the same bits by
 * construction, and its memory is that of the store and of the tiles that it keeps decoded (see held-logs.ts).
 */
export class ViewState {
  readonly #view: View;
  readonly #folder: Folder;
  readonly #reader: Reader;
  readonly #entities = new Map<string, Array<GrowingLog | null>>();
  readonly #held = new HeldLogs();
  readonly #logs: Array<Log | null>;
  /** Logs of the entity that a contribution is being applied to. */
  #into: Array<GrowingLog | null> = [];
  #oldest = Number.NEGATIVE_INFINITY;

  constructor(view: View) {
    this.#view = view;
    this.#folder = new Folder(view);
    this.#reader = createReader(view);
    this.#logs = view.sets.map(() => null);
  }

  get entities(): number {
    return this.#entities.size;
  }

  apply(contribution: Contribution): void {
    let logs = this.#entities.get(contribution.entity);
    if (logs === undefined) {
      logs = this.#view.sets.map(() => null);
      this.#entities.set(contribution.entity, logs);
    }
    this.#into = logs;
    this.#folder.one(contribution, this.#append);
  }

  readonly #append = (set: number, bytes: Uint8Array, more: number): void => {
    let log = this.#into[set] ?? null;
    if (log === null) {
      log = { bytes: new Uint8Array(64), length: 0, compactedBytes: 0 };
      this.#into[set] = log;
    }
    const length = log.length + more;
    if (length > log.bytes.length) {
      const grown = new Uint8Array(Math.max(length, log.bytes.length * 2));
      grown.set(log.bytes.subarray(0, log.length));
      log.bytes = grown;
    }
    for (let k = 0, to = log.length; k < more; k += 1, to += 1) log.bytes[to] = bytes[k] as number;
    log.length = length;
    if (wantsCompaction(length, log.compactedBytes)) this.#compact(this.#into, set, log);
  };

  #compact(logs: Array<GrowingLog | null>, set: number, log: GrowingLog): void {
    const tileSet = this.#view.sets[set];
    if (tileSet === undefined) return;
    const compacted = compactLog(this.#view, tileSet, log.bytes.subarray(0, log.length), this.#oldest);
    if (compacted === null) logs[set] = null;
    else {
      log.bytes = compacted;
      log.length = compacted.length;
      log.compactedBytes = compacted.length;
    }
  }

  /** Reads as `createReader` does over the logs of a store; 'behind' below the edge that `prune` was last told. */
  read(entity: string, request: ReadRequest, asOf: AsOf, out: Float64Array, offset: number): ReadStatus {
    const logs = this.#entities.get(entity);
    for (let k = 0; k < this.#logs.length; k += 1) {
      const log = logs?.[k] ?? null;
      const set = this.#view.sets[k];
      this.#logs[k] =
        log === null || set === undefined
          ? null
          : this.#held.see(`${k} ${entity}`, set, log.bytes.subarray(0, log.length));
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
        const tileSet = this.#view.sets[set];
        if (log === null || tileSet === undefined) continue;
        const bytes = compactLog(this.#view, tileSet, log.bytes.subarray(0, log.length), oldest);
        if (bytes !== null) yield { entity, set, bytes };
      }
  }

  /** Bytes of all logs, for a report. */
  get bytes(): number {
    let total = 0;
    for (const logs of this.#entities.values()) for (const log of logs) total += log?.length ?? 0;
    return total;
  }
}
