import { addLast, addStretch, type RowLayout, type SlotKinds, slotKindsOf } from './columns.ts';
import { grown } from './grown.ts';
import { eachTile } from './log-layout.ts';
import { addNumericTile } from './numeric.ts';
import type { Cuts } from './scan.ts';

/** Beyond it a sum of doubles is not exact any more. */
const EXACT = Number.MAX_SAFE_INTEGER;
const FIRST_CAPACITY = 16;

/**
 * The tiles of one log, decoded, so that a read costs what its windows' edges cost, however long the log is.
 *
 * Tiles stand in order of their start; those that start together are one. What adds up is kept as the sum over all tiles
 * so far, so that a stretch of them is one subtraction, exact as integers below 2^53 are; extremes and last values are
 * kept by tile. A log that grew gives its tail alone.
 */
export class Tiles {
  readonly #layout: RowLayout;
  readonly #levels: Float64Array;
  readonly #kinds: SlotKinds;
  /** The tile that was decoded last. */
  readonly #one: Float64Array;
  #count = 0;
  #exact = true;
  #starts = new Float64Array(FIRST_CAPACITY);
  /** Latest end of a tile and of all before it: no time in them is as late. */
  #ends = new Float64Array(FIRST_CAPACITY);
  #rows: Float64Array<ArrayBuffer>;

  /** `levels`: widths of the levels of the set's tiles, ms (see levelsOf). */
  constructor(layout: RowLayout, levels: Float64Array) {
    this.#layout = layout;
    this.#levels = levels;
    this.#kinds = slotKindsOf(layout);
    this.#one = new Float64Array(layout.width);
    this.#rows = new Float64Array(FIRST_CAPACITY * layout.width);
  }

  /** False where a sum over all tiles would pass 2^53: then the log is to be scanned. */
  get exact(): boolean {
    return this.#exact;
  }

  /** Bytes that the decoded tiles take. */
  get size(): number {
    return 2 * this.#starts.byteLength + this.#rows.byteLength;
  }

  clear(): void {
    this.#count = 0;
    this.#exact = true;
  }

  /** Takes the tiles of a log from the chunk that begins at byte `from`. Throws UnknownStateFormat and CorruptState. */
  take(log: Uint8Array, from: number): void {
    const layout = this.#layout;
    const one = this.#one;
    eachTile(log, this.#levels, from, (at, flags, start, level) => {
      one.set(layout.empty);
      const end = addNumericTile(log, at, flags, start, layout, one, 0);
      this.#insert(start, start + (this.#levels[level] as number));
      return end;
    });
  }

  /** Adds the tiles between each two edges to the row between them. Tiles before the first edge and from the last on are left out. */
  fill({ bounds, count }: Cuts, rows: Float64Array): void {
    const { width } = this.#layout;
    let from = this.#firstFrom(bounds[0] as number, 0);
    for (let row = 1; row < count && from < this.#count; row += 1) {
      const to = this.#firstFrom(bounds[row] as number, from);
      if (to > from) this.#addStretch(from, to, rows, row * width);
      from = to;
    }
  }

  #addStretch(from: number, to: number, rows: Float64Array, base: number): void {
    const { width } = this.#layout;
    const { latest } = this.#kinds;
    const own = this.#rows;
    addStretch(this.#kinds, own, from * width, (to - 1) * width, width, from === 0, rows, base);
    for (let k = 0; k < latest.length; k += 1) {
      const slot = latest[k] as number;
      for (let tile = to - 1; tile >= from; tile -= 1) {
        if ((this.#ends[tile] as number) <= (rows[base + slot] as number)) break;
        const at = tile * width + slot;
        addLast(rows, base + slot, own[at] as number, own[at + 1] as number);
      }
    }
  }

  /** Index of the first tile, from `low` on, that starts at `edge` or later. */
  #firstFrom(edge: number, low: number): number {
    const starts = this.#starts;
    let first = low;
    let after = this.#count;
    while (first < after) {
      const middle = (first + after) >> 1;
      if ((starts[middle] as number) < edge) first = middle + 1;
      else after = middle;
    }
    return first;
  }

  /** Puts the tile that was decoded last in its place. */
  #insert(start: number, end: number): void {
    const { width } = this.#layout;
    const { sums, least, greatest, latest } = this.#kinds;
    const newest = this.#count > 0 ? (this.#starts[this.#count - 1] as number) : Number.NEGATIVE_INFINITY;
    const place = start > newest ? this.#count : this.#firstFrom(start, 0);
    if (place === this.#count || this.#starts[place] !== start) this.#open(place, start);
    for (let tile = place; tile < this.#count && (this.#ends[tile] as number) < end; tile += 1)
      this.#ends[tile] = end;
    const rows = this.#rows;
    const one = this.#one;
    const base = place * width;
    for (const slot of sums) this.#addFrom(base + slot, one[slot] as number);
    for (const slot of least) rows[base + slot] = Math.min(rows[base + slot] as number, one[slot] as number);
    for (const slot of greatest)
      rows[base + slot] = Math.max(rows[base + slot] as number, one[slot] as number);
    for (const slot of latest) addLast(rows, base + slot, one[slot] as number, one[slot + 1] as number);
  }

  /** Adds a value to the sums of a slot, from the tile whose slot is at `from` on. */
  #addFrom(from: number, value: number): void {
    if (value === 0) return;
    const rows = this.#rows;
    const { width } = this.#layout;
    for (let at = from; at < this.#count * width; at += width) {
      const sum = (rows[at] as number) + value;
      rows[at] = sum;
      if (sum > EXACT || sum < -EXACT) this.#exact = false;
    }
  }

  /** Makes room for a tile at `place`, with the sums and the end of those before it. */
  #open(place: number, start: number): void {
    const { width, empty } = this.#layout;
    const count = this.#count;
    this.#reserve(count + 1);
    const rows = this.#rows;
    if (place < count) {
      this.#starts.copyWithin(place + 1, place, count);
      this.#ends.copyWithin(place + 1, place, count);
      rows.copyWithin((place + 1) * width, place * width, count * width);
    }
    this.#starts[place] = start;
    this.#ends[place] = place === 0 ? Number.NEGATIVE_INFINITY : (this.#ends[place - 1] as number);
    rows.set(empty, place * width);
    if (place > 0)
      for (const slot of this.#kinds.sums)
        rows[place * width + slot] = rows[(place - 1) * width + slot] as number;
    this.#count = count + 1;
  }

  #reserve(tiles: number): void {
    if (tiles <= this.#starts.length) return;
    const capacity = this.#starts.length * 2;
    this.#starts = grown(this.#starts, capacity);
    this.#ends = grown(this.#ends, capacity);
    this.#rows = grown(this.#rows, capacity * this.#layout.width);
  }
}
