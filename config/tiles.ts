import { HOUR, hopOf, RUNGS } from '../schemas/time.ts';
import type { Column, ColumnKind, SketchColumn, TileSet } from '../schemas/view.ts';

/** An entity may have this many tiles before `check` warns, and before the loader refuses. */
export const WARN_TILES = 12_000;
export const MAX_TILES = 50_000;

/** Room that sums keep: this many events of the largest value in one window must stay exact. */
export const EVENTS_OF_ROOM = 10_000_000;

/** How far summer time can move a stretch of a local clock. */
const ZONE_SHIFT = 2 * HOUR;

export interface SetDraft {
  readonly kind: TileSet['kind'];
  readonly resolution: number;
  readonly columns: Column[];
  readonly sketches: SketchColumn[];
  readonly windows: Set<number>;
  /** Periodic: farthest start of a stretch before the request, ms. */
  farthest: number;
}

export function draftSet(kind: TileSet['kind'], resolution: number): SetDraft {
  return { kind, resolution, columns: [], sketches: [], windows: new Set(), farthest: 0 };
}

/** Index of a run of columns of one input, added where it is not there; the run keeps its order. */
export function columnsOf(set: SetDraft, input: number, kinds: readonly ColumnKind[]): number[] {
  return kinds.map((kind) => {
    const index = set.columns.findIndex((column) => column.kind === kind && column.input === input);
    return index >= 0 ? index : set.columns.push({ kind, input }) - 1;
  });
}

export function sketchOf(set: SetDraft, sketch: SketchColumn): number {
  const index = set.sketches.findIndex(
    (one) =>
      one.kind === sketch.kind &&
      one.input === sketch.input &&
      one.precision === sketch.precision &&
      one.alpha === sketch.alpha,
  );
  return index >= 0 ? index : set.sketches.push(sketch) - 1;
}

/**
 * Worst number of tiles on the ladder: at each rung those of the longest window that hops by it, of
 * the slack, and of one step of the next rung, which is not yet compacted.
 */
function worstOnLadder(resolution: number, windows: readonly number[], slack: number, extra: number): number {
  const top = Math.max(resolution, ...windows.map((window) => hopOf(window, resolution)));
  let total = 0;
  for (const [index, rung] of RUNGS.entries()) {
    if (rung < resolution || rung > top) continue;
    const longest = Math.max(0, ...windows.filter((window) => hopOf(window, resolution) === rung));
    const next = rung === top ? rung : (RUNGS[index + 1] ?? rung);
    total += Math.ceil((longest + slack + extra + next) / rung) + 1;
  }
  return total;
}

const SUFFIX = { windows: 'w', sketches: 's', periodic: 'p' } as const;

/** `maxDelay` is how much earlier than the event its second time may be; 0 without one. */
export function finishSet(set: SetDraft, slack: number, maxDelay: number): TileSet {
  const lengths = [...set.windows].sort((a, b) => a - b);
  const windows = lengths.map((length) => ({ length, hop: hopOf(length, set.resolution) }));
  const common = {
    kind: set.kind,
    suffix: SUFFIX[set.kind],
    resolution: set.resolution,
    columns: set.columns,
    sketches: set.sketches,
    windows,
  };
  if (set.kind === 'periodic') {
    const reach = set.farthest + ZONE_SHIFT;
    return { ...common, reach, worstTiles: Math.ceil((reach + slack) / set.resolution) + 2 };
  }
  // The set's own head may trail the view's by a step, and with a second time windows end a delay earlier.
  const earlier = maxDelay === 0 ? set.resolution : maxDelay + 2 * set.resolution;
  const reach = Math.max(...windows.map(({ length, hop }) => length + hop)) + earlier;
  return { ...common, reach, worstTiles: worstOnLadder(set.resolution, lengths, slack, maxDelay) };
}
