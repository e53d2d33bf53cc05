import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { retrying } from '../../infrastructure/clickhouse/retry.ts';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { tables } from '../../schemas/names.ts';

/** A stretch of a raw partition as the archive has it: from <= offset < to. */
export interface OffsetRange {
  readonly partition: number;
  readonly from: number;
  readonly to: number;
  /** Records that the archive holds of it. */
  readonly records: number;
}

export interface ArchivedRange {
  readonly warehouse: Warehouse;
  /** Prefix of the archive. */
  readonly prefix: string;
  readonly source: string;
  /** Event time as watermarks count it, epoch ms: from <= time < to. Null = no bound. */
  readonly from: number | null;
  readonly to: number | null;
}

interface Bounds {
  readonly p: number;
  readonly rows: number;
  readonly first: number;
  readonly last: number;
}

/** An event's time, no later than its arrival. */
const COUNTED = 'toUnixTimestamp64Milli(least(time, ifNull(first_append_time, time)))';
/** Refused by ingest; a clock that was refused is no record to send again. */
export const REFUSED = `writer = 'ingest' AND source_offset >= 0 AND NOT (value IS NULL AND code IN ('future_time', 'bad_clock'))`;

/**
 * The records of a source that came through Kafka, accepted and refused, by raw partition. A partition's part of the range begins with
 * the first event whose time counts at least `from`, and ends before the first that counts `to`: between them the partition's
 * running maximum goes from one to the other. Throws WarehouseError.
 */
export async function archivedOffsets(range: ArchivedRange): Promise<readonly OffsetRange[]> {
  const { warehouse, prefix, source, from, to } = range;
  const events = quoteName(tables.events(prefix, source));
  const letters = quoteName(tables.deadLetters(prefix, source));
  const found = await retrying(() =>
    warehouse.query<Bounds & { begins: number; begun: number; ends: number; ended: number }>(
      `SELECT source_partition AS p, count() AS rows, min(source_offset) AS first, max(source_offset) AS last,
         minIf(source_offset, ${COUNTED} >= {from:Int64}) AS begins, countIf(${COUNTED} >= {from:Int64}) AS begun,
         minIf(source_offset, ${COUNTED} >= {to:Int64}) AS ends, countIf(${COUNTED} >= {to:Int64}) AS ended
       FROM ${events} FINAL WHERE import_id = '' GROUP BY p ORDER BY p`,
      { from: from ?? 0, to: to ?? 0 },
    ),
  );
  const refused = await retrying(() =>
    warehouse.query<Bounds>(
      `SELECT source_partition AS p, count() AS rows, min(source_offset) AS first, max(source_offset) AS last
       FROM ${letters} FINAL WHERE ${REFUSED} GROUP BY p ORDER BY p`,
    ),
  );
  const ranges: OffsetRange[] = [];
  for (const own of found) {
    if (from !== null && own.begun === 0) continue;
    const beside = refused.find(({ p }) => p === own.p);
    const begins = from === null ? Math.min(own.first, beside?.first ?? own.first) : own.begins;
    const last = Math.max(own.last, beside?.last ?? own.last) + 1;
    const ends = to === null || own.ended === 0 ? last : own.ends;
    if (ends <= begins) continue;
    const records = await countRecords(range, own.p, begins, ends);
    ranges.push({ partition: own.p, from: begins, to: ends, records });
  }
  return ranges;
}

async function countRecords(
  { warehouse, prefix, source }: ArchivedRange,
  partition: number,
  from: number,
  to: number,
): Promise<number> {
  const within =
    'source_partition = {p:Int32} AND source_offset >= {from:Int64} AND source_offset < {to:Int64}';
  const [row] = await retrying(() =>
    warehouse.query<{ rows: number }>(
      `SELECT (SELECT count() FROM ${quoteName(tables.events(prefix, source))} FINAL WHERE import_id = '' AND ${within})
         + (SELECT count() FROM ${quoteName(tables.deadLetters(prefix, source))} FINAL WHERE ${REFUSED} AND ${within}) AS rows`,
      { p: partition, from, to },
    ),
  );
  return row?.rows ?? 0;
}

/** Events that were imported: they never came through Kafka, so there is no order of theirs to replay. */
export async function countImported({ warehouse, prefix, source }: ArchivedRange): Promise<number> {
  const [row] = await retrying(() =>
    warehouse.query<{ rows: number }>(
      `SELECT count() AS rows FROM ${quoteName(tables.events(prefix, source))} FINAL WHERE import_id != ''`,
    ),
  );
  return row?.rows ?? 0;
}
