import { floorTo, tailOf } from '../schemas/time.ts';
import type { TileSet, View, WindowFeature } from '../schemas/view.ts';
import { layoutOf, mergeRow, type RowLayout } from './columns.ts';
import { compileScan, type Scan } from './compile-scan.ts';
import { Decay } from './decay.ts';
import type { Log } from './decoded-log.ts';
import { type Finalizer, finalizerOf } from './finalize.ts';
import { Cuts, scanSketches } from './scan.ts';
import { DdRows } from './sketches/ddsketch.ts';
import { Entries, type SketchLayout, sketchLayoutOf } from './sketches/entries.ts';
import { HllRows } from './sketches/hll.ts';
import { endOf, levelsOf } from './window.ts';

/** What a read asks of the reader of one set. */
export interface SetReader {
  /** Prepares for an edge and a request; answers with the earliest time that the read reaches. */
  plan(asOf: number, time: number, zone: string | null): number;
  /** Writes the values of the set's features. A null log is one that was never written. */
  read(log: Log | null, time: number, out: Float64Array, offset: number): void;
}

interface Placed<T> {
  readonly feature: T;
  /** Index among the view's features. */
  readonly out: number;
}

const DECAYED = new Set(['decayed_sum', 'decayed_mean']);

/** Reads the windows of a set of numeric tiles: each tile once, then sums over nested windows, youngest first. */
export class WindowReader implements SetReader {
  readonly #view: View;
  readonly #set: TileSet;
  readonly #levels: Float64Array;
  readonly #layout: RowLayout;
  readonly #scan: Scan;
  readonly #cuts: Cuts;
  /** Between the old edge of each window and that of the next shorter one: hop of the decayed buckets, or 0. */
  readonly #steps: readonly number[];
  readonly #rows: Float64Array;
  readonly #blank: Float64Array;
  readonly #total: Float64Array;
  /** First row of each window. */
  readonly #firstRow: Int32Array;
  /** Features read from one row, by window. */
  readonly #byWindow: ReadonlyArray<ReadonlyArray<{ finalize: Finalizer; out: number }>>;
  readonly #decays: readonly Decay[];
  #planned = Number.NaN;
  #reach = 0;

