import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { assembler } from '../../processors/assemble.ts';
import { entityKey } from '../../processors/entity-key.ts';
import { asOf } from '../../processors/read.ts';
import { ViewState } from '../../processors/state.ts';
import type { EventRecord } from '../../schemas/event.ts';
import { tables } from '../../schemas/names.ts';
import type { Model, Project } from '../../schemas/project.ts';
import { floorTo, HOUR } from '../../schemas/time.ts';
import type { View } from '../../schemas/view.ts';
import { modelReads, zoneOf } from '../inference/vector.ts';
import { type PastEvent, readPast, startFor } from './past.ts';

export interface BackfillVectorsOptions {
  readonly project: Project;
  readonly model: Model;
  readonly warehouse: Warehouse;
  /** Place of each wanted request's vector, by the request's id. */
  readonly wanted: ReadonlyMap<string, number>;
  /** All wanted requests lie in from <= time < to, epoch ms. */
  readonly from: number;
  readonly to: number;
  /** n x features, row-major; vectors are written at their places. */
  readonly rows: Float64Array;
  readonly progress?: (done: {
    readonly events: number;
    readonly time: number;
    readonly vectors: number;
  }) => void;
  readonly signal?: AbortSignal;
}

export interface BackfilledVectors {
  /** Events folded. */
  readonly events: number;
  readonly vectors: number;
  /** Requests that lack a part of a key: their rows stay NaN. */
  readonly missingKey: number;
  readonly entities: number;
  readonly bytes: number;
}

/** How often, event time, the state is told that older reads will not come. */
const PRUNE_EVERY = HOUR;

/**
 * The vectors of past requests, each read at its full head as live would have, in one pass over the archive in
 * order of time: an event is folded when its time has come, a request read when its own has. A request whose producer's
 * clock was ahead reads at an older head, as live did, so the state keeps what that head needs. The same
 * contributions, tiles and readers as live, so the same bits.
 */
export async function backfillVectors(options: BackfillVectorsOptions): Promise<BackfilledVectors> {
  const { project, model, warehouse, wanted, from, to } = options;
  const { request } = model;
  const ahead = await aheadOfArrival(options);
  const pass = new VectorPass(options, ahead.mostMs);
  const { views } = pass;
  const start = startFor(views, Math.min(from, ahead.first));
  let events = 0;
  for await (const batch of readPast({ project, warehouse, views, from: start, to })) {
    options.signal?.throwIfAborted();
    for (const { source, event, readTime, contributions } of batch) {
      pass.prune(event.time);
      if (source === request.source && event.type === request.eventType && event.time >= from) {
        const place = wanted.get(event.id);
        if (place !== undefined) pass.readVector(event, readTime, place);
      }
      pass.fold(contributions);
    }
    events += batch.length;
    options.progress?.({ events, time: batch.at(-1)?.event.time ?? from, vectors: pass.vectors });
  }
  return { events, ...pass.summary() };
}

/** How far requests of the range were ahead of their arrival at most, ms, and the first arrival of one that was, epoch ms. */
async function aheadOfArrival({ project, model, warehouse, from, to }: BackfillVectorsOptions) {
  const { source, eventType } = model.request;
  const [row] = await warehouse.query<{ n: number; most: number; first: number }>(
    `SELECT count() AS n, max(toUnixTimestamp64Milli(time) - toUnixTimestamp64Milli(assumeNotNull(first_append_time))) AS most,
       min(toUnixTimestamp64Milli(assumeNotNull(first_append_time))) AS first
     FROM ${quoteName(tables.events(project.prefix, source))}
     WHERE type = {type:String} AND first_append_time < time
       AND time >= fromUnixTimestamp64Milli({from:Int64}) AND time < fromUnixTimestamp64Milli({to:Int64})`,
    { type: eventType, from: Math.trunc(from), to: Math.trunc(to) },
  );
  return row === undefined || row.n === 0
    ? { mostMs: 0, first: Number.POSITIVE_INFINITY }
    : { mostMs: row.most, first: row.first };
}

