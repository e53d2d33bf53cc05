import { floorTo } from '../schemas/time.ts';
import type { TileSet, View } from '../schemas/view.ts';
import { ByteWriter } from './bytes.ts';
import { layoutOf, mergeRow, type RowLayout } from './columns.ts';
import { grown } from './grown.ts';
import { compactedChunk, eachTile, firstPlace, logInfo } from './log-layout.ts';
import { addNumericTile, writeNumericTile } from './numeric.ts';
import {
  Entries,
  mergeEntries,
  readSketchTile,
  type SketchLayout,
  sketchLayoutOf,
  writeSketchTile,
} from './sketches/entries.ts';
import { type Edges, edgesOf, levelsOf } from './window.ts';

/**
 * Merges the parts of a log, merges closed tiles up the ladder, drops what no read as of `oldestExactHead` or
 * later can reach, and writes `oldestExactHead` into the header (never lower than what was there).
 * Null where nothing is left: the caller may then delete the log, in a commit whose meta says
 * an oldest exact head at least as young, since that of the log is gone with it.
 *
 * Reads as of `oldestExactHead` or later give the same values before and after, to the bit.
 */
export function compactLog(
  view: View,
  set: TileSet,
  log: Uint8Array,
  oldestExactHead: number,
): Uint8Array | null {
  return compactorOf(view, set).compact(log, oldestExactHead);
}

/** The decoded tiles of a log. */
export interface DecodedTiles {
  readonly count: number;
  /** Epoch ms. */
  startOf(tile: number): number;
  levelOf(tile: number): number;
  /** Writes the row of one tile alone to `rows` from `base`. */
  copyRow(tile: number, rows: Float64Array, base: number): void;
}

/** The log that `compactLog` would make of a log with these tiles. */
export function compactTiles(
  view: View,
  set: TileSet,
  tiles: DecodedTiles,
  oldestExactHead: number,
): Uint8Array | null {
  return compactorOf(view, set).compactTiles(tiles, oldestExactHead);
}

function compactorOf(view: View, set: TileSet): Compactor {
  let compactor = compactors.get(set);
  if (compactor === undefined) {
    compactor = new Compactor(view, set);
    compactors.set(set, compactor);
  }
  return compactor;
}

const compactors = new WeakMap<TileSet, Compactor>();

/** Scratch space for the tiles of one log; kept between logs of the same set. */
class Compactor {
  readonly #view: View;
  readonly #set: TileSet;
  readonly #levels: Float64Array;
  readonly #layout: RowLayout;
  readonly #sketches: SketchLayout | null;
  readonly #runs = new ByteWriter();
  readonly #entries = new Entries();
  readonly #merged = new Entries();
  #rows: Float64Array;
  #starts = new Float64Array(64);
  #level = new Uint8Array(64);
  /** Places of tiles in ascending time. */
  #order = new Float64Array(64);
  #tiles = 0;

  constructor(view: View, set: TileSet) {
    this.#view = view;
    this.#set = set;
    this.#levels = levelsOf(set);
    this.#layout = layoutOf(set.columns);
    this.#sketches = set.sketches.length > 0 ? sketchLayoutOf(set.sketches) : null;
    this.#rows = new Float64Array(64 * this.#layout.width);
  }

  compact(log: Uint8Array, asked: number): Uint8Array | null {
    const oldest = Math.max(asked, logInfo(log).oldestExactHead);
    this.#read(log, edgesOf(this.#view, this.#set, oldest, this.#levels));
    return this.#written(oldest);
  }

