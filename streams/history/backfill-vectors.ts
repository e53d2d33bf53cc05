import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { assembler } from '../../processors/assemble.ts';
import { entityKey } from '../../processors/contribute.ts';
import { asOf } from '../../processors/read.ts';
import { ViewState } from '../../processors/state.ts';
import type { EventRecord } from '../../schemas/event.ts';
import { tables } from '../../schemas/names.ts';
import type { Model, Project } from '../../schemas/project.ts';
import { floorTo, HOUR } from '../../schemas/time.ts';
import type { View } from '../../schemas/view.ts';
import { modelReads } from '../inference/vector.ts';
import { readPast, startFor } from './past.ts';

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
  const { project, model, warehouse, wanted, rows } = options;
  const { reads, width } = modelReads(project, model);
  const views = [...new Set(reads.map(({ view }) => view))];
  const states = views.map((view) => new ViewState(view));
  const stateOf = reads.map(({ view }) => states[views.indexOf(view)] as ViewState);
  const assemble = assembler(
    model,
    reads.map(({ view, offset, declared }) => ({ name: declared.name, view, offset })),
  );
  const stored = new Float64Array(width);
  const features = model.features.length;
  const { request } = model;
  let events = 0;
  let vectors = 0;
  let missingKey = 0;

  function readVector(event: EventRecord, time: number, place: number): void {
    rows.fill(Number.NaN, place * features, (place + 1) * features);
    for (const [r, { declared, view, offset }] of reads.entries()) {
      const entity = entityKey(event, declared.key);
      if (entity === null) {
        missingKey += 1;
        return;
      }
      const zone = declared.zone === null ? null : event[declared.zone];
      const status = (stateOf[r] as ViewState).read(
        entity,
        { time, zone: typeof zone === 'string' ? zone : null },
        asOf(view, time, Number.POSITIVE_INFINITY),
        stored,
        offset,
      );
      if (status !== 'ok')
        throw new Error(`a backfilled read of ${view.id} at ${time} was pruned away: a bug of the pass`);
    }
    rows.set(assemble(stored, event), place * features);
    vectors += 1;
  }

  const ahead = await aheadOfArrival(options);
  let pruned = Number.NEGATIVE_INFINITY;
  for await (const batch of readPast({
    project,
    warehouse,
    views,
    from: startFor(views, Math.min(options.from, ahead.first)),
    to: options.to,
  })) {
    options.signal?.throwIfAborted();
    for (const { source, event, readTime, contributions } of batch) {
      if (event.time - pruned >= PRUNE_EVERY) {
        pruned = event.time;
        for (const [v, view] of views.entries())
          states[v]?.prune(floorTo(pruned - ahead.mostMs - view.readDelay, coarsest(view)));
      }
      if (source === request.source && event.type === request.eventType && event.time >= options.from) {
        const place = wanted.get(event.id);
        if (place !== undefined) readVector(event, readTime, place);
      }
      for (let v = 0; v < contributions.length; v += 1) {
        const contribution = contributions[v];
        if (contribution !== null && contribution !== undefined) states[v]?.apply(contribution);
      }
    }
    events += batch.length;
    options.progress?.({ events, time: batch.at(-1)?.event.time ?? options.from, vectors });
  }
  return {
    events,
    vectors,
    missingKey,
    entities: states.reduce((sum, state) => sum + state.entities, 0),
    bytes: states.reduce((sum, state) => sum + state.bytes, 0),
  };
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

/** Sketches may be read at an edge of their own, older than the view's. */
function coarsest(view: View): number {
  return view.sets.reduce((most, set) => Math.max(most, set.resolution), view.resolution);
}