  constructor(view: View, set: TileSet, features: ReadonlyArray<Placed<WindowFeature>>) {
    this.#view = view;
    this.#set = set;
    this.#levels = levelsOf(set);
    const layout = layoutOf(set.columns);
    this.#layout = layout;
    this.#scan = compileScan(layout);
    this.#decays = features
      .filter(({ feature }) => DECAYED.has(feature.aggregation))
      .map(({ feature, out }) => new Decay(feature, windowOf(set, feature), layout, out));
    this.#byWindow = set.windows.map((_, window) =>
      features
        .filter(({ feature }) => feature.window === window && !DECAYED.has(feature.aggregation))
        .map(({ feature, out }) => ({ finalize: finalizerOf(feature, layout), out })),
    );
    const decayed = features
      .filter(({ feature }) => DECAYED.has(feature.aggregation))
      .map(({ feature }) => windowOf(set, feature))
      .reduce((sum, { length, hop }) => sum + Math.ceil(length / hop) + 2, 0);
    const most = set.windows.length + 1 + decayed;
    this.#cuts = new Cuts(most);
    this.#steps = set.windows.map((_, window) => {
      const first = features
        .filter(({ feature }) => DECAYED.has(feature.aggregation) && feature.window >= window)
        .reduce((least, { feature }) => Math.min(least, feature.window), Number.POSITIVE_INFINITY);
      return set.windows[first]?.hop ?? 0;
    });
    const rows = most + 1;
    this.#rows = new Float64Array(rows * layout.width);
    this.#blank = new Float64Array(rows * layout.width);
    for (let row = 0; row < rows; row += 1) this.#blank.set(layout.empty, row * layout.width);
    this.#total = new Float64Array(layout.width);
    this.#firstRow = new Int32Array(set.windows.length);
  }

  plan(asOf: number): number {
    if (asOf === this.#planned) return this.#reach;
    const end = endOf(this.#view, this.#set, asOf);
    const { windows } = this.#set;
    this.#cuts.clear();
    for (let window = windows.length - 1; window >= 0; window -= 1) {
      const from = tailOfWindow(windows, window, end);
      const to = window === 0 ? end : tailOfWindow(windows, window - 1, end);
      this.#cuts.push(from);
      // Buckets of wider steps begin where those of narrower ones do, as each rung divides the next.
      const step = this.#steps[window] as number;
      if (step > 0)
        for (let edge = floorTo(from, step) + step; edge < to; edge += step) this.#cuts.push(edge);
    }
    this.#cuts.push(end);
    for (let window = 0; window < windows.length; window += 1)
      this.#firstRow[window] = this.#cuts.rowAt(tailOfWindow(windows, window, end));
    for (const decay of this.#decays) decay.plan(end, asOf, this.#cuts.bounds);
    this.#planned = asOf;
    this.#reach = this.#cuts.bounds[0] as number;
    return this.#reach;
  }

  read(log: Log | null, time: number, out: Float64Array, offset: number): void {
    const layout = this.#layout;
    const { width } = layout;
    const rows = this.#rows;
    rows.set(this.#blank);
    if (log instanceof Uint8Array) this.#scan(log, this.#levels, this.#cuts, rows);
    else log?.tiles.fill(this.#cuts, rows);
    for (const decay of this.#decays) out[offset + decay.out] = decay.value(rows, width);
    const total = this.#total;
    total.set(layout.empty);
    let row = this.#cuts.count - 1;
    for (let window = 0; window < this.#byWindow.length; window += 1) {
      for (const first = this.#firstRow[window] as number; row >= first; row -= 1)
        mergeRow(layout, rows, row * width, total, 0);
      const features = this.#byWindow[window] as ReadonlyArray<{ finalize: Finalizer; out: number }>;
      for (let k = 0; k < features.length; k += 1) {
        const { finalize, out: place } = features[k] as { finalize: Finalizer; out: number };
        out[offset + place] = finalize(total, 0, time);
      }
    }
  }
}

function tailOfWindow(windows: TileSet['windows'], window: number, end: number): number {
  const { length, hop } = windows[window] as TileSet['windows'][number];
  return tailOf(end, length, hop);
}

function windowOf(set: TileSet, feature: WindowFeature): { readonly length: number; readonly hop: number } {
  const window = set.windows[feature.window];
  if (window === undefined)
    throw new RangeError(`feature '${feature.name}' reads window ${feature.window}, which its set lacks`);
  return window;
}

interface SketchRead {
  readonly sketch: number;
  readonly quantile: number;
  readonly scale: number;
  readonly out: number;
}

/** Reads the windows of a set of sketches. */
export class SketchReader implements SetReader {
  readonly #view: View;
  readonly #set: TileSet;
  readonly #levels: Float64Array;
  readonly #layout: SketchLayout;
  readonly #cuts: Cuts;
  readonly #entries = new Entries();
  readonly #sketches: ReadonlyArray<HllRows | DdRows>;
  readonly #firstRow: Int32Array;
  readonly #byWindow: ReadonlyArray<readonly SketchRead[]>;
  #planned = Number.NaN;
  #reach = 0;

  constructor(view: View, set: TileSet, features: ReadonlyArray<Placed<WindowFeature>>) {
    this.#view = view;
    this.#set = set;
    this.#levels = levelsOf(set);
    this.#layout = sketchLayoutOf(set.sketches);
    this.#byWindow = set.windows.map((_, window) =>
      features
        .filter(({ feature }) => feature.window === window)
        .map(({ feature, out }) => ({
          sketch: feature.columns[0] as number,
          quantile: feature.quantile,
          scale: feature.scale,
          out,
        })),
    );
    const most = set.windows.length + 1;
    this.#cuts = new Cuts(most);
    this.#sketches = set.sketches.map((sketch) =>
      sketch.kind === 'hll' ? new HllRows(sketch.precision, most + 1) : new DdRows(sketch.alpha, most + 1),
    );
    this.#firstRow = new Int32Array(set.windows.length);
  }

  plan(asOf: number): number {
    if (asOf === this.#planned) return this.#reach;
    const end = endOf(this.#view, this.#set, asOf);
    const { windows } = this.#set;
    this.#cuts.clear();
    for (let window = windows.length - 1; window >= 0; window -= 1)
      this.#cuts.push(tailOfWindow(windows, window, end));
    this.#cuts.push(end);
    for (let window = 0; window < windows.length; window += 1)
      this.#firstRow[window] = this.#cuts.rowAt(tailOfWindow(windows, window, end));
    this.#planned = asOf;
    this.#reach = this.#cuts.bounds[0] as number;
    return this.#reach;
  }

  read(log: Log | null, _time: number, out: Float64Array, offset: number): void {
    const entries = this.#entries;
    const last = this.#cuts.count - 1;
    entries.length = 0;
    if (log instanceof Uint8Array) scanSketches(log, this.#levels, this.#layout, this.#cuts, entries);
    const sketches = this.#sketches;
    for (let k = 0; k < entries.length; k += 1) {
      const row = entries.row[k] as number;
      if (row === 0 || row > last) continue;
      (sketches[entries.column[k] as number] as HllRows | DdRows).add(
        row,
        entries.key[k] as number,
        entries.value[k] as number,
      );
    }
    for (const sketch of sketches) sketch.begin();
    let row = last;
    for (let window = 0; window < this.#byWindow.length; window += 1) {
      for (const first = this.#firstRow[window] as number; row >= first; row -= 1)
        for (const sketch of sketches) sketch.include(row);
      for (const { sketch, quantile, scale, out: place } of this.#byWindow[window] as readonly SketchRead[]) {
        const value = (sketches[sketch] as HllRows | DdRows).value(quantile);
        out[offset + place] = value === null ? Number.NaN : value / scale;
      }
    }
    for (const sketch of sketches) sketch.clear();
  }
}