  compactTiles(tiles: DecodedTiles, oldest: number): Uint8Array | null {
    const { width } = this.#layout;
    const edges = edgesOf(this.#view, this.#set, oldest, this.#levels);
    this.#tiles = 0;
    for (let k = 0; k < tiles.count; k += 1) {
      const start = tiles.startOf(k);
      const level = tiles.levelOf(k);
      if (start + (this.#levels[level] as number) <= edges.drop) continue;
      const tile = this.#room();
      tiles.copyRow(k, this.#rows, tile * width);
      this.#place(tile, start, level, edges);
      this.#tiles += 1;
    }
    return this.#written(oldest);
  }

  #written(oldest: number): Uint8Array | null {
    if (this.#tiles === 0) return null;
    this.#sort();
    this.#runs.length = 0;
    if (this.#sketches === null) this.#writeNumeric();
    else this.#writeSketches(this.#sketches);
    return compactedChunk(oldest, this.#runs);
  }

  /** Reads the tiles that a read can still reach, each with the start and level it is to have from now on. */
  #read(log: Uint8Array, edges: Edges): void {
    const layout = this.#layout;
    const sketches = this.#sketches;
    this.#tiles = 0;
    this.#entries.length = 0;
    eachTile(log, this.#levels, 0, (at, flags, start, level) => {
      const tile = this.#room();
      const keep = start + (this.#levels[level] as number) > edges.drop;
      let end: number;
      if (sketches === null) {
        const base = tile * layout.width;
        this.#rows.set(layout.empty, base);
        end = addNumericTile(log, at, flags, start, layout, this.#rows, base);
      } else {
        const before = this.#entries.length;
        end = readSketchTile(log, at, flags, sketches, this.#entries, tile);
        if (!keep) this.#entries.length = before;
      }
      if (keep) {
        this.#place(tile, start, level, edges);
        this.#tiles += 1;
      }
      return end;
    });
  }

  #room(): number {
    const tile = this.#tiles;
    if (tile < this.#starts.length) return tile;
    this.#rows = grown(this.#rows, this.#rows.length * 2);
    this.#starts = grown(this.#starts, tile * 2);
    this.#level = grown(this.#level, tile * 2);
    this.#order = new Float64Array(tile * 2);
    return tile;
  }

  #place(tile: number, start: number, level: number, edges: Edges): void {
    let at = start;
    let to = level;
    for (let next = level + 1; next < this.#levels.length; next += 1) {
      const width = this.#levels[next] as number;
      const group = floorTo(start, width);
      if (group + width > (edges.promote[next] as number)) break;
      at = group;
      to = next;
    }
    this.#starts[tile] = at;
    this.#level[tile] = to;
  }

  /**
   * Tiles of different levels never overlap, as the wider the level the older the edge of what may be
   * merged into it: so order by start is order by level, wide first.
   */
  #sort(): void {
    const order = this.#order;
    const starts = this.#starts;
    const tiles = this.#tiles;
    let sorted = true;
    let least = Number.POSITIVE_INFINITY;
    for (let k = 0; k < tiles; k += 1) {
      const start = starts[k] as number;
      if (k > 0 && start < (starts[k - 1] as number)) sorted = false;
      if (start < least) least = start;
      order[k] = k;
    }
    if (sorted) return;
    const unit = this.#levels[0] as number;
    for (let k = 0; k < tiles; k += 1)
      order[k] = Math.round(((starts[k] as number) - least) / unit) * tiles + k;
    order.subarray(0, tiles).sort();
    for (let k = 0; k < tiles; k += 1) order[k] = (order[k] as number) % tiles;
  }

  #writeNumeric(): void {
    const { width } = this.#layout;
    const order = this.#order;
    // Merge tiles of the same start into the first of them.
    let kept = 0;
    for (let k = 0; k < this.#tiles; k += 1) {
      const tile = order[k] as number;
      const last = kept === 0 ? -1 : (order[kept - 1] as number);
      if (last >= 0 && this.#starts[last] === this.#starts[tile])
        mergeRow(this.#layout, this.#rows, tile * width, this.#rows, last * width);
      else {
        order[kept] = tile;
        kept += 1;
      }
    }
    this.#eachRun(kept, (tile, place, start) =>
      writeNumericTile(this.#runs, this.#layout, place, start, this.#rows, tile * width),
    );
  }

  #writeSketches(layout: SketchLayout): void {
    const order = this.#order;
    const ranks = new Int32Array(this.#tiles);
    let kept = 0;
    for (let k = 0; k < this.#tiles; k += 1) {
      const tile = order[k] as number;
      const last = kept === 0 ? -1 : (order[kept - 1] as number);
      if (last < 0 || this.#starts[last] !== this.#starts[tile]) {
        order[kept] = tile;
        kept += 1;
      }
      ranks[tile] = kept - 1;
    }
    const merged = this.#merged;
    mergeEntries(layout, this.#entries, merged, (row) => ranks[row] as number);
    let from = 0;
    let rank = 0;
    this.#eachRun(kept, (_tile, place) => {
      let to = from;
      while (to < merged.length && merged.row[to] === rank) to += 1;
      writeSketchTile(this.#runs, layout, place, merged, from, to);
      from = to;
      rank += 1;
    });
  }

  /** Writes the header of each run of tiles of one level, and calls `write` for each of its tiles: the first `kept`, in order. */
  #eachRun(kept: number, write: (tile: number, place: number, start: number) => void): void {
    const order = this.#order;
    let k = 0;
    while (k < kept) {
      const level = this.#level[order[k] as number] as number;
      const width = this.#levels[level] as number;
      let end = k + 1;
      while (end < kept && this.#level[order[end] as number] === level) end += 1;
      this.#runs.unsigned(level);
      this.#runs.unsigned(end - k);
      let before = 0;
      for (let first = true; k < end; k += 1, first = false) {
        const tile = order[k] as number;
        const start = this.#starts[tile] as number;
        write(tile, first ? firstPlace(start, width) : Math.round((start - before) / width) - 1, start);
        before = start;
      }
    }
  }
}
