import { gather } from '../../infrastructure/clickhouse/native.ts';
import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { retrying } from '../../infrastructure/clickhouse/retry.ts';
import { quoteName, quoteText } from '../../infrastructure/clickhouse/tables.ts';
import { tables } from '../../schemas/names.ts';
import type { Model, Project } from '../../schemas/project.ts';
import { DAY } from '../../schemas/time.ts';
import { chanceSql } from '../../streams/archive/label-query.ts';

interface LoggedOptions {
  readonly project: Project;
  readonly model: Model;
  readonly warehouse: Warehouse;
  /** Request times, epoch ms: from <= time < to. */
  readonly from: number;
  readonly to: number;
  /** Place of each wanted request, by id. */
  readonly place: ReadonlyMap<string, number>;
  /** Vectors are written at their places. */
  readonly rows: Float64Array;
  /** The wanted ones are a sample: those below `most` in the order of `chanceSql`. */
  readonly sample?: { readonly seed: number; readonly most: number };
}

/**
 * Fills in the vectors that inference logged with the model's layout, read at the full head from the views as they are
 * declared now: a read as of an older edge, or of another definition, is not what training means. Answers with the places filled.
 */
export function readLogged(options: LoggedOptions): Promise<ReadonlySet<number>> {
  const { project, model } = options;
  // A view of another definition has another id: what was read from it is not what would be read now.
  const views = project.views
    .filter(({ name }) => model.reads.some(({ view }) => view === name))
    .map(({ id }) => quoteText(id));
  return readStored(options, {
    table: tables.predictions(project.prefix, model.name),
    usable: `status = 'scored' AND layout = ${quoteText(model.layoutHash)}
      AND length(vector) = ${model.features.length}
      AND arrayAll(one -> one.head = one.as_of AND one.view IN (${views.join(', ')}), reads)`,
  });
}

/** Fills in the vectors that an earlier pass over the same history backfilled and kept. */
export function readKept(options: LoggedOptions, basis: string): Promise<ReadonlySet<number>> {
  const { project, model } = options;
  return readStored(options, {
    table: tables.vectors(project.prefix, model.name),
    usable: `layout = ${quoteText(model.layoutHash)} AND basis = ${quoteText(basis)}
      AND length(vector) = ${model.features.length}`,
  });
}

async function readStored(
  options: LoggedOptions,
  from: { readonly table: string; readonly usable: string },
): Promise<ReadonlySet<number>> {
  const { model, warehouse, place, rows } = options;
  const width = model.features.length;
  const filled = new Set<number>();
  const table = quoteName(from.table);
  const { sample } = options;
  const usable =
    sample === undefined
      ? from.usable
      : `${from.usable} AND ${chanceSql('request_id', sample.seed)} <= toFloat64(${sample.most})`;
  const [bounds] = await warehouse.query<{ rows: number; first: number; last: number }>(
    `SELECT count() AS rows, min(toUnixTimestamp64Milli(request_time)) AS first,
      max(toUnixTimestamp64Milli(request_time)) AS last
    FROM ${table} WHERE ${usable} AND request_time >= fromUnixTimestamp64Milli({from:Int64})
      AND request_time < fromUnixTimestamp64Milli({to:Int64})`,
    { from: options.from, to: options.to },
  );
  if (bounds === undefined || bounds.rows === 0) return filled;
  // A stretch at a time: an answer is held in memory whole.
  const days = Math.max(1, Math.floor((ROWS_A_READ * (bounds.last - bounds.first)) / DAY / bounds.rows));
  const step = days * DAY;
  for (let day = Math.floor(bounds.first / DAY) * DAY; day <= bounds.last; day += step) {
    const sql = `SELECT request_id, vector FROM ${table} FINAL WHERE ${usable}
      AND request_time >= fromUnixTimestamp64Milli({from:Int64}) AND request_time < fromUnixTimestamp64Milli({to:Int64})
      FORMAT RowBinary`;
    const range = { from: Math.max(day, options.from), to: Math.min(day + step, options.to) };
    const bytes = await retrying(async () => gather(await warehouse.stream(sql, range)));
    for (const { id, vector } of readVectors(bytes)) {
      const at = place.get(id);
      if (at === undefined) continue;
      rows.set(vector, at * width);
      filled.add(at);
    }
  }
  return filled;
}

const ROWS_A_READ = 20_000;

/** Rows of (String, Array(Float64)) in RowBinary. */
function* readVectors(bytes: Uint8Array): Generator<{ id: string; vector: Float64Array }> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = buffer[at++] ?? 0;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < buffer.length) {
    const length = varint();
    const id = buffer.toString('utf8', at, at + length);
    at += length;
    const vector = new Float64Array(varint());
    for (let i = 0; i < vector.length; i += 1, at += 8) vector[i] = buffer.readDoubleLE(at);
    yield { id, vector };
  }
}
