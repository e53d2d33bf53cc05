import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { tables } from '../../schemas/names.ts';
import type { Project, Source } from '../../schemas/project.ts';
import { ms } from './books.ts';
import type { Arrivals } from './frontier-bound.ts';

/** Records that arrived within this time are taken together, ms. Less than half of the shortest silence that makes a partition idle. */
export const STRETCH_MS = 100;
/** A query answers with about so many records' stretches. */
const CHUNK_RECORDS = 200_000;

/** All records of a source that ingest took or refused, by what the archive has of them: place, arrival and time (null where refused). */
export function recordsOf(prefix: string, { name }: Source): string {
  const kept = (table: string, time: string, where: string) =>
    `SELECT source_partition AS p, source_offset AS o, ${ms('append_time')} AS a, ${time} FROM ${quoteName(table)} WHERE archived_offset >= 0 AND ${where}`;
  const events = kept(
    tables.events(prefix, name),
    `toNullable(${ms('time')}) AS t, t AS came, ${ms('first_append_time')} AS arrived`,
    "import_id = ''",
  );
  const letters = kept(
    tables.deadLetters(prefix, name),
    `CAST(NULL, 'Nullable(Int64)') AS t, if(code = 'late', ${ms('event_time')}, NULL) AS came, CAST(NULL, 'Nullable(Int64)') AS arrived`,
    "writer = 'ingest'",
  );
  return `(${events} UNION ALL ${letters})`;
}

interface ArrivalRow {
  readonly stretch: number;
  readonly p: number;
  readonly time: number | null;
  readonly capped: number | null;
  readonly firstAppend: number;
  readonly lastAppend: number;
  readonly events: number;
  readonly lastOffset: number;
  readonly lastTardy: number;
}

/** A stretch of arrival time, and what arrived in it. `end` in epoch ms. */
export interface Stretch {
  readonly end: number;
  readonly arrivals: readonly Arrivals[];
}

/**
 * What arrived at the partitions of some sources up to `until` (epoch ms), stretch by stretch, summed up by ClickHouse. Partitions are
 * counted through, source by source.
 */
export async function* stretchesOf(
  warehouse: Warehouse,
  project: Project,
  sources: readonly Source[],
  until: number,
  tick: (records: number) => void,
): AsyncGenerator<Stretch> {
  const { prefix } = project;
  const all = sources.map((source) => recordsOf(prefix, source)).join(' UNION ALL ');
  const [bounds] = await warehouse.query<{ first: number; last: number; records: number }>(
    `SELECT min(a) AS first, max(a) AS last, count() AS records FROM (${all}) WHERE a <= ${until}`,
  );
  if (bounds === undefined || bounds.records === 0) return;
  const chunks = Math.ceil(bounds.records / CHUNK_RECORDS);
  const first = Math.floor(bounds.first / STRETCH_MS);
  const last = Math.floor(bounds.last / STRETCH_MS);
  const step = Math.ceil((last - first + 1) / chunks);
  for (let from = first; from <= last; from += step) {
    const stretches = new Map<number, Arrivals[]>();
    let base = 0;
    for (const source of sources) {
      const rows = await warehouse.query<ArrivalRow>(
        `SELECT intDiv(a, ${STRETCH_MS}) AS stretch, p, max(if(t IS NULL, NULL, least(assumeNotNull(t), ifNull(arrived, assumeNotNull(t))))) AS time,
           max(if(t IS NULL, NULL, least(assumeNotNull(t), ifNull(arrived, a)))) AS capped,
           min(a) AS firstAppend, max(a) AS lastAppend, count(came) AS events, max(o) AS lastOffset,
           maxIf(o + 1, ifNull(a - came > ${source.outOfOrderness}, 0)) - 1 AS lastTardy
         FROM ${recordsOf(prefix, source)}
         WHERE a >= ${from * STRETCH_MS} AND a < ${Math.min(last + 1, from + step) * STRETCH_MS} AND a <= ${until}
         GROUP BY stretch, p`,
      );
      for (const { stretch, p, ...row } of rows) {
        const list = stretches.get(stretch) ?? [];
        stretches.set(stretch, list);
        list.push({ ...row, of: base + p });
      }
      tick(rows.reduce((sum, { events }) => sum + events, 0));
      base += source.partitions;
    }
    for (const [stretch, arrivals] of [...stretches].sort(([a], [b]) => a - b))
      yield { end: (stretch + 1) * STRETCH_MS, arrivals };
  }
}
