import type { Warehouse } from '../infrastructure/clickhouse/port.ts';
import { retrying } from '../infrastructure/clickhouse/retry.ts';
import { answersOf, quoteName } from '../infrastructure/clickhouse/tables.ts';
import { tickAfter } from '../schemas/monitoring.ts';
import { tables, topics } from '../schemas/names.ts';
import type { Model, Project, Source } from '../schemas/project.ts';
import { readLastClocks } from '../streams/archive/clocks.ts';
import { iso } from '../streams/runtime/iso.ts';

interface Deps {
  readonly project: Project;
  readonly warehouse: Warehouse;
  /** Wall clock, epoch ms. */
  readonly now: number;
}

/** Live, a record is in its table this long after it was appended: flushes of ingest, inference and archive. */
export const SETTLE_MS = 10_000;

/**
 * Event time up to which everything that will ever be in the archive is there, epoch ms; null where nothing has come.
 * Of a partition with an open replay it is the newest clock. Live nobody says it: there it is what has come, but not
 * younger than the sources' outOfOrderness and a settle time behind the wall clock. A clock that stands is never taken
 * back. The least over all partitions of the events and predictions that the model (or, without one, any) reads.
 */
export async function eventTimeFinished(
  { project, warehouse, now }: Deps,
  model?: Pick<Model, 'name'>,
): Promise<number | null> {
  const { prefix } = project;
  const models = project.models.filter(({ name }) => model === undefined || name === model.name);
  const clocks = await readLastClocks(warehouse, prefix);
  let finished = Number.POSITIVE_INFINITY;
  for (const source of project.sources) {
    const asking = models.filter(({ request }) => request.source === source.name);
    const telling = models.some(({ label }) => label.source === source.name);
    if (model !== undefined && asking.length === 0 && !telling) continue;
    const watched = [
      topics.validated(prefix, source.name),
      ...asking.map(({ name }) => topics.predictions(prefix, name)),
    ];
    let newest: number | null = null;
    for (const topic of watched)
      for (let partition = 0; partition < source.partitions; partition += 1) {
        const last = clocks.get(`${topic}:${partition}`);
        if (last?.open === true) {
          finished = Math.min(finished, last.clock);
          continue;
        }
        newest ??= await newestEvent(warehouse, prefix, source);
        const live = Math.min(newest, now - source.outOfOrderness - SETTLE_MS);
        finished = Math.min(finished, Math.max(live, last?.clock ?? Number.NEGATIVE_INFINITY));
      }
  }
  return Number.isFinite(finished) ? finished : null;
}

/** Largest event time that came through Kafka; minus infinity where none did. */
async function newestEvent(
  warehouse: Warehouse,
  prefix: string,
  { name }: Pick<Source, 'name'>,
): Promise<number> {
  const [row] = await warehouse.query<{ rows: number; last: number }>(
    `SELECT count() AS rows, max(toUnixTimestamp64Milli(time)) AS last
     FROM ${quoteName(tables.events(prefix, name))} WHERE import_id = ''`,
  );
  return row === undefined || row.rows === 0 ? Number.NEGATIVE_INFINITY : row.last;
}

const TICK_STATES = ['measured', 'finished'] as const;
export type TickState = (typeof TICK_STATES)[number];

export interface Tick {
  /** Event time, epoch ms: the end of the windows measured at it. */
  readonly tick: number;
  readonly state: TickState;
  /** JSON. */
  readonly detail: string;
  /** Wall clock, epoch ms. */
  readonly at: number;
}

/** Ticks in their order. */
export async function readTicks(
  warehouse: Pick<Warehouse, 'query'>,
  prefix: string,
  options: { readonly after?: number; readonly state?: TickState } = {},
): Promise<Tick[]> {
  return warehouse.query<Tick>(
    `SELECT toUnixTimestamp64Milli(tick) AS "tick", state, detail, toUnixTimestamp64Milli(at) AS "at"
     FROM (SELECT * FROM ${quoteName(tables.ticks(prefix))} FINAL
       WHERE tick > fromUnixTimestamp64Milli({after:Int64}) AND ({state:String} = '' OR state = {state:String}))
     ORDER BY "tick"`,
    { after: options.after ?? -(2 ** 40), state: options.state ?? '' },
  );
}

/** The newest row of a tick counts. */
export async function writeTick(
  warehouse: Pick<Warehouse, 'insert'>,
  prefix: string,
  tick: number,
  state: TickState,
  detail: object,
  now: number,
): Promise<void> {
  const row = { tick: iso(tick), state, detail: JSON.stringify(detail), at: iso(now) };
  await retrying(() =>
    warehouse.insert(tables.ticks(prefix), [row], { token: `${tick} ${state} ${row.detail} ${now}` }),
  );
}

/** Windows without a single prediction after which a gap is jumped. */
const EMPTY_WINDOWS = 30;

/**
 * The next tick to measure, whether its time has come or not; null while nothing was predicted. After the last one
 * measured comes the next; windows without predictions are measured too, but of a long gap only the first.
 */
export async function nextTick({ project, warehouse }: Omit<Deps, 'now'>): Promise<number | null> {
  const [last] = await warehouse.query<{ rows: number; tick: number }>(
    `SELECT count() AS rows, max(toUnixTimestamp64Milli(tick)) AS tick FROM ${quoteName(tables.ticks(project.prefix))}`,
  );
  const after = last === undefined || last.rows === 0 ? null : last.tick;
  const firsts = await Promise.all(
    project.models.map(async ({ name }) => {
      const [row] = await warehouse.query<{ rows: number; first: number }>(
        `SELECT count() AS rows, min(toUnixTimestamp64Milli(request_time)) AS first
         FROM ${answersOf(project.prefix, name)}
         WHERE request_time >= fromUnixTimestamp64Milli({from:Int64})`,
        { from: after ?? -(2 ** 40) },
      );
      return row === undefined || row.rows === 0 ? Number.POSITIVE_INFINITY : row.first;
    }),
  );
  const first = tickAfter(project, Math.min(...firsts));
  if (after === null) return Number.isFinite(first) ? first : null;
  const next = tickAfter(project, after);
  const every = Math.min(...project.models.map(({ monitoring }) => monitoring.every));
  return Number.isFinite(first) && first > next + EMPTY_WINDOWS * every ? first : next;
}
