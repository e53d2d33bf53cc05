import { floorTo } from '../schemas/time.ts';
import {
  addLast,
  addStretch,
  addValue,
  LIMB,
  LIMBS,
  type RowLayout,
  type SlotKinds,
  SQUARE,
  slotKindsOf,
} from './columns.ts';
import type { DecodedTiles } from './compact.ts';
import { grown } from './grown.ts';
import { eachTile } from './log-layout.ts';
import { addNumericTile } from './numeric.ts';
import type { Cuts } from './scan.ts';

/** Beyond it a sum of doubles is not exact any more. */
const EXACT = Number.MAX_SAFE_INTEGER;
const FIRST_CAPACITY = 4;
/** In front of the row of a tile: its start, the latest end of it and of those before it, its level. */
const HEAD = 3;

/**
 * The decoded tiles of many logs of one set, in one array: a typed array of its own for each log would cost more than its tiles.
 * The tiles of a log stand side by side in order of their start, and hold sums over all tiles so far, as those of tiles.ts do.
 */
export class TileArena {
  readonly layout: RowLayout;
  readonly levels: Float64Array;
  readonly kinds: SlotKinds;
  readonly stride: number;
  cells: Float64Array;
  #used = 0;
  /** Places that logs have left as they grew, by the capacity they had. */
  readonly #free = new Map<number, number[]>();
  /** The tile that was decoded last. */
  readonly #one: Float64Array;

  /** `levels`: widths of the levels of the set's tiles, ms (see levelsOf). */
  constructor(layout: RowLayout, levels: Float64Array) {
    this.layout = layout;
    this.levels = levels;
    this.kinds = slotKindsOf(layout);
    this.stride = layout.width + HEAD;
    this.#one = new Float64Array(layout.width);
    this.cells = new Float64Array(this.stride * 256);
  }

  /** Bytes in use. */
  get size(): number {
    return this.#used * 8;
  }

  /** Place of that many tiles. */
  #take(capacity: number): number {
    const left = this.#free.get(capacity)?.pop();
    if (left !== undefined) return left;
    const at = this.#used;
    this.#used = at + capacity * this.stride;
    if (this.#used > this.cells.length)
      this.cells = grown(this.cells, Math.max(this.cells.length * 2, this.#used));
    return at;
  }

  /** The place of a log may be another's from now on. */
  release(log: ArenaLog): void {
    if (log.capacity > 0) {
      const list = this.#free.get(log.capacity);
      if (list === undefined) this.#free.set(log.capacity, [log.at]);
      else list.push(log.at);
    }
    log.capacity = 0;
    this.empty(log);
  }

  empty(log: ArenaLog): void {
    log.count = 0;
    log.magnitude = 0;
  }

  /**
   * Adds the values of one contribution (null where an input has none), seen at `time`, to its tile of the finest level. False where
   * a sum might pass 2^53: then nothing was added.
   */
  add(log: ArenaLog, time: number, values: ReadonlyArray<number | null>): boolean {
    const { layout } = this;
    const { inputs } = layout;
    const magnitude = log.magnitude + this.#magnitudeOf(values);
    if (magnitude > EXACT) return false;
    if (magnitude === log.magnitude) return true;
    log.magnitude = magnitude;
    const resolution = this.levels[0] as number;
    const start = floorTo(time, resolution);
    const newest =
      log.count === 0
        ? Number.NEGATIVE_INFINITY
        : (this.cells[log.at + (log.count - 1) * this.stride] as number);
    const inPlace = start >= newest;
    if (start > newest) this.#open(log, log.count, start);
    const row = inPlace ? log.at + (log.count - 1) * this.stride + HEAD : 0;
    const into = inPlace ? this.cells : this.#one;
    if (!inPlace) this.#one.set(layout.empty);
    for (let i = 0; i < inputs.length; i += 1) {
      const value = values[inputs[i] as number];
      if (value !== null && value !== undefined) addValue(layout, i, into, row, value, time);
    }
    if (!inPlace) this.#insert(log, start, 0);
    else this.#raiseEnds(log, log.count - 1, start + resolution);
    return true;
  }

  /** Takes the tiles of a log that was written. Throws UnknownStateFormat and CorruptState. */
  take(log: ArenaLog, bytes: Uint8Array): void {
    const { layout, levels } = this;
    const one = this.#one;
    const { sums } = this.kinds;
    eachTile(bytes, levels, 0, (at, flags, start, level) => {
      one.set(layout.empty);
      const end = addNumericTile(bytes, at, flags, start, layout, one, 0);
      for (let k = 0; k < sums.length; k += 1) log.magnitude += Math.abs(one[sums[k] as number] as number);
      this.#insert(log, start, level);
      return end;
    });
  }

  /** More than any sum can grow by these values; 0 where there are none. */
  #magnitudeOf(values: ReadonlyArray<number | null>): number {
    const { inputs, parts } = this.layout;
    let magnitude = 0;
    for (let i = 0; i < inputs.length; i += 1) {
      const value = values[inputs[i] as number];
      if (value === null || value === undefined) continue;
      const part = parts[i] as number;
      magnitude += 1 + Math.abs(value);
      if ((part & SQUARE) !== 0) magnitude += value * value;
      if ((part & LIMBS) !== 0) magnitude += (value * value) / LIMB + 2 * LIMB;
    }
    return magnitude;
  }

  /** Adds the tile that was decoded last. */
  #insert(log: ArenaLog, start: number, level: number): void {
    const { stride } = this;
    const { sums, least, greatest, latest } = this.kinds;
    const place = this.firstFrom(log, start, 0);
    if (place === log.count || this.cells[log.at + place * stride] !== start) this.#open(log, place, start);
    const { cells } = this;
    const one = this.#one;
    const head = log.at + place * stride;
    this.#raiseEnds(log, place, start + (this.levels[level] as number));
    if ((cells[head + 2] as number) < level) cells[head + 2] = level;
    const row = head + HEAD;
    const end = log.at + log.count * stride;
    for (let k = 0; k < sums.length; k += 1) {
      const slot = sums[k] as number;
      const value = one[slot] as number;
      if (value !== 0)
        for (let at = row + slot; at < end; at += stride) cells[at] = (cells[at] as number) + value;
    }
    for (let k = 0; k < least.length; k += 1) {
      const slot = least[k] as number;
      cells[row + slot] = Math.min(cells[row + slot] as number, one[slot] as number);
    }
    for (let k = 0; k < greatest.length; k += 1) {
      const slot = greatest[k] as number;
      cells[row + slot] = Math.max(cells[row + slot] as number, one[slot] as number);
    }
    for (let k = 0; k < latest.length; k += 1) {
      const slot = latest[k] as number;
      addLast(cells, row + slot, one[slot] as number, one[slot + 1] as number);
    }
  }

