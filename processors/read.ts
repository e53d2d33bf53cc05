import { floorTo, headOf } from '../schemas/time.ts';
import type { PeriodicFeature, View, WindowFeature } from '../schemas/view.ts';
import { type Log, oldestExactHead } from './decoded-log.ts';
import type { ViewMeta } from './meta.ts';
import { PeriodicReader } from './periodic-reader.ts';
import { type AsOf, sketchResolutionOf } from './window.ts';
import { type SetReader, SketchReader, WindowReader } from './window-reader.ts';

export type { AsOf } from './window.ts';

export interface ReadRequest {
  /** Event time of the request, epoch ms. */
  readonly time: number;
  /** IANA zone for periodic features; null = UTC. An unknown zone makes them null. */
  readonly zone: string | null;
}

export interface ReadLimits {
  /** The meta's; -Infinity if none. */
  readonly oldestExactHead: number;
  /** Event time before which the state lacks events; -Infinity if none. */
  readonly base: number;
}

export const NO_LIMITS: ReadLimits = {
  oldestExactHead: Number.NEGATIVE_INFINITY,
  base: Number.NEGATIVE_INFINITY,
};

/** What the meta of a view partition lets be read. */
export function limitsOf({ oldestExactHead, base }: Pick<ViewMeta, 'oldestExactHead' | 'base'>): ReadLimits {
  return {
    oldestExactHead: oldestExactHead ?? Number.NEGATIVE_INFINITY,
    base: base ?? Number.NEGATIVE_INFINITY,
  };
}

export type ReadStatus = 'ok' | 'behind';

export interface Reader {
  /**
   * Writes one number a feature of the view to `out` from `offset`: NaN is null. `logs` holds one log a set, null
   * where the entity has none. 'behind' where the state is no longer, or not yet, exact at that edge: `out` is
   * then untouched. Throws UnknownStateFormat and CorruptState.
   */
  read(
    logs: ReadonlyArray<Log | null>,
    request: ReadRequest,
    asOf: AsOf,
    limits: ReadLimits,
    out: Float64Array,
    offset: number,
  ): ReadStatus;
}

/** The edges that a read for a request at `time` has while the frontier of its view partition is at `frontier`. */
export function asOf(view: View, time: number, frontier: number): AsOf {
  const sketches = sketchResolutionOf(view);
  const head = headOf(time, view.readDelay, view.resolution);
  return {
    head,
    asOf: Math.min(head, floorTo(frontier, view.resolution)),
    sketchAsOf: Number.isNaN(sketches)
      ? Number.NaN
      : Math.min(headOf(time, view.readDelay, sketches), floorTo(frontier, sketches)),
  };
}

/** A reader keeps its scratch space, so it serves one read at a time; reads of one edge after another share its plan. */
export function createReader(view: View): Reader {
  const sets = view.sets.map((set, index): SetReader => {
    const features = view.features
      .map((feature, out) => ({ feature, out }))
      .filter(({ feature }) => feature.set === index);
    if (set.kind === 'periodic')
      return new PeriodicReader(
        view,
        set,
        features as ReadonlyArray<{ readonly feature: PeriodicFeature; readonly out: number }>,
      );
    const windows = features as ReadonlyArray<{ readonly feature: WindowFeature; readonly out: number }>;
    return set.kind === 'sketches'
      ? new SketchReader(view, set, windows)
      : new WindowReader(view, set, windows);
  });
  const reaches = view.sets.map((set) => (set.kind === 'periodic' ? set.reach : Number.POSITIVE_INFINITY));
  const bySketchEdge = view.sets.map((set) => set.kind === 'sketches');

  return {
    read(logs, request, edges, limits, out, offset) {
      if (!Number.isFinite(edges.asOf)) return 'behind';
      for (let k = 0; k < sets.length; k += 1) {
        const log = logs[k] ?? null;
        let oldest = limits.oldestExactHead;
        if (log !== null) oldest = Math.max(oldest, oldestExactHead(log));
        if (edges.asOf < oldest) return 'behind';
        const edge = bySketchEdge[k] === true ? edges.sketchAsOf : edges.asOf;
        const earliest = (sets[k] as SetReader).plan(edge, request.time, request.zone);
        // Nothing before oldest - reach is kept of a periodic set: see edgesOf in window.ts.
        if (earliest < limits.base || earliest < oldest - (reaches[k] as number)) return 'behind';
      }
      for (let k = 0; k < sets.length; k += 1)
        (sets[k] as SetReader).read(logs[k] ?? null, request.time, out, offset);
      return 'ok';
    },
  };
}
