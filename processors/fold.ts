import type { Contribution } from '../schemas/records/block.ts';
import { floorTo } from '../schemas/time.ts';
import type { TileSet, View } from '../schemas/view.ts';
import { ByteWriter } from './bytes.ts';
import { addValue, layoutOf, type RowLayout } from './columns.ts';
import { grown } from './grown.ts';
import { firstPlace, ONE_TILE, TILES } from './log-layout.ts';
import { writeNumericTile } from './numeric.ts';
import {
  addToSketch,
  Entries,
  mergeEntries,
  type SketchLayout,
  sketchLayoutOf,
  writeSketchTile,
} from './sketches/entries.ts';

/** A partial chunk to append to an entity's log of one set (an index into the view's sets). */
export interface PartialChunk {
  readonly set: number;
  readonly entity: string;
  readonly bytes: Uint8Array;
}

/**
 * Folds one batch of contributions to one view partition into partial tiles. The bytes of an entity do not
 * depend on the order of `add`; entities come out in the order they were first seen.
 */
export class Folder {
  readonly #byTime: boolean;
  readonly #entities = new Map<string, number>();
  readonly #names: string[] = [];
  readonly #sets: SetFolder[];

  constructor(view: View) {
    this.#byTime = view.at === null;
    this.#sets = view.sets.map((set) => new SetFolder(set));
  }