/** The states of a model's views while a pass goes through the past, and the vectors read from them. */
class VectorPass {
  readonly views: readonly View[];
  readonly #model: Model;
  readonly #rows: Float64Array;
  readonly #reads: ReturnType<typeof modelReads>['reads'];
  readonly #states: readonly ViewState[];
  /** The state of each read's view. */
  readonly #stateOf: readonly ViewState[];
  readonly #assemble: (stored: Float64Array, event: EventRecord) => Float64Array;
  readonly #stored: Float64Array;
  readonly #mostAheadMs: number;
  #prunedAt = Number.NEGATIVE_INFINITY;
  #vectors = 0;
  #missingKey = 0;

  /** `mostAheadMs`: how far a request is ahead of its arrival at most. */
  constructor({ project, model, rows }: BackfillVectorsOptions, mostAheadMs: number) {
    const { reads, width } = modelReads(project, model);
    this.#model = model;
    this.#rows = rows;
    this.#reads = reads;
    this.views = [...new Set(reads.map(({ view }) => view))];
    this.#states = this.views.map((view) => new ViewState(view));
    this.#stateOf = reads.map(({ view }) => this.#states[this.views.indexOf(view)] as ViewState);
    this.#assemble = assembler(model, reads);
    this.#stored = new Float64Array(width);
    this.#mostAheadMs = mostAheadMs;
  }

  get vectors(): number {
    return this.#vectors;
  }

  /** Drops tiles that no read from `time` on reaches, once an hour of event time. */
  prune(time: number): void {
    if (time - this.#prunedAt < PRUNE_EVERY) return;
    this.#prunedAt = time;
    for (const [v, view] of this.views.entries())
      this.#states[v]?.prune(floorTo(time - this.#mostAheadMs - view.readDelay, coarsest(view)));
  }

  /** Adds an event's contributions, one a view or null. */
  fold(contributions: PastEvent['contributions']): void {
    for (let v = 0; v < contributions.length; v += 1) {
      const contribution = contributions[v];
      if (contribution !== null && contribution !== undefined) this.#states[v]?.apply(contribution);
    }
  }

  /** Reads the vector of a request as of `time` and writes it at its place; a request that lacks a part of a key leaves NaN there. */
  readVector(event: EventRecord, time: number, place: number): void {
    const width = this.#model.features.length;
    this.#rows.fill(Number.NaN, place * width, (place + 1) * width);
    for (const [r, { declared, view, offset }] of this.#reads.entries()) {
      const entity = entityKey(event, declared.key, declared.defaults);
      if (entity === null && declared.optional) {
        this.#stored.fill(Number.NaN, offset, offset + view.features.length);
        continue;
      }
      if (entity === null) {
        this.#missingKey += 1;
        return;
      }
      const status = this.#stateOf[r]?.read(
        entity,
        { time, zone: zoneOf(declared, event) },
        asOf(view, time, Number.POSITIVE_INFINITY),
        this.#stored,
        offset,
      );
      if (status !== 'ok')
        throw new Error(`a backfilled read of ${view.id} at ${time} was pruned away: a bug of the pass`);
    }
    this.#rows.set(this.#assemble(this.#stored, event), place * width);
    this.#vectors += 1;
  }

  summary(): Omit<BackfilledVectors, 'events'> {
    return {
      vectors: this.#vectors,
      missingKey: this.#missingKey,
      entities: this.#states.reduce((sum, state) => sum + state.entities, 0),
      bytes: this.#states.reduce((sum, state) => sum + state.bytes, 0),
    };
  }
}

/** Sketches may be read at an edge of their own, older than the view's. */
function coarsest(view: View): number {
  return view.sets.reduce((most, set) => Math.max(most, set.resolution), view.resolution);
}
