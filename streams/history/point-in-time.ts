import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { entityKey } from '../../processors/entity-key.ts';
import { asOf } from '../../processors/read.ts';
import { ViewState } from '../../processors/state.ts';
import type { EventRecord } from '../../schemas/event.ts';
import type { Project } from '../../schemas/project.ts';
import { floorTo, HOUR } from '../../schemas/time.ts';
import type { View } from '../../schemas/view.ts';
import { type ModelRead, zoneOf } from '../inference/vector.ts';
import { readPast, startFor } from './past.ts';

/** One read of a view: which values, and where they lie among those of a row. */
export interface PastRead {
  readonly view: View;
  readonly offset: number;
}

/** A row of somebody's own table. */
export interface PastRow {
  /** Event time that it is read as of, epoch ms. */
  readonly time: number;
  /** Entity of each read, in the order of the reads; null: the row lacks a part of its key, and its values stay null. */
  readonly entities: ReadonlyArray<string | null>;
  /** IANA zone of each read for periodic features; null = UTC. */
  readonly zones: ReadonlyArray<string | null>;
}

/** The row of a request that reads as of `time`. */
export function rowOfRequest(
  reads: ReadonlyArray<Pick<ModelRead, 'declared'>>,
  event: EventRecord,
  time: number,
): PastRow {
  return {
    time,
    entities: reads.map(({ declared }) => entityKey(event, declared.key, declared.defaults)),
    zones: reads.map(({ declared }) => zoneOf(declared, event)),
  };
}

export interface PointInTimeOptions {
  readonly project: Project;
  readonly warehouse: Warehouse;
  readonly reads: readonly PastRead[];
  /** Values of a row, over all reads. */
  readonly width: number;
  readonly rows: readonly PastRow[];
  /** Events that count beside those of the archive, by source, in order of time. */
  readonly extra?: ReadonlyMap<string, readonly EventRecord[]> | undefined;
  readonly onProgress?: (done: { readonly rows: number; readonly events: number }) => void;
  readonly signal?: AbortSignal;
}

/** How often, event time, the state is told that older reads will not come. */
const PRUNE_EVERY = HOUR;
/** Events between two pauses that let others of this process go on. */
const PAUSE_EVERY = 5_000;

/**
 * Point-in-time join: the features of a table's entities as a request at each row's time would have read them at its full head. One
 * pass over the archive in order of time; an event is folded when its time has come, a row read when its own has. The same
 * contributions, tiles and readers as live, so the same bits. `see` is called once a row, in the order of their times, with values
 * that are overwritten by the next (NaN is null). Answers with the number of events folded.
 */
export async function readPointInTime(
  options: PointInTimeOptions,
  see: (row: number, values: Float64Array) => void,
): Promise<number> {
  const { project, warehouse, rows, signal } = options;
  const order = rows.map((_, i) => i).sort((a, b) => (rows[a]?.time ?? 0) - (rows[b]?.time ?? 0));
  const [first, last] = [rows[order[0] ?? -1], rows[order.at(-1) ?? -1]];
  if (first === undefined || last === undefined) return 0;
  const pass = new TablePass(options);
  const { views } = pass;
  let events = 0;
  let at = 0;
  const readUntil = (time: number) => {
    for (; at < order.length; at += 1) {
      const row = order[at] ?? 0;
      if ((rows[row]?.time ?? 0) > time) return;
      see(row, pass.read(rows[row] as PastRow));
    }
  };
  const range = { from: startFor(views, first.time), to: last.time };
  for await (const batch of readPast({ project, warehouse, views, ...range, extra: options.extra })) {
    signal?.throwIfAborted();
    for (const { event, contributions } of batch) {
      // An event of the row's own time is not before it.
      readUntil(event.time);
      pass.prune(event.time);
      pass.fold(contributions);
      events += 1;
      if (events % PAUSE_EVERY === 0) await new Promise((go) => setImmediate(go));
    }
    options.onProgress?.({ rows: at, events });
  }
  readUntil(Number.POSITIVE_INFINITY);
  options.onProgress?.({ rows: at, events });
  return events;
}

/** The states of the views while a pass goes through the past. */
class TablePass {
  readonly views: readonly View[];
  readonly #reads: readonly PastRead[];
  readonly #states: readonly ViewState[];
  /** The state of each read's view. */
  readonly #stateOf: readonly ViewState[];
  readonly #values: Float64Array;
  #prunedAt = Number.NEGATIVE_INFINITY;

  constructor({ reads, width }: PointInTimeOptions) {
    this.#reads = reads;
    this.views = [...new Set(reads.map(({ view }) => view))];
    this.#states = this.views.map((view) => new ViewState(view));
    this.#stateOf = reads.map(({ view }) => this.#states[this.views.indexOf(view)] as ViewState);
    this.#values = new Float64Array(width);
  }

  /** Drops tiles that no read from `time` on reaches. */
  prune(time: number): void {
    if (time - this.#prunedAt < PRUNE_EVERY) return;
    this.#prunedAt = time;
    for (const [v, view] of this.views.entries())
      this.#states[v]?.prune(floorTo(time - view.readDelay, coarsest(view)));
  }

  fold(contributions: ReadonlyArray<Parameters<ViewState['apply']>[0] | null>): void {
    for (let v = 0; v < contributions.length; v += 1) {
      const contribution = contributions[v];
      if (contribution !== null && contribution !== undefined) this.#states[v]?.apply(contribution);
    }
  }

  read({ time, entities, zones }: PastRow): Float64Array {
    this.#values.fill(Number.NaN);
    for (const [r, { view, offset }] of this.#reads.entries()) {
      const entity = entities[r] ?? null;
      if (entity === null) continue;
      const edges = asOf(view, time, Number.POSITIVE_INFINITY);
      const zone = zones[r] ?? null;
      const status = this.#stateOf[r]?.read(entity, { time, zone }, edges, this.#values, offset);
      if (status !== 'ok')
        throw new Error(`a read of ${view.id} at ${time} was pruned away: a bug of the pass`);
    }
    return this.#values;
  }
}

/** Sketches may be read at an edge of their own, older than the view's. */
function coarsest(view: View): number {
  return view.sets.reduce((most, set) => Math.max(most, set.resolution), view.resolution);
}
