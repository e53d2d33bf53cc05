import type { SketchColumn } from '../../schemas/view.ts';
import { type ByteWriter, CorruptState, cursor, wideSigned, wideUnsigned } from '../bytes.ts';
import { type BinScale, binOf, binScaleOf } from './ddsketch.ts';
import { rankOf, registerOf } from './hll.ts';

/**
 * A sketch is a list of entries: (register, rank) of an HLL, (bin, count) of a DDSketch. A tile on the wire:
 *
 *   tile    := place*4+flags, states?, sketch*      (states: 2 bits a sketch, four a byte: 0 absent, 1 single, 2 many)
 *   flags   := 0 every sketch is single | 1 every sketch is many | 2 states follow
 *   sketch  := (absent) nothing | (single) entry | (many) number of entries u, entry*
 *   entry   := HLL: step*8 + min(rank-1, 7) u, then rank-8 as a byte where that is 7
 *            | DDSketch: step (the first s, then u); a single one of count 1 is no more than that,
 *              of many each is followed by count-1 u
 *
 * Entries ascend; `step` is the first key, then the distance to the one before, less 1.
 */
export class Entries {
  /** Tile (or row) that an entry belongs to. */
  row = new Int32Array(256);
  column = new Int32Array(256);
  key = new Int32Array(256);
  value = new Float64Array(256);
  length = 0;

  push(row: number, column: number, key: number, value: number): void {
    const at = this.length;
    if (at === this.row.length) {
      this.row = grown(this.row, new Int32Array(at * 2));
      this.column = grown(this.column, new Int32Array(at * 2));
      this.key = grown(this.key, new Int32Array(at * 2));
      this.value = grown(this.value, new Float64Array(at * 2));
    }
    this.row[at] = row;
    this.column[at] = column;
    this.key[at] = key;
    this.value[at] = value;
    this.length = at + 1;
  }
}

function grown<T extends Int32Array | Float64Array>(from: T, into: T): T {
  into.set(from);
  return into;
}

export interface SketchLayout {
  readonly columns: readonly SketchColumn[];
  readonly scales: ReadonlyArray<BinScale | null>;
}

export function sketchLayoutOf(columns: readonly SketchColumn[]): SketchLayout {
  return {
    columns,
    scales: columns.map((column) => (column.kind === 'ddsketch' ? binScaleOf(column.alpha) : null)),
  };
}

/** Adds what a contribution gives to sketch number `column`. */
export function addToSketch(layout: SketchLayout, entries: Entries, row: number, column: number, x: number) {
  const scale = layout.scales[column];
  if (scale) entries.push(row, column, binOf(scale, x), 1);
  else {
    const { precision } = layout.columns[column] as SketchColumn;
    entries.push(row, column, registerOf(x, precision), rankOf(x, precision));
  }
}

/** A tile's entries, from `from` to before `to`: ascending by column, then key, each key once. */
export function writeSketchTile(
  writer: ByteWriter,
  layout: SketchLayout,
  place: number,
  entries: Entries,
  from: number,
  to: number,
): void {
  const columns = layout.columns.length;
  const ends: number[] = [];
  let singles = 0;
  let many = 0;
  let at = from;
  for (let column = 0; column < columns; column += 1) {
    const begin = at;
    while (at < to && entries.column[at] === column) at += 1;
    ends.push(at);
    if (isSingle(layout, entries, column, begin, at)) singles += 1;
    else if (at > begin) many += 1;
  }
  const flags = singles === columns ? 0 : many === columns ? 1 : 2;
  writer.unsigned(place * 4 + flags);
  if (flags === 2) {
    for (let first = 0; first < columns; first += 4) {
      let byte = 0;
      for (let column = first; column < first + 4 && column < columns; column += 1) {
        const begin = column === 0 ? from : (ends[column - 1] as number);
        const end = ends[column] as number;
        const state = end === begin ? 0 : isSingle(layout, entries, column, begin, end) ? 1 : 2;
        byte |= state << ((column - first) * 2);
      }
      writer.byte(byte);
    }
  }
  for (let column = 0; column < columns; column += 1) {
    const begin = column === 0 ? from : (ends[column - 1] as number);
    const end = ends[column] as number;
    if (end === begin) continue;
    const single = isSingle(layout, entries, column, begin, end);
    if (!single) writer.unsigned(end - begin);
    const bins = layout.scales[column] !== null;
    for (let k = begin; k < end; k += 1) {
      const key = entries.key[k] as number;
      const value = entries.value[k] as number;
      const step = k === begin ? key : key - (entries.key[k - 1] as number) - 1;
      if (bins) {
        if (k === begin) writer.signed(step);
        else writer.unsigned(step);
        if (!single) writer.unsigned(value - 1);
      } else {
        const rank = value - 1;
        writer.unsigned(step * 8 + Math.min(rank, 7));
        if (rank >= 7) writer.byte(rank - 7);
      }
    }
  }
}

