import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import type { Measure } from '../../schemas/monitoring.ts';
import { tables } from '../../schemas/names.ts';
import { DAY } from '../../schemas/time.ts';
import { measure } from '../measures.ts';
import type { DataDeps, DataWindow } from './data-window.ts';
import { type FieldBook, measureFields } from './fields.ts';

const WEEK = 7 * DAY;
/** Earlier weeks whose same hours say how much is usual. */
const WEEKS = 4;
/** Robust deviations from what is usual that count as a change. */
const LIMIT = 5;
/** Share of refused, or late, records that is told of. */
const MOST_REFUSED = 0.05;
const LATE = new Set(['late', 'late_for_view']);

/** What came of a source in a window: how much, what was refused, what was empty or out of range. */
export async function measureData(deps: DataDeps, book: FieldBook, window: DataWindow): Promise<Measure[]> {
  const parts = [
    await volume(deps, window),
    await refusals(deps, window),
    await measureFields(deps, book, window),
  ];
  return parts.flat();
}

const shared = ({ source }: DataDeps, { from, to, tick }: DataWindow) => ({
  kind: 'data' as const,
  subject: source.name,
  from,
  to,
  tick,
});

/**
 * Events of each type against the same hours of earlier weeks: median, and median distance from it times 1.4826
 * (the standard deviation of a normal), never less than chance (Poisson) and 2 % allow. An earlier week that came by
 * import and by Kafka counts once.
 */
async function volume(deps: DataDeps, window: DataWindow): Promise<Measure[]> {
  const { project, source, warehouse } = deps;
  const { from, to } = window;
  const ranges = Array.from(
    { length: WEEKS + 1 },
    (_, week) =>
      `(time >= fromUnixTimestamp64Milli(${from - week * WEEK}) AND time < fromUnixTimestamp64Milli(${to - week * WEEK}))`,
  );
  const rows = await warehouse.query<{ week: number; kind: string; rows: number }>(
    `SELECT week, kind, max(n) AS rows FROM (
       SELECT toInt32(intDiv({to:Int64} - 1 - toUnixTimestamp64Milli(time), {week:Int64})) AS week, type AS kind,
         import_id != '' AS imported, count() AS n
       FROM ${quoteName(tables.events(project.prefix, source.name))} FINAL
       WHERE ${ranges.join(' OR ')} GROUP BY week, kind, imported)
     GROUP BY week, kind`,
    { to, week: WEEK },
  );
  const of = (week: number, kind: string | null) =>
    rows.reduce((sum, row) => sum + (row.week === week && (kind ?? row.kind) === row.kind ? row.rows : 0), 0);
  const names: Array<string | null> = [null, ...source.events.map(({ name }) => name)];
  return names.flatMap((kind) => {
    const now = of(0, kind);
    const weeks = Array.from({ length: WEEKS }, (_, i) => of(i + 1, kind)).filter((count) => count > 0);
    const usual = weeks.length === 0 ? null : median(weeks);
    const spread =
      usual === null
        ? null
        : Math.max(
            1.4826 * median(weeks.map((count) => Math.abs(count - usual))),
            Math.sqrt(usual),
            0.02 * usual,
          );
    const z = usual === null || spread === null ? null : (now - usual) / spread;
    const base = { ...shared(deps, window), slice: kind === null ? '' : `type=${kind}`, rows: now };
    const why =
      usual === null
        ? { why: 'There is no event at the same hours of the four weeks before to compare with.' }
        : {};
    return [
      measure({
        ...base,
        statistic: 'volume',
        value: now,
        low: usual === null || spread === null ? null : Math.max(0, usual - LIMIT * spread),
        high: usual === null || spread === null ? null : usual + LIMIT * spread,
        detail: { usual, weeks: weeks.length, ...why },
      }),
      measure({
        ...base,
        statistic: 'volume_z',
        value: z,
        threshold: LIMIT,
        fired: z !== null && Math.abs(z) > LIMIT,
        detail: { usual, weeks: weeks.length, ...why },
      }),
    ];
  });
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}

/**
 * Refusals by reason, as shares of the records. A refused record may have no time: it stands between its neighbours
 * in its partition, so it belongs to the window of the accepted event before it.
 */
async function refusals(deps: DataDeps, window: DataWindow): Promise<Measure[]> {
  const { project, source, warehouse } = deps;
  const { from, to } = window;
  const ends = await warehouse.query<{ p: number; last: number; before: number; accepted: number }>(
    `SELECT source_partition AS p,
       maxIf(source_offset, time >= fromUnixTimestamp64Milli({from:Int64})) AS last,
       ifNull(maxOrNullIf(source_offset, time < fromUnixTimestamp64Milli({from:Int64})), -1) AS before,
       countIf(time >= fromUnixTimestamp64Milli({from:Int64})) AS accepted
     FROM ${quoteName(tables.events(project.prefix, source.name))} FINAL
     WHERE import_id = '' AND time >= fromUnixTimestamp64Milli({since:Int64})
       AND time < fromUnixTimestamp64Milli({to:Int64}) GROUP BY p ORDER BY p`,
    { from, to, since: from - (to - from) },
  );
  const accepted = ends.reduce((sum, row) => sum + row.accepted, 0);
  const places = ends
    .filter((row) => row.accepted > 0)
    .map(
      ({ p, last, before }) =>
        `(source_partition = ${p} AND source_offset > ${before} AND source_offset <= ${last})`,
    );
  const letters =
    places.length === 0
      ? []
      : await warehouse.query<{ stage: string; code: string; rows: number }>(
          `SELECT stage, code, count() AS rows
           FROM ${quoteName(tables.deadLetters(project.prefix, source.name))} FINAL
           WHERE ${places.join(' OR ')} GROUP BY stage, code ORDER BY stage, code`,
        );
  const refused = letters.filter(({ stage }) => stage !== 'features');
  const count = (rows: typeof letters) => rows.reduce((sum, row) => sum + row.rows, 0);
  const records = accepted + count(refused);
  const share = (rows: number) => (records === 0 ? null : rows / records);
  const bound = (rows: number) => ({
    value: share(rows),
    threshold: MOST_REFUSED,
    fired: (share(rows) ?? 0) > MOST_REFUSED,
  });
  const base = shared(deps, window);
  const why = records === 0 ? { why: 'No record of the source came in the window.' } : {};
  const late = letters.filter(({ code }) => LATE.has(code));
  // A repeat that was recognised did no harm: it has a row of its own and rings no bell.
  const harmful = refused.filter(({ code }) => code !== 'duplicate');
  return [
    measure({
      ...base,
      statistic: 'rejected',
      ...bound(count(harmful)),
      rows: records,
      detail: { records: count(harmful), ...why },
    }),
    measure({
      ...base,
      statistic: 'late',
      ...bound(count(late)),
      rows: records,
      detail: { records: count(late), ...why },
    }),
    ...letters.map(({ stage, code, rows }) =>
      measure({
        ...base,
        statistic: 'rejected',
        slice: `code=${code}`,
        value: share(rows),
        rows: records,
        detail: { records: rows, stage },
      }),
    ),
  ];
}
