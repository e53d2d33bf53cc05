import { DAY, floorTo } from '../schemas/time.ts';
import type { PeriodicFeature, TileSet, View } from '../schemas/view.ts';
import { layoutOf, mergeRow, type RowLayout } from './columns.ts';
import { compileScan, type Scan } from './compile-scan.ts';
import type { Log } from './decoded-log.ts';
import { type Finalizer, finalizerOf } from './finalize.ts';
import { Cuts } from './scan.ts';
import { endOf, levelsOf } from './window.ts';
import type { SetReader } from './window-reader.ts';
import { zoneClock } from './zones.ts';

/** Days before, `times` of them `every` apart; where one of them begins on the clock at hand, in `starts` (null: unknown zone). */
interface Days {
  readonly every: number;
  readonly times: number;
  starts: number[] | null;
}

/** Features over the same union of stretches. */
interface Group {
  readonly days: Days;
  readonly from: number;
  readonly to: number;
  readonly features: Array<{ readonly finalize: Finalizer; readonly out: number }>;
  /** Rows inside the union; row r is in it where inside[r] is 1. */
  inside: Uint8Array;
  /** A stretch does not end at or before the edge: the value is null. */
  open: boolean;
}

/**
 * Times that show the same clock as `time`, `k*every` before, cut down to the resolution (offsets are whole multiples of it by the
 * loader's check); null where there is no such zone.
 */
function startsOf(
  time: number,
  { every, times }: Days,
  zone: string | null,
  resolution: number,
): number[] | null {
  const clock = zone === null ? null : zoneClock(zone);
  if (zone !== null && clock === null) return null;
  const starts: number[] = [];
  for (let k = 1; k <= times; k += 1)
    starts.push(floorTo(clock === null ? time - k * every : clock.sameClock(time, k * every), resolution));
  return starts;
}

/**
 * Reads the same stretch of the clock on earlier days. All edges of all stretches cut time into rows; each
 * tile goes to one row, and a feature adds up the rows inside its union.
 */
export class PeriodicReader implements SetReader {
  readonly #view: View;
  readonly #set: TileSet;
  readonly #levels: Float64Array;
  readonly #layout: RowLayout;
  readonly #scan: Scan;
  readonly #cuts: Cuts;
  readonly #edges: Float64Array;
  readonly #rows: Float64Array;
  readonly #blank: Float64Array;
  readonly #total: Float64Array;
  readonly #groups: readonly Group[];
  readonly #days: readonly Days[];
  #plannedAsOf = Number.NaN;
  #plannedFor = Number.NaN;
  #plannedZone: string | null = null;
  #reach = 0;

  constructor(
    view: View,
    set: TileSet,
    features: ReadonlyArray<{ readonly feature: PeriodicFeature; readonly out: number }>,
  ) {
    this.#view = view;
    this.#set = set;
    this.#levels = levelsOf(set);
    const layout = layoutOf(set.columns);
    this.#layout = layout;
    this.#scan = compileScan(layout);
    const groups: Group[] = [];
    const allDays: Days[] = [];
    for (const { feature, out } of features) {
      const { every, times, from, to } = feature;
      if (every <= 0 || every % DAY !== 0)
        throw new RangeError(`feature '${feature.name}': 'every' is not a whole number of days`);
      let days = allDays.find((one) => one.every === every && one.times === times);
      if (days === undefined) {
        days = { every, times, starts: null };
        allDays.push(days);
      }
      let group = groups.find((one) => one.days === days && one.from === from && one.to === to);
      if (group === undefined) {
        group = { days, from, to, features: [], inside: new Uint8Array(0), open: false };
        groups.push(group);
      }
      group.features.push({ finalize: finalizerOf(feature, layout), out });
    }
    const most = groups.reduce((sum, { days }) => sum + 2 * days.times, 0);
    for (const group of groups) group.inside = new Uint8Array(most + 2);
    this.#groups = groups;
    this.#days = allDays;
    this.#cuts = new Cuts(most);
    this.#edges = new Float64Array(most);
    const rows = most + 1;
    this.#rows = new Float64Array(rows * layout.width);
    this.#blank = new Float64Array(rows * layout.width);
    for (let row = 0; row < rows; row += 1) this.#blank.set(layout.empty, row * layout.width);
    this.#total = new Float64Array(layout.width);
  }

  plan(asOf: number, time: number, zone: string | null): number {
    const now = floorTo(time, this.#view.resolution);
    if (asOf === this.#plannedAsOf && now === this.#plannedFor && zone === this.#plannedZone)
      return this.#reach;
    this.#plannedAsOf = asOf;
    this.#plannedFor = now;
    this.#plannedZone = zone;
    this.#reach = this.#cut(endOf(this.#view, this.#set, asOf), now, zone);
    return this.#reach;
  }

  #cut(end: number, now: number, zone: string | null): number {
    const { resolution } = this.#set;
    const edges = this.#edges;
    let count = 0;
    for (const days of this.#days) days.starts = startsOf(now, days, zone, resolution);
    for (const group of this.#groups) {
      const { starts } = group.days;
      group.inside.fill(0);
      group.open = starts === null;
      for (const start of starts ?? []) {
        edges[count] = start + group.from;
        edges[count + 1] = start + group.to;
        count += 2;
        if (start + group.to > end) group.open = true;
      }
    }
    this.#cuts.set(edges, count);
    for (const group of this.#groups)
      for (const start of group.days.starts ?? [])
        group.inside.fill(1, this.#cuts.rowAt(start + group.from), this.#cuts.rowAt(start + group.to));
    return count === 0 ? Number.POSITIVE_INFINITY : (this.#cuts.bounds[0] as number);
  }

  read(log: Log | null, time: number, out: Float64Array, offset: number): void {
    const layout = this.#layout;
    const { width } = layout;
    const rows = this.#rows;
    rows.set(this.#blank);
    if (log instanceof Uint8Array) this.#scan(log, this.#levels, this.#cuts, rows);
    else log?.tiles.fill(this.#cuts, rows);
    const total = this.#total;
    for (const group of this.#groups) {
      if (!group.open) {
        total.set(layout.empty);
        for (let row = 1; row < this.#cuts.count; row += 1)
          if (group.inside[row] === 1) mergeRow(layout, rows, row * width, total, 0);
      }
      for (const { finalize, out: place } of group.features)
        out[offset + place] = group.open ? Number.NaN : finalize(total, 0, time);
    }
  }
}
