import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { tables } from '../../schemas/names.ts';
import { MillraceError } from '../../schemas/refusal.ts';

export class UnknownPrediction extends MillraceError {
  readonly code = 'unknown_prediction';
  readonly retriable = false;
}

/** A prediction as ClickHouse has it. Times are epoch ms. */
export interface PredictionRow {
  readonly id: string;
  readonly request_id: string;
  readonly request_time: number;
  readonly status: 'scored' | 'refused';
  readonly reason: string;
  readonly model_version: number;
  readonly artefact: string;
  readonly score: number | null;
  readonly decision: boolean | null;
  readonly layout: string;
  /** Bits of the doubles, since text could lose the last one. */
  readonly vector: readonly string[];
  readonly score_bits: string | null;
  readonly reads: ReadonlyArray<readonly [string, string, string, number, number, number]>;
  readonly absent: ReadonlyArray<readonly [string, string]>;
  readonly source_topic: string;
  readonly source_partition: number;
  readonly source_offset: number;
  readonly total_ms: number;
  readonly wait_ms: number;
  readonly read_ms: number;
  readonly score_ms: number;
}

/**
 * Reads a prediction by its id, its request's, or that of a shadow score; else what somebody was answered over HTTP. `sql` shows it, that
 * of the stream with each feature in a column of its name.
 */
export async function readPrediction(
  warehouse: Warehouse,
  prefix: string,
  model: string,
  id: string,
): Promise<{ readonly row: PredictionRow; readonly sql: string }> {
  const shadowed = /:v\d+$/.test(id) && id.slice(0, id.lastIndexOf(':')).endsWith(`:${model}`);
  const predictionId = shadowed || id.endsWith(`:${model}`) ? id : `${id}:${model}`;
  const homes = shadowed ? [tables.shadow] : [tables.predictions, tables.asked];
  for (const home of homes) {
    const table = home(prefix, model);
    const row = await readRow(warehouse, table, predictionId);
    if (row === undefined) continue;
    const features = home === tables.predictions ? '_features' : '';
    const quoted = row.id.replaceAll("'", "\\'");
    return { row, sql: `SELECT * FROM ${table}${features} WHERE id = '${quoted}'` };
  }
  throw new UnknownPrediction(
    `There is no prediction ${predictionId} of ${model}: is the id right, and has the archive caught up?`,
  );
}

/** The newest of this id: somebody may ask twice under one. */
async function readRow(warehouse: Warehouse, table: string, id: string): Promise<PredictionRow | undefined> {
  const [row] = await warehouse.query<PredictionRow>(
    `SELECT id, request_id, toUnixTimestamp64Milli(request_time) AS request_time, status, reason, model_version, artefact,
       score, decision, layout, arrayMap(x -> hex(reinterpretAsUInt64(x)), vector) AS vector,
       if(score IS NULL, NULL, hex(reinterpretAsUInt64(assumeNotNull(score)))) AS score_bits,
       arrayMap(r -> (r.read, r.view, r.entity, toUnixTimestamp64Milli(r.head), toUnixTimestamp64Milli(r.as_of), r.age_ms), reads) AS reads,
       arrayMap(a -> (a.read, a.reason), absent) AS absent,
       source_topic, source_partition, source_offset,
       toUnixTimestamp64Milli(append_time) - toUnixTimestamp64Milli(raw_append_time) AS total_ms, wait_ms, read_ms, score_ms
     FROM ${quoteName(table)} FINAL WHERE id = {id:String} ORDER BY append_time DESC LIMIT 1`,
    { id },
  );
  return row;
}

/** What other versions scored beside a prediction, in the shadow, by version. */
export async function readBeside(
  warehouse: Warehouse,
  prefix: string,
  model: string,
  { request_id, request_time }: PredictionRow,
): Promise<
  Array<{
    readonly id: string;
    readonly version: number;
    readonly score: number | null;
    readonly reason: string | null;
  }>
> {
  const rows = await warehouse.query<{ id: string; version: number; score: number | null; reason: string }>(
    `SELECT id, model_version AS version, score, reason FROM ${quoteName(tables.shadow(prefix, model))} FINAL
     WHERE request_time = fromUnixTimestamp64Milli({time:Int64}) AND request_id = {request:String} ORDER BY version`,
    { time: request_time, request: request_id },
  );
  return rows.map((one) => ({ ...one, reason: one.reason === '' ? null : one.reason }));
}

/** From 16 hex digits, most significant first. */
export function doubleOf(hex: string): number {
  return Buffer.from(hex.padStart(16, '0'), 'hex').readDoubleBE(0);
}
