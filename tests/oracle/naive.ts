import type { EventRecord } from '../../schemas/event.ts';
import type { StoredFeature, View } from '../../schemas/view.ts';
import { sameLocalClock } from './local-clock.ts';

/**
 * What a feature means, computed straight from its definition: filter the raw events, then aggregate. No
 * tiles, no state, nothing shared with processors/. Slow, and meant to be plainly right.
 *
 * Distinct counts and quantiles are exact here; whoever compares a sketch with them brings the tolerance.
 */
export interface OracleEvent {
  readonly source: string;
  readonly event: EventRecord;
}

export interface OracleRequest {
  readonly time: number;
  readonly zone: string | null;
}

export interface OracleEdge {
  readonly asOf: number;
  readonly sketchAsOf: number;
}

interface Seen {
  readonly time: number;
  readonly value: bigint;
}

/** From `from` until before `to`, epoch ms. */
interface Stretch {
  readonly from: number;
  readonly to: number;
}

const floor = (time: number, step: number) => Math.floor(time / step) * step;

/**
 * One number a feature of the view (NaN = null), for one entity. `events` are all accepted events of the entity
 * that the view did not refuse as late; those that are too old for its second time are left out here.
 */
export function oracleRead(
  view: View,
  events: readonly OracleEvent[],
  request: OracleRequest,
  edge: OracleEdge,
): number[] {
  // Features of one window look at the same events.
  const inside = new Map<string, readonly Timed[]>();
  return view.features.map((feature) => {
    const stretches = stretchesOf(view, feature, request, edge);
    if (stretches === null) return Number.NaN;
    const key = stretches.map(({ from, to }) => `${from}-${to}`).join();
    const timed = inside.get(key) ?? eventsInside(view, events, stretches);
    inside.set(key, timed);
    const column = (k: number): Seen[] => {
      const set = view.sets[feature.set];
      const index = feature.columns[k];
      const list = feature.aggregation === 'distinct' || feature.aggregation === 'quantile';
      const input = index === undefined ? undefined : (list ? set?.sketches : set?.columns)?.[index]?.input;
      if (input === undefined) throw new Error(`feature ${feature.name} has no column ${k}`);
      return valuesOf(view, timed, input);
    };
    return aggregate(view, feature, request, edge, column);
  });
}

/** An event at the time that keys the view, epoch ms. */
interface Timed extends OracleEvent {
  readonly time: number;
}

/** The times that key a view of all events of an entity, epoch ms; NaN where an event is too old for its second time. */
function timesOf(view: View, events: readonly OracleEvent[]): Float64Array {
  const known = kept.get(events);
  if (known !== undefined && known.view === view && known.times.length === events.length) return known.times;
  const { at } = view;
  const times = Float64Array.from(events, ({ event }) => {
    if (at === null) return event.time;
    const second = event[at.field];
    return typeof second !== 'number' || event.time - second > at.maxDelay ? Number.NaN : second;
  });
  kept.set(events, { view, times });
  return times;
}

const kept = new WeakMap<readonly OracleEvent[], { readonly view: View; readonly times: Float64Array }>();

function eventsInside(view: View, events: readonly OracleEvent[], stretches: readonly Stretch[]): Timed[] {
  const times = timesOf(view, events);
  const inside: Timed[] = [];
  for (let i = 0; i < times.length; i += 1) {
    const time = times[i] as number;
    for (const { from, to } of stretches)
      if (time >= from && time < to) {
        inside.push({ ...(events[i] as OracleEvent), time });
        break;
      }
  }
  return inside;
}

/** The values that events give to one input. */
function valuesOf(view: View, events: readonly Timed[], index: number): Seen[] {
  const input = view.inputs[index];
  const seen: Seen[] = [];
  for (const { source, event, time } of events) {
    const value = input?.source === source ? input.evaluate(event) : null;
    if (value !== null) seen.push({ time, value: BigInt(value) });
  }
  return seen;
}

/** Stretches of time that the feature is the aggregate of; null where one is not over yet. */
function stretchesOf(
  view: View,
  feature: StoredFeature,
  request: OracleRequest,
  edge: OracleEdge,
): Stretch[] | null {
  const set = view.sets[feature.set];
  if (set === undefined) throw new Error(`feature ${feature.name} has no set`);
  const young = set.kind === 'sketches' ? edge.sketchAsOf : edge.asOf;
  const end = view.at === null ? young : floor(young - view.at.maxDelay, set.resolution);
  if (feature.kind === 'window') {
    const window = set.windows[feature.window];
    if (window === undefined) throw new Error(`feature ${feature.name} has no window`);
    return [{ from: floor(end - window.length, window.hop), to: end }];
  }
  const now = floor(request.time, view.resolution);
  const stretches: Stretch[] = [];
  for (let k = 1; k <= feature.times; k += 1) {
    const then = sameLocalClock(now, k * feature.every, request.zone);
    if (then === null) return null;
    const anchor = floor(then, set.resolution);
    if (anchor + feature.to > end) return null;
    stretches.push({ from: anchor + feature.from, to: anchor + feature.to });
  }
  return stretches;
}

const total = (seen: readonly Seen[]) => seen.reduce((sum, { value }) => sum + value, 0n);

const inOrder = (seen: readonly Seen[]) =>
  seen.map(({ value }) => value).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));

function aggregate(
  view: View,
  feature: StoredFeature,
  request: OracleRequest,
  edge: OracleEdge,
  column: (k: number) => Seen[],
): number {
  const seen = column(0);
  const { scale } = feature;
  if (feature.aggregation === 'count') return seen.length;
  if (feature.aggregation === 'sum') return Number(total(seen)) / scale;
  if (seen.length === 0) return Number.NaN;
  switch (feature.aggregation) {
    case 'mean':
    case 'share':
      return Number(total(seen)) / (column(1).length * scale);
    case 'min':
      return Number(inOrder(seen)[0]) / scale;
    case 'max':
      return Number(inOrder(seen).at(-1)) / scale;
    case 'variance':
    case 'stddev': {
      const n = BigInt(seen.length);
      const squares = seen.reduce((sum, { value }) => sum + value * value, 0n);
      const spread = Number(n * squares - total(seen) ** 2n);
      const variance = spread / Number(n * n) / scale / scale;
      return feature.aggregation === 'stddev' ? Math.sqrt(variance) : variance;
    }
    case 'last':
    case 'seconds_since_last': {
      const last = seen.reduce((a, b) =>
        b.time > a.time || (b.time === a.time && b.value > a.value) ? b : a,
      );
      return feature.aggregation === 'last' ? Number(last.value) / scale : (request.time - last.time) / 1000;
    }
    case 'distinct':
      return new Set(seen.map(({ value }) => value)).size;
    case 'quantile': {
      if (feature.kind !== 'window') break;
      return Number(inOrder(seen)[Math.floor(feature.quantile * (seen.length - 1))]) / scale;
    }
    case 'decayed_sum':
    case 'decayed_mean': {
      if (feature.kind !== 'window') break;
      const { halfLife } = feature;
      const hop = view.sets[feature.set]?.windows[feature.window]?.hop ?? 0;
      const weight = (time: number) => 2 ** -((edge.asOf - floor(time, hop)) / halfLife);
      const sum = seen.reduce((so, { time, value }) => so + weight(time) * Number(value), 0);
      const weights = seen.reduce((so, { time }) => so + weight(time), 0);
      return (feature.aggregation === 'decayed_sum' ? sum : sum / weights) / scale;
    }
  }
  throw new Error(`the oracle cannot compute ${feature.aggregation} as ${feature.kind}`);
}
