import type { TileSet } from '../schemas/view.ts';
import { layoutOf, type RowLayout } from './columns.ts';
import type { DecodedLog, Log } from './decoded-log.ts';
import { oldestExactHeadOf } from './log-layout.ts';
import { Tiles } from './tiles.ts';
import { levelsOf } from './window.ts';

export interface LogCacheOptions {
  /** What all logs and their tiles may take together, bytes. */
  readonly maxBytes?: number;
  /** Shorter logs are scanned faster than they are kept, bytes. */
  readonly shortest?: number;
}

/** What an entry costs beside its bytes. */
const OVERHEAD = 200;

/** What is kept of one log: its bytes are the first `length` of `copy`, which has room to grow. */
interface Entry {
  copy: Buffer;
  length: number;
  tiles: Tiles | null;
  oldestExactHead: number;
  size: number;
  /** Seen since it was last looked at as one that may go. */
  used: boolean;
}

/**
 * Keeps the logs that a reader saw, so that of a log that only grew the tail alone is decoded. What was kept is compared
 * byte by byte with what the store holds now: a log that was compacted, rebuilt or rolled back is decoded anew, so a value read from
 * here is the value of a scan, always. A log is decoded when it is met the second time. Where room is short the oldest go first;
 * one that was seen since its last turn gets another.
 */
export class LogCache {
  readonly #entries = new Map<string, Entry>();
  readonly #shapes = new Map<TileSet, { readonly layout: RowLayout; readonly levels: Float64Array }>();
  readonly #maxBytes: number;
  readonly #shortest: number;
  #bytes = 0;

  constructor({ maxBytes = 64 * 1024 * 1024, shortest = 192 }: LogCacheOptions = {}) {
    this.#maxBytes = maxBytes;
    this.#shortest = shortest;
  }

  /** Bytes held. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The log at `key` as the store has it now. Sketches and short logs come back as they are. */
  see(key: string, set: TileSet, bytes: Uint8Array): Log {
    if (set.kind === 'sketches' || bytes.length < this.#shortest) return bytes;
    const entry = this.#entries.get(key);
    if (entry === undefined) {
      this.#entries.set(key, this.#weigh(key, entryOf(bytes)));
      this.#makeRoom();
      return bytes;
    }
    entry.used = true;
    if (entry.tiles !== null && isSame(entry, bytes))
      return entry.tiles.exact ? (entry as DecodedLog) : bytes;
    this.#bytes -= entry.size;
    try {
      bringUpTo(entry, bytes, () => this.#emptyTiles(set));
    } catch (error) {
      entry.tiles = null;
      throw error;
    } finally {
      this.#weigh(key, entry);
      this.#makeRoom();
    }
    return entry.tiles?.exact === true ? (entry as DecodedLog) : bytes;
  }

  #weigh(key: string, entry: Entry): Entry {
    entry.size = OVERHEAD + 2 * key.length + entry.copy.length + (entry.tiles?.size ?? 0);
    this.#bytes += entry.size;
    return entry;
  }

  #makeRoom(): void {
    while (this.#bytes > this.#maxBytes)
      for (const [key, entry] of this.#entries) {
        if (this.#bytes <= this.#maxBytes) break;
        this.#entries.delete(key);
        if (entry.used) {
          entry.used = false;
          this.#entries.set(key, entry);
        } else this.#bytes -= entry.size;
      }
  }

  #emptyTiles(set: TileSet): Tiles {
    let shape = this.#shapes.get(set);
    if (shape === undefined) {
      shape = { layout: layoutOf(set.columns), levels: levelsOf(set) };
      this.#shapes.set(set, shape);
    }
    return new Tiles(shape.layout, shape.levels);
  }
}

function entryOf(bytes: Uint8Array): Entry {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return {
    copy,
    length: bytes.length,
    tiles: null,
    oldestExactHead: Number.NEGATIVE_INFINITY,
    size: 0,
    used: false,
  };
}

const isSame = (entry: Entry, bytes: Uint8Array): boolean =>
  bytes.length === entry.length && begins(entry, bytes);

/** Whether `bytes`, no shorter than the entry's, begin with these. */
const begins = ({ copy, length }: Entry, bytes: Uint8Array): boolean =>
  copy.compare(bytes, 0, length, 0, length) === 0;

/** Makes an entry that of `bytes`. Throws UnknownStateFormat and CorruptState. */
function bringUpTo(entry: Entry, bytes: Uint8Array, emptyTiles: () => Tiles): void {
  const known = entry.length;
  const grew = bytes.length >= known && begins(entry, bytes);
  copyFrom(entry, bytes, grew ? known : 0);
  if (entry.tiles === null || !grew) {
    entry.tiles ??= emptyTiles();
    entry.tiles.clear();
    entry.oldestExactHead = oldestExactHeadOf(bytes);
    entry.tiles.take(bytes, 0);
  } else entry.tiles.take(bytes, known);
}

/** Takes the bytes from `from` on. A copy of our own: what the store answers with may be a piece of something larger. */
function copyFrom(entry: Entry, bytes: Uint8Array, from: number): void {
  const { length } = bytes;
  if (length > entry.copy.length || length * 4 < entry.copy.length) {
    entry.copy = Buffer.allocUnsafeSlow(length + (length >> 1));
    entry.copy.set(bytes);
  } else for (let at = from; at < length; at += 1) entry.copy[at] = bytes[at] as number;
  entry.length = length;
}