  add(contribution: Contribution): void {
    const key = this.#byTime ? contribution.time : contribution.at;
    if (key === null) return;
    const { entity, values } = contribution;
    let index = this.#entities.get(entity);
    if (index === undefined) {
      index = this.#names.length;
      this.#entities.set(entity, index);
      this.#names.push(entity);
    }
    for (const set of this.#sets) set.add(index, key, values);
  }

  /** Entities folded since the last drain. */
  get entities(): number {
    return this.#names.length;
  }

  /** The partial chunks of everything added, and an empty folder. */
  drain(): PartialChunk[] {
    const partials: PartialChunk[] = [];
    for (let set = 0; set < this.#sets.length; set += 1) {
      const folder = this.#sets[set] as SetFolder;
      const { bytes, length } = folder.encode(this.#names.length);
      // One copy for all: the chunks are views of it.
      const copy = bytes.slice(0, length);
      folder.each((entity, from, to) => {
        partials.push({ set, entity: this.#names[entity] as string, bytes: copy.subarray(from, to) });
      });
    }
    this.#clear();
    return partials;
  }

  /**
   * The chunks of one contribution alone, without a copy: `bytes` holds each, up to `length`, during the call.
   * For state in memory; the folder must be empty, and stays so.
   */
  one(contribution: Contribution, visit: (set: number, bytes: Uint8Array, length: number) => void): void {
    const key = this.#byTime ? contribution.time : contribution.at;
    if (key === null) return;
    for (let set = 0; set < this.#sets.length; set += 1) {
      const folder = this.#sets[set] as SetFolder;
      folder.add(0, key, contribution.values);
      const { bytes, length } = folder.encode(1);
      if (length > 0) visit(set, bytes, length);
    }
  }

  #clear(): void {
    this.#entities.clear();
    this.#names.length = 0;
  }
}

/** Tiles of one set for all entities of a batch: rows in one array, linked by entity, youngest first. */
class SetFolder {
  readonly #resolution: number;
  readonly #layout: RowLayout;
  readonly #sketches: SketchLayout | null;
  readonly #inputs: Int32Array;
  readonly #writer = new ByteWriter();
  readonly #entries = new Entries();
  readonly #merged = new Entries();
  #rows: Float64Array;
  #starts = new Float64Array(256);
  /** Next older tile of the same entity, or -1. */
  #older = new Int32Array(256);
  #tiles = 0;
  /** Youngest tile of each entity, or -1. */
  #youngest = new Int32Array(256).fill(-1);
  #list = new Int32Array(64);
  /** Entity and end of each chunk written. */
  #ends = new Int32Array(64);
  #chunks = 0;

  constructor(set: TileSet) {
    this.#resolution = set.resolution;
    this.#layout = layoutOf(set.columns);
    this.#sketches = set.sketches.length > 0 ? sketchLayoutOf(set.sketches) : null;
    this.#inputs =
      this.#sketches === null ? this.#layout.inputs : Int32Array.from(set.sketches, ({ input }) => input);
    this.#rows = new Float64Array(256 * this.#layout.width);
  }

  add(entity: number, time: number, values: ReadonlyArray<number | null>): void {
    const inputs = this.#inputs;
    let row = -1;
    for (let i = 0; i < inputs.length; i += 1) {
      const value = values[inputs[i] as number];
      if (value === null || value === undefined) continue;
      if (row < 0) row = this.#tile(entity, floorTo(time, this.#resolution));
      if (this.#sketches === null)
        addValue(this.#layout, i, this.#rows, row * this.#layout.width, value, time);
      else addToSketch(this.#sketches, this.#entries, row, i, value);
    }
  }

  /** The entity's tile that begins at `start`, made where there is none. */
  #tile(entity: number, start: number): number {
    if (entity >= this.#youngest.length) {
      const known = this.#youngest.length;
      this.#youngest = grown(this.#youngest, entity * 2).fill(-1, known);
    }
    let younger = -1;
    let tile = this.#youngest[entity] as number;
    while (tile >= 0 && (this.#starts[tile] as number) > start) {
      younger = tile;
      tile = this.#older[tile] as number;
    }
    if (tile >= 0 && this.#starts[tile] === start) return tile;
    const made = this.#tiles;
    if (made === this.#starts.length) this.#grow();
    this.#tiles = made + 1;
    this.#starts[made] = start;
    this.#older[made] = tile;
    if (younger < 0) this.#youngest[entity] = made;
    else this.#older[younger] = made;
    const { empty, width } = this.#layout;
    for (let k = 0, slot = made * width; k < width; k += 1, slot += 1) this.#rows[slot] = empty[k] as number;
    return made;
  }

  #grow(): void {
    this.#rows = grown(this.#rows, this.#rows.length * 2);
    this.#starts = grown(this.#starts, this.#starts.length * 2);
    this.#older = grown(this.#older, this.#older.length * 2);
  }

  /** Writes the chunks of entities 0 to before `entities`, and empties the tiles. Valid until the next call. */
  encode(entities: number): ByteWriter {
    const writer = this.#writer;
    writer.length = 0;
    this.#chunks = 0;
    if (this.#tiles === 0) return writer;
    if (this.#ends.length < entities * 2) this.#ends = new Int32Array(entities * 4);
    if (this.#sketches !== null) mergeEntries(this.#sketches, this.#entries, this.#merged, (row) => row);
    const spans = this.#sketches === null ? null : this.#spans();
    const known = Math.min(entities, this.#youngest.length);
    for (let entity = 0; entity < known; entity += 1) {
      const youngest = this.#youngest[entity] as number;
      if (youngest < 0) continue;
      this.#youngest[entity] = -1;
      this.#write(youngest, spans);
      this.#ends[this.#chunks * 2] = entity;
      this.#ends[this.#chunks * 2 + 1] = writer.length;
      this.#chunks += 1;
    }
    this.#tiles = 0;
    this.#entries.length = 0;
    return writer;
  }

  /** Calls `visit` with each entity that `encode` wrote a chunk of, and where it lies. */
  each(visit: (entity: number, from: number, to: number) => void): void {
    let from = 0;
    for (let k = 0; k < this.#chunks; k += 1) {
      const to = this.#ends[k * 2 + 1] as number;
      visit(this.#ends[k * 2] as number, from, to);
      from = to;
    }
  }

  /** Where the merged entries of each tile end. */
  #spans(): Int32Array {
    const spans = new Int32Array(this.#tiles);
    let at = 0;
    for (let tile = 0; tile < this.#tiles; tile += 1) {
      while (at < this.#merged.length && this.#merged.row[at] === tile) at += 1;
      spans[tile] = at;
    }
    return spans;
  }

  #write(youngest: number, spans: Int32Array | null): void {
    const writer = this.#writer;
    let count = 0;
    for (let tile = youngest; tile >= 0; tile = this.#older[tile] as number) {
      if (count === this.#list.length) this.#list = grown(this.#list, count * 2);
      this.#list[count] = tile;
      count += 1;
    }
    if (count === 1) writer.byte(ONE_TILE);
    else {
      writer.byte(TILES);
      writer.unsigned(count);
    }
    let before = 0;
    for (let k = count - 1; k >= 0; k -= 1) {
      const tile = this.#list[k] as number;
      const start = this.#starts[tile] as number;
      const place =
        k === count - 1
          ? firstPlace(start, this.#resolution)
          : Math.round((start - before) / this.#resolution) - 1;
      before = start;
      if (this.#sketches === null || spans === null)
        writeNumericTile(writer, this.#layout, place, start, this.#rows, tile * this.#layout.width);
      else {
        const from = tile === 0 ? 0 : (spans[tile - 1] as number);
        writeSketchTile(writer, this.#sketches, place, this.#merged, from, spans[tile] as number);
      }
    }
  }
}
