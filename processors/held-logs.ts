import type { TileSet } from '../schemas/view.ts';
import { layoutOf, type RowLayout } from './columns.ts';
import { Tiles } from './tiles.ts';
import { levelsOf } from './window.ts';

/** A log whose tiles are kept decoded. */
export interface HeldLog {
  readonly bytes: Uint8Array;
  readonly tiles: Tiles;
}

/** The log of one entity and tile set, as a reader takes it. */
export type Log = Uint8Array | HeldLog;

export const bytesOf = (log: Log): Uint8Array => (log instanceof Uint8Array ? log : log.bytes);

export interface HeldLogsOptions {
  /** What all logs and their tiles may take together, bytes. */
  readonly maxBytes?: number;
  /** Shorter logs are scanned faster than they are kept, bytes. */
  readonly shortest?: number;
}

/** What an entry costs beside its bytes. */
const OVERHEAD = 200;

interface Entry {
  bytes: Uint8Array;
  tiles: Tiles | null;
  size: number;
}

/**
 * Keeps the logs that a reader saw, so that of a log that only grew the tail alone is decoded. What was kept is compared
 * byte by byte with what the store holds now: a log that was compacted, rebuilt or rolled back is decoded anew, so a value read from
 * here is the value of a scan, always. A log is decoded when it is met the second time; the longest unused go first.
 */
export class HeldLogs {
  readonly #entries = new Map<string, Entry>();
  readonly #shapes = new Map<TileSet, { readonly layout: RowLayout; readonly levels: Float64Array }>();
  readonly #maxBytes: number;
  readonly #shortest: number;
  #bytes = 0;

  constructor({ maxBytes = 96 * 1024 * 1024, shortest = 192 }: HeldLogsOptions = {}) {
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
      this.#keep(key, { bytes: copyOf(bytes), tiles: null, size: 0 });
      return bytes;
    }
    this.#entries.delete(key);
    this.#bytes -= entry.size;
    try {
      bringUpTo(entry, bytes, () => this.#emptyTiles(set));
    } catch (error) {
      entry.tiles = null;
      throw error;
    } finally {
      this.#keep(key, entry);
    }
    return entry.tiles?.exact === true ? (entry as HeldLog) : bytes;
  }

  #keep(key: string, entry: Entry): void {
    entry.size = OVERHEAD + 2 * key.length + entry.bytes.length + (entry.tiles?.size ?? 0);
    this.#entries.set(key, entry);
    this.#bytes += entry.size;
    for (const [oldest, { size }] of this.#entries) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#entries.delete(oldest);
      this.#bytes -= size;
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

/** Makes an entry that of `bytes`. Throws UnknownStateFormat and CorruptState. */
function bringUpTo(entry: Entry, bytes: Uint8Array, emptyTiles: () => Tiles): void {
  const known = entry.bytes.length;
  const grew = bytes.length >= known && Buffer.compare(entry.bytes, bytes.subarray(0, known)) === 0;
  if (entry.tiles !== null && grew && bytes.length === known) return;
  if (!grew || bytes.length > known) entry.bytes = copyOf(bytes);
  if (entry.tiles === null || !grew) {
    entry.tiles ??= emptyTiles();
    entry.tiles.clear();
    entry.tiles.take(entry.bytes, 0);
  } else entry.tiles.take(entry.bytes, known);
}

/** Of its own: what the store answers with may be a piece of something larger, which would stay with it. */
const copyOf = (bytes: Uint8Array) => Uint8Array.prototype.slice.call(bytes);
