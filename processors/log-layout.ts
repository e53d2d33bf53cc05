import { ByteWriter, CorruptState, cursor, UnknownStateFormat, wideSigned, wideUnsigned } from './bytes.ts';

/**
 * The log of one entity and one tile set:
 *
 *   log       := compacted? partial*
 *   partial   := 0x11 tile                      one tile
 *              | 0x21 tiles u, tile+            several, ascending in time
 *   compacted := 0x31 oldest s, bytes u, run*   `bytes` is the length of the runs
 *              | 0x41 bytes u, run*             the same, with no oldest exact head
 *   run       := level u, tiles u, tile+        ascending in time; runs too, so wide tiles come first
 *
 * The low half of a chunk's first byte is the format version, 1; the high half its kind. `oldest` is the
 * oldest exact head: a read as of an older edge is refused. Level 0 is the set's resolution, each further
 * level the next rung of the ladder. Partial tiles are all of level 0.
 *
 * A tile begins with place*4+flags u. In the first tile of a run or partial `place` is its start in units
 * of its width, folded to be unsigned (2n, or -2n-1 below zero); in the others it is the distance
 * to the tile before in widths, less 1. What follows is told in numeric.ts and sketches/entries.ts.
 */
export const ONE_TILE = 0x11;
export const TILES = 0x21;
const COMPACTED = 0x31;
const COMPACTED_OPEN = 0x41;

/** Bytes of partial chunks that a log may have beyond the size of its last compaction. */
const ROOM = 512;

export interface LogInfo {
  /** -Infinity where the log has never been compacted. */
  readonly oldestExactHead: number;
  /** Length of the compacted chunk, header included. */
  readonly compactedBytes: number;
}

const NEVER: LogInfo = { oldestExactHead: Number.NEGATIVE_INFINITY, compactedBytes: 0 };

/** What a log's header says, without reading its tiles. Throws UnknownStateFormat. */
export function logInfo(log: Uint8Array): LogInfo {
  const kind = log[0];
  if (kind === undefined || kind === ONE_TILE || kind === TILES) return NEVER;
  if (kind !== COMPACTED && kind !== COMPACTED_OPEN) throw unknownFormat(kind);
  const oldestExactHead = kind === COMPACTED ? wideSigned(log, 1) : Number.NEGATIVE_INFINITY;
  const bytes = wideUnsigned(log, kind === COMPACTED ? cursor.at : 1);
  return { oldestExactHead, compactedBytes: cursor.at + bytes };
}

/** The oldest exact head in a log's header, without making an object. */
export function oldestExactHeadOf(log: Uint8Array): number {
  return log[0] === COMPACTED ? wideSigned(log, 1) : Number.NEGATIVE_INFINITY;
}

/** Whether a log is long enough to be worth compacting: twice its last compaction, and a little. */
export function wantsCompaction(length: number, compactedBytes: number): boolean {
  return length > 2 * compactedBytes + ROOM;
}

export function unknownFormat(kind: number): UnknownStateFormat {
  return new UnknownStateFormat(
    `A state log has a chunk that begins with 0x${kind.toString(16).padStart(2, '0')}, which this version ` +
      'does not know. It was written by another version of Millrace: run that one, or rebuild the state.',
  );
}

/**
 * Where a walk over a log stands. One place for the grammar: `nextRun` reads what comes before tiles, the
 * caller reads `tiles` tiles of `level`.
 */
export class LogWalk {
  at = 0;
  level = 0;
  tiles = 0;
  #compactedEnd = 0;

  /** At the start of the log, or of a partial chunk behind it. */
  begin(at = 0): void {
    this.at = at;
    this.#compactedEnd = 0;
  }

  /** False at the end of the log. */
  nextRun(log: Uint8Array): boolean {
    if (this.at >= log.length) {
      if (this.at > log.length) throw cutShort();
      return false;
    }
    if (this.at < this.#compactedEnd) return this.#run(log);
    const kind = log[this.at] as number;
    if (kind === ONE_TILE) {
      this.at += 1;
      this.tiles = 1;
      this.level = 0;
      return true;
    }
    if (kind === TILES) {
      this.tiles = wideUnsigned(log, this.at + 1);
      this.at = cursor.at;
      this.level = 0;
      return true;
    }
    if (this.at !== 0 || (kind !== COMPACTED && kind !== COMPACTED_OPEN)) throw unknownFormat(kind);
    if (kind === COMPACTED) wideSigned(log, 1);
    else cursor.at = 1;
    const bytes = wideUnsigned(log, cursor.at);
    this.at = cursor.at;
    this.#compactedEnd = cursor.at + bytes;
    if (this.#compactedEnd > log.length) throw cutShort();
    return this.nextRun(log);
  }

  #run(log: Uint8Array): boolean {
    this.level = wideUnsigned(log, this.at);
    this.tiles = wideUnsigned(log, cursor.at);
    this.at = cursor.at;
    return true;
  }
}

const walk = new LogWalk();

/**
 * Reads every tile of a log, from the chunk that begins at byte `from` on. `take` is told where the inputs of a tile begin, its
 * flags, its start (epoch ms) and its level, and answers where it ends. Throws UnknownStateFormat and CorruptState.
 */
export function eachTile(
  log: Uint8Array,
  levels: Float64Array,
  from: number,
  take: (at: number, flags: number, start: number, level: number) => number,
): void {
  walk.begin(from);
  while (walk.nextRun(log)) {
    const { level, tiles } = walk;
    const step = levels[level];
    if (step === undefined) throw unknownFormat(log[from] as number);
    let { at } = walk;
    let start = 0;
    for (let k = 0; k < tiles; k += 1) {
      const head = wideUnsigned(log, at);
      start = k === 0 ? firstStart(head, step) : start + (Math.floor(head / 4) + 1) * step;
      at = take(cursor.at, head % 4, start, level);
      if (at > log.length) throw cutShort();
    }
    walk.at = at;
  }
}

export function cutShort(): CorruptState {
  return new CorruptState(
    'A state log ends in the middle of a tile. Rebuild the state of this view partition.',
  );
}

/** `place` of the first tile of a run. */
export function firstPlace(start: number, width: number): number {
  const index = Math.round(start / width);
  return index >= 0 ? index * 2 : -index * 2 - 1;
}

/** Start of the first tile of a run from its place*4+flags. */
export function firstStart(head: number, width: number): number {
  if (head < 0x40000000) {
    const index = head >>> 3;
    return ((head & 4) === 0 ? index : -index - 1) * width;
  }
  const place = Math.floor(head / 4);
  const half = Math.floor(place / 2);
  return (place % 2 === 0 ? half : -half - 1) * width;
}

/** Wraps finished runs into a compacted chunk. */
export function compactedChunk(oldestExactHead: number, runs: ByteWriter): Uint8Array {
  const writer = new ByteWriter(runs.length + 20);
  if (Number.isFinite(oldestExactHead)) {
    writer.byte(COMPACTED);
    writer.signed(oldestExactHead);
  } else writer.byte(COMPACTED_OPEN);
  writer.unsigned(runs.length);
  writer.append(runs.bytes.subarray(0, runs.length));
  return writer.copy();
}
