import { createHash } from 'node:crypto';
import type { Warehouse } from '../infrastructure/clickhouse/port.ts';
import { retrying } from '../infrastructure/clickhouse/retry.ts';
import { quoteName } from '../infrastructure/clickhouse/tables.ts';
import type { Measure, MeasureKind } from '../schemas/monitoring.ts';
import { tables } from '../schemas/names.ts';
import { iso } from '../streams/runtime/iso.ts';

/** What every measure says of itself; the rest has defaults. */
export type Measured = Pick<Measure, 'kind' | 'statistic' | 'from' | 'to' | 'tick'> &
  Partial<Omit<Measure, 'detail'>> & { readonly detail?: object };

export function measure(given: Measured): Measure {
  const { detail, value = null, low = null, high = null, threshold = null, ...rest } = given;
  return {
    model: '',
    version: 0,
    subject: '',
    slice: '',
    rows: 0,
    fired: false,
    ...rest,
    value: finite(value),
    low: finite(low),
    high: finite(high),
    threshold: finite(threshold),
    detail: detail === undefined ? '' : JSON.stringify(detail, (_, one: unknown) => rounded(one)),
  };
}

/** No figure is ever NaN or infinite: it has no answer then. */
const finite = (value: number | null) =>
  value === null || !Number.isFinite(value) ? null : (rounded(value) as number);

/** Sums that ClickHouse makes hang on its threads in their last digits; measured again a figure is to be the same. */
const DIGITS = 12;
const rounded = (value: unknown): unknown =>
  typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(DIGITS)) : value;

/** What belongs to a measure beside its figures; an empty object where nothing does. */
export function detailOf({ detail }: Pick<Measure, 'detail'>): Readonly<Record<string, unknown>> {
  return objectIn(detail);
}

/** The JSON object in a column that anybody with access to the tables may have written: an empty one where it is none. */
export function objectIn(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/**
 * All measures of one tick, in one insert: they are there together or not at all. The same tick measured again gives
 * the same rows.
 */
export async function writeMeasures(
  warehouse: Warehouse,
  prefix: string,
  name: string,
  measures: readonly Measure[],
  now: number,
): Promise<void> {
  if (measures.length === 0) return;
  const rows = measures.map((one) => ({
    ...one,
    from: iso(one.from),
    to: iso(one.to),
    tick: iso(one.tick),
  }));
  const content = createHash('sha256').update(JSON.stringify(rows)).digest('hex').slice(0, 16);
  const at = iso(now);
  const token = `${name} ${content} (${rows.length})`;
  await retrying(() =>
    warehouse.insert(
      tables.measures(prefix),
      rows.map((row) => ({ ...row, at })),
      { token },
    ),
  );
}

export interface MeasureQuery {
  readonly kinds?: readonly MeasureKind[];
  readonly statistics?: readonly string[];
  readonly model?: string;
  readonly subject?: string;
  readonly slice?: string;
  /** Windows that end after this, epoch ms. */
  readonly endAfter?: number;
  /** Windows that end at or before this, epoch ms. */
  readonly endUntil?: number;
  /** Measured at this tick alone. */
  readonly tick?: number;
  /** Measured before this tick. */
  readonly before?: number;
  /** Every measurement of a window; default: the newest alone. */
  readonly every?: boolean;
  /** Only those that fired. */
  readonly fired?: boolean;
}

/** Measures in the order of (window, kind, statistic, subject, slice, version, tick). */
export async function readMeasures(
  warehouse: Pick<Warehouse, 'query'>,
  prefix: string,
  asked: MeasureQuery,
): Promise<Measure[]> {
  const where: string[] = ['1'];
  const parameters: Record<string, string | number | readonly string[]> = {};
  const add = (name: keyof MeasureQuery, sql: string) => {
    const value = asked[name];
    if (value === undefined || typeof value === 'boolean') return;
    where.push(sql);
    parameters[name] = value;
  };
  add('kinds', 'has({kinds:Array(String)}, kind)');
  add('statistics', 'has({statistics:Array(String)}, statistic)');
  add('model', 'model = {model:String}');
  add('subject', 'subject = {subject:String}');
  add('slice', 'slice = {slice:String}');
  add('endAfter', '`to` > fromUnixTimestamp64Milli({endAfter:Int64})');
  add('endUntil', '`to` <= fromUnixTimestamp64Milli({endUntil:Int64})');
  add('tick', 'tick = fromUnixTimestamp64Milli({tick:Int64})');
  add('before', 'tick < fromUnixTimestamp64Milli({before:Int64})');
  if (asked.fired === true) where.push('fired');
  const key = 'kind, statistic, model, version, subject, slice, `from`, `to`';
  return warehouse.query<Measure>(
    `SELECT kind, statistic, model, version, subject, slice, value, low, high, rows, threshold, fired, detail,
       toUnixTimestamp64Milli(\`from\`) AS "from", toUnixTimestamp64Milli(\`to\`) AS "to",
       toUnixTimestamp64Milli(tick) AS tick
     FROM (
       SELECT * FROM ${quoteName(tables.measures(prefix))} WHERE ${where.join(' AND ')}
       ORDER BY tick DESC, at DESC LIMIT 1 BY ${key}${asked.every === true ? ', tick' : ''}
     ) ORDER BY \`to\`, kind, statistic, subject, slice, version, tick`,
    parameters,
  );
}
