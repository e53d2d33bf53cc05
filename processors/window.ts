import { floorTo, RUNGS, tailOf } from '../schemas/time.ts';
import type { TileSet, View } from '../schemas/view.ts';

/** What a read asks for: the request's own edge, and how far the state lets it look. Epoch ms. */
export interface AsOf {
  /** floor(time - readDelay, g): the young edge that the request's time asks for. */
  readonly head: number;
  /** The young edge that is read: the head, or the frontier's where that is older. */
  readonly asOf: number;
  /** The same at the resolution of the sketches; NaN where the view has none. */
  readonly sketchAsOf: number;
}

/** How far back of a head any read of a view can reach, ms: whole windows, hops, delays and zone shifts included. */
export function reachOf(view: View): number {
  return view.sets.reduce((most, { reach }) => Math.max(most, reach), 0);
}

export function sketchResolutionOf(view: View): number {
  return view.sets.find(({ kind }) => kind === 'sketches')?.resolution ?? Number.NaN;
}

/**
 * Where the windows of a set end for a read as of `asOf` (an edge of the view, a multiple of its resolution):
 * at the set's own resolution, and `maxDelay` earlier where the view is keyed by a second time, since
 * until then events of that time may still come.
 */
export function endOf(view: View, set: TileSet, asOf: number): number {
  const edge = set.kind === 'sketches' ? floorTo(asOf, set.resolution) : asOf;
  return view.at === null ? edge : floorTo(edge - view.at.maxDelay, set.resolution);
}

/** Widths of the levels that a set's tiles may have: its resolution and the rungs above. */
export function levelsOf(set: TileSet): Float64Array {
  return Float64Array.from(RUNGS.filter((rung) => rung >= set.resolution));
}

/** What compaction may do to the tiles of a log, and what no read can reach any more. */
export interface Edges {
  /** A group of tiles [S, S + width of level) may be merged into one where it ends at or before this, by level. */
  readonly promote: Float64Array;
  /** A tile that ends at or before this is never read again. */
  readonly drop: number;
}

/**
 * For every read as of `oldest` or later. A group of a wider level may replace its tiles once it is closed and
 * lies outside every window that moves by smaller steps than its width: the edges of such a window could
 * cut it. The old edges of wider-stepping windows never cut it, as they are multiples of its width.
 */
export function edgesOf(view: View, set: TileSet, oldest: number, levels: Float64Array): Edges {
  const promote = new Float64Array(levels.length).fill(Number.NEGATIVE_INFINITY);
  if (!Number.isFinite(oldest)) return { promote, drop: Number.NEGATIVE_INFINITY };
  if (set.kind === 'periodic') return { promote, drop: oldest - set.reach };
  const end = endOf(view, set, oldest);
  let drop = end;
  for (const { length, hop } of set.windows) drop = Math.min(drop, tailOf(end, length, hop));
  for (let level = 1; level < levels.length; level += 1) {
    const width = levels[level] as number;
    let edge = end;
    for (const { length, hop } of set.windows)
      if (hop < width) edge = Math.min(edge, tailOf(end, length, hop));
    promote[level] = edge;
  }
  return { promote, drop };
}