  #raiseEnds(log: ArenaLog, from: number, end: number): void {
    const { cells, stride } = this;
    for (let tile = from; tile < log.count; tile += 1) {
      const at = log.at + tile * stride + 1;
      if ((cells[at] as number) >= end) return;
      cells[at] = end;
    }
  }

  /** Makes room for a tile at `place`, with the sums and the end of those before it. */
  #open(log: ArenaLog, place: number, start: number): void {
    const { stride } = this;
    const { empty } = this.layout;
    if (log.count === log.capacity) this.#grow(log);
    const { cells } = this;
    const head = log.at + place * stride;
    if (place < log.count) cells.copyWithin(head + stride, head, log.at + log.count * stride);
    cells[head] = start;
    cells[head + 1] = place === 0 ? Number.NEGATIVE_INFINITY : (cells[head + 1 - stride] as number);
    cells[head + 2] = 0;
    const row = head + HEAD;
    for (let k = 0; k < empty.length; k += 1) cells[row + k] = empty[k] as number;
    if (place > 0) {
      const { sums } = this.kinds;
      for (let k = 0; k < sums.length; k += 1) {
        const at = row + (sums[k] as number);
        cells[at] = cells[at - stride] as number;
      }
    }
    log.count += 1;
  }

  #grow(log: ArenaLog): void {
    const { at, count, magnitude } = log;
    const capacity = Math.max(FIRST_CAPACITY, log.capacity * 2);
    const to = this.#take(capacity);
    this.cells.copyWithin(to, at, at + count * this.stride);
    this.release(log);
    log.at = to;
    log.capacity = capacity;
    log.count = count;
    log.magnitude = magnitude;
  }

  /** Index of the first tile of a log, from `low` on, that starts at `edge` or later. */
  firstFrom(log: ArenaLog, edge: number, low: number): number {
    const { cells, stride } = this;
    let first = low;
    let after = log.count;
    while (first < after) {
      const middle = (first + after) >> 1;
      if ((cells[log.at + middle * stride] as number) < edge) first = middle + 1;
      else after = middle;
    }
    return first;
  }
}

/** The tiles of one log in an arena. */
export class ArenaLog implements DecodedTiles {
  readonly arena: TileArena;
  /** First cell, and tiles that have room from there. */
  at = 0;
  capacity = 0;
  count = 0;
  /** No sum over tiles is larger. */
  magnitude = 0;

  constructor(arena: TileArena) {
    this.arena = arena;
  }

  startOf(tile: number): number {
    return this.arena.cells[this.at + tile * this.arena.stride] as number;
  }

  levelOf(tile: number): number {
    return this.arena.cells[this.at + tile * this.arena.stride + 2] as number;
  }

  copyRow(tile: number, rows: Float64Array, base: number): void {
    const { cells, stride, layout, kinds } = this.arena;
    const row = this.at + tile * stride + HEAD;
    for (let slot = 0; slot < layout.width; slot += 1) rows[base + slot] = cells[row + slot] as number;
    if (tile === 0) return;
    for (let k = 0; k < kinds.sums.length; k += 1) {
      const slot = kinds.sums[k] as number;
      rows[base + slot] = (cells[row + slot] as number) - (cells[row + slot - stride] as number);
    }
  }

  /** Adds the tiles between each two edges to the row between them. Tiles before the first edge and from the last on are left out. */
  fill({ bounds, count }: Cuts, rows: Float64Array): void {
    const { arena } = this;
    const { width } = arena.layout;
    let from = arena.firstFrom(this, bounds[0] as number, 0);
    for (let row = 1; row < count && from < this.count; row += 1) {
      const edge = bounds[row] as number;
      // Rows often have no tile at all.
      if (this.startOf(from) >= edge) continue;
      const to = arena.firstFrom(this, edge, from + 1);
      this.#addStretch(from, to, rows, row * width);
      from = to;
    }
  }

  #addStretch(from: number, to: number, rows: Float64Array, base: number): void {
    const { cells, stride, kinds } = this.arena;
    const { latest } = kinds;
    const first = this.at + from * stride + HEAD;
    const last = this.at + (to - 1) * stride + HEAD;
    addStretch(kinds, cells, first, last, stride, from === 0, rows, base);
    for (let k = 0; k < latest.length; k += 1) {
      const slot = latest[k] as number;
      for (let row = last; row >= first; row -= stride) {
        if ((cells[row - 2] as number) <= (rows[base + slot] as number)) break;
        addLast(rows, base + slot, cells[row + slot] as number, cells[row + slot + 1] as number);
      }
    }
  }
}
