import type { RowLayout } from './columns.ts';
import { eachTile } from './log-layout.ts';
import { addNumericTile } from './numeric.ts';
import { type Entries, readSketchTile, type SketchLayout } from './sketches/entries.ts';

/**
 * Ascending edges that cut time into rows: row r holds the tiles that start in [bounds[r-1], bounds[r]), row 0
 * those before the first edge, row `count` those at or after the last. Infinity stands behind the last edge.
 */
export class Cuts {
  readonly bounds: Float64Array;
  count = 0;

  constructor(most: number) {
    this.bounds = new Float64Array(most + 1);
  }

  /** Takes edges in any order, repeated or not. */
  set(edges: Float64Array, length: number): void {
    const sorted = edges.subarray(0, length).sort();
    let count = 0;
    for (let k = 0; k < length; k += 1) {
      const edge = sorted[k] as number;
      if (count > 0 && this.bounds[count - 1] === edge) continue;
      this.bounds[count] = edge;
      count += 1;
    }
    this.bounds[count] = Number.POSITIVE_INFINITY;
    this.count = count;
  }

  /** Begins a list of edges that are pushed in ascending order. */
  clear(): void {
    this.count = 0;
    this.bounds[0] = Number.POSITIVE_INFINITY;
  }

  push(edge: number): void {
    const { count } = this;
    if (count > 0 && this.bounds[count - 1] === edge) return;
    this.bounds[count] = edge;
    this.bounds[count + 1] = Number.POSITIVE_INFINITY;
    this.count = count + 1;
  }

  /** The row that begins at an edge. */
  rowAt(edge: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.bounds[middle] as number) < edge) low = middle + 1;
      else high = middle;
    }
    return low + 1;
  }
}

/** Takes every tile of a log to its row: `add` is told where the tile's inputs begin, and answers where it ends. */
function scanTiles(
  log: Uint8Array,
  levels: Float64Array,
  { bounds }: Cuts,
  add: (at: number, flags: number, start: number, row: number) => number,
): void {
  let row = 0;
  eachTile(log, levels, 0, (at, flags, start) => {
    while (start >= (bounds[row] as number)) row += 1;
    while (row > 0 && start < (bounds[row - 1] as number)) row -= 1;
    return add(at, flags, start, row);
  });
}

/** Adds every tile of a log of numeric tiles to its row. The plain form of what compile-scan.ts makes faster. */
export function scanNumeric(
  log: Uint8Array,
  levels: Float64Array,
  layout: RowLayout,
  cuts: Cuts,
  rows: Float64Array,
): void {
  scanTiles(log, levels, cuts, (at, flags, start, row) =>
    addNumericTile(log, at, flags, start, layout, rows, row * layout.width),
  );
}

/** Reads every tile of a log of sketches into entries, each under its row. */
export function scanSketches(
  log: Uint8Array,
  levels: Float64Array,
  layout: SketchLayout,
  cuts: Cuts,
  entries: Entries,
): void {
  scanTiles(log, levels, cuts, (at, flags, _, row) => readSketchTile(log, at, flags, layout, entries, row));
}