function isSingle(layout: SketchLayout, entries: Entries, column: number, begin: number, end: number) {
  return end === begin + 1 && (layout.scales[column] === null || entries.value[begin] === 1);
}

/** Reads the sketches of a tile that begin at `from` into `entries` as row `row`; answers where the tile ends. */
export function readSketchTile(
  bytes: Uint8Array,
  from: number,
  flags: number,
  layout: SketchLayout,
  entries: Entries,
  row: number,
): number {
  const columns = layout.columns.length;
  if (flags === 3) throw new CorruptState('A tile of sketches has flags that do not exist.');
  let next = from;
  const states = next;
  if (flags === 2) next += (columns + 3) >> 2;
  for (let column = 0; column < columns; column += 1) {
    const state =
      flags === 2 ? ((bytes[states + (column >> 2)] as number) >> ((column & 3) << 1)) & 3 : flags + 1;
    if (state === 0) continue;
    let count = 1;
    if (state !== 1) {
      count = wideUnsigned(bytes, next);
      next = cursor.at;
    }
    const bins = layout.scales[column] !== null;
    let key = -1;
    for (let k = 0; k < count; k += 1) {
      if (bins) {
        key = k === 0 ? wideSigned(bytes, next) : key + 1 + wideUnsigned(bytes, next);
        next = cursor.at;
        let times = 1;
        if (state !== 1) {
          times = 1 + wideUnsigned(bytes, next);
          next = cursor.at;
        }
        entries.push(row, column, key, times);
        continue;
      }
      let step = bytes[next] as number;
      if (step < 128) next += 1;
      else {
        step = wideUnsigned(bytes, next);
        next = cursor.at;
      }
      key += 1 + (step >>> 3);
      let rank = (step & 7) + 1;
      if (rank === 8) {
        const more = bytes[next];
        if (more === undefined) throw new CorruptState('A state log ends in the middle of a sketch.');
        rank += more;
        next += 1;
      }
      entries.push(row, column, key, rank);
    }
  }
  return next;
}

/**
 * Sorts entries by row, column and key into `into`, and merges those of the same key: the greatest rank of a
 * register, the sum of a bin's counts. `rank` maps a row to its place in the new order.
 */
export function mergeEntries(
  layout: SketchLayout,
  entries: Entries,
  into: Entries,
  rank: (row: number) => number,
): void {
  const columns = layout.columns.length;
  const { length } = entries;
  const order = new Float64Array(length);
  let least = 0;
  let greatest = 0;
  let rows = 0;
  for (let k = 0; k < length; k += 1) {
    least = Math.min(least, entries.key[k] as number);
    greatest = Math.max(greatest, entries.key[k] as number);
    rows = Math.max(rows, rank(entries.row[k] as number) + 1);
  }
  const keys = greatest - least + 1;
  // Sorting one number that holds row, column, key and place is several times faster than a comparator.
  const fits = rows * columns * keys * length < Number.MAX_SAFE_INTEGER;
  if (fits) {
    for (let k = 0; k < length; k += 1) {
      const group = rank(entries.row[k] as number) * columns + (entries.column[k] as number);
      order[k] = (group * keys + ((entries.key[k] as number) - least)) * length + k;
    }
    order.sort();
    for (let k = 0; k < length; k += 1) order[k] = (order[k] as number) % length;
  } else {
    for (let k = 0; k < length; k += 1) order[k] = k;
    order.sort(
      (a, b) =>
        rank(entries.row[a] as number) - rank(entries.row[b] as number) ||
        (entries.column[a] as number) - (entries.column[b] as number) ||
        (entries.key[a] as number) - (entries.key[b] as number),
    );
  }
  into.length = 0;
  for (let k = 0; k < length; k += 1) {
    const from = order[k] as number;
    const row = rank(entries.row[from] as number);
    const column = entries.column[from] as number;
    const key = entries.key[from] as number;
    const value = entries.value[from] as number;
    const last = into.length - 1;
    if (last >= 0 && into.row[last] === row && into.column[last] === column && into.key[last] === key) {
      const known = into.value[last] as number;
      into.value[last] = layout.scales[column] === null ? Math.max(known, value) : known + value;
    } else into.push(row, column, key, value);
  }
}
