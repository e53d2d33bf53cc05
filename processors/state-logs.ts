import type { TileSet, View } from '../schemas/view.ts';
import { layoutOf } from './columns.ts';
import { compactLog, compactTiles } from './compact.ts';
import type { DecodedLog, Log } from './decoded-log.ts';
import { Folder } from './fold.ts';
import { wantsCompaction } from './log-layout.ts';
import { ArenaLog, TileArena } from './tile-arena.ts';
import { levelsOf } from './window.ts';

const NO_BYTES = new Uint8Array(0);

/** The log of one entity and set as a state in memory holds it: as tiles, or as bytes where `encoded` is not null. */
export class StateLog extends ArenaLog implements DecodedLog {
  /** The state that holds it says what may be read. */
  readonly oldestExactHead = Number.NEGATIVE_INFINITY;
  encoded: Uint8Array | null = null;
  /** Bytes of `encoded` that count. */
  length = 0;
  /** Bytes, or tiles, after the last compaction. */
  compacted = 0;

  get tiles(): this {
    return this;
  }
}

export interface StateLogsOptions {
  /** What the decoded tiles of all entities may take. */
  readonly maxBytes: number;
  /** Tiles that a log may have beyond twice those of its last compaction. */
  readonly room: number;
}

/**
 * Logs of one tile set that grow in place, by entity. Numeric tiles are held decoded, so that a contribution is added and a window is read
 * without a byte being written or scanned. Sketches are held as the online store holds them; so are numeric logs whose sums might pass
 * 2^53, and those that come when the tiles of the set already take their share of memory.
 */
export class StateLogs {
  readonly #view: View;
  readonly #set: TileSet;
  readonly #arena: TileArena;
  readonly #folder: Folder;
  readonly #maxBytes: number;
  readonly #room: number;

  constructor(view: View, set: TileSet, { maxBytes, room }: StateLogsOptions) {
    this.#view = view;
    this.#set = set;
    this.#arena = new TileArena(layoutOf(set.columns), levelsOf(set));
    this.#folder = new Folder({ ...view, sets: [set] });
    this.#maxBytes = maxBytes;
    this.#room = room;
  }

  /** A log with nothing in it. */
  create(): StateLog {
    const log = new StateLog(this.#arena);
    if (this.#set.kind === 'sketches' || this.#isFull()) log.encoded = NO_BYTES;
    return log;
  }

  #isFull(): boolean {
    return this.#arena.size >= this.#maxBytes;
  }

  /** Adds the values of a contribution seen at `time`. `oldest`: no read will come as of an older edge. */
  add(log: StateLog, time: number, values: ReadonlyArray<number | null>, oldest: number): void {
    if (log.encoded === null) {
      if (this.#arena.add(log, time, values)) {
        if (log.count > 2 * log.compacted + this.#room) this.#compact(log, oldest);
        return;
      }
      this.#toBytes(log, oldest);
    }
    this.#folder.one({ offset: 0, time, at: time, entity: '', values }, (_, bytes, length) =>
      this.#append(log, bytes, length, oldest),
    );
  }

  /** As a reader takes it. */
  read(log: StateLog): Log | null {
    if (log.encoded === null) return log;
    return log.length === 0 ? null : log.encoded.subarray(0, log.length);
  }

  /** Bytes for the online store, compacted as of `oldest`; null where nothing is left. */
  encode(log: StateLog, oldest: number): Uint8Array | null {
    if (log.encoded === null) return compactTiles(this.#view, this.#set, log, oldest);
    if (log.length === 0) return null;
    return compactLog(this.#view, this.#set, log.encoded.subarray(0, log.length), oldest);
  }

  /** Bytes that a log takes here. */
  sizeOf(log: StateLog): number {
    return log.encoded === null ? log.count * this.#arena.stride * 8 : log.length;
  }

  #compact(log: StateLog, oldest: number): void {
    if (this.#isFull()) {
      this.#toBytes(log, oldest);
      return;
    }
    if (Number.isFinite(oldest)) {
      const bytes = compactTiles(this.#view, this.#set, log, oldest);
      this.#arena.empty(log);
      if (bytes !== null) this.#arena.take(log, bytes);
    }
    log.compacted = log.count;
  }

  /** Holds a log as bytes from now on. */
  #toBytes(log: StateLog, oldest: number): void {
    log.encoded = this.encode(log, oldest) ?? NO_BYTES;
    log.length = log.encoded.length;
    log.compacted = log.length;
    this.#arena.release(log);
  }

  #append(log: StateLog, bytes: Uint8Array, more: number, oldest: number): void {
    const length = log.length + more;
    let into = log.encoded ?? NO_BYTES;
    if (length > into.length) {
      const grown = new Uint8Array(Math.max(length, into.length * 2, 64));
      grown.set(into.subarray(0, log.length));
      into = grown;
    }
    for (let k = 0, to = log.length; k < more; k += 1, to += 1) into[to] = bytes[k] as number;
    log.encoded = into;
    log.length = length;
    if (!wantsCompaction(length, log.compacted)) return;
    const compacted = compactLog(this.#view, this.#set, into.subarray(0, length), oldest) ?? NO_BYTES;
    log.encoded = compacted;
    log.length = compacted.length;
    log.compacted = compacted.length;
  }
}
