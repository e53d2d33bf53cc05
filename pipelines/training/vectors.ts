import { createHash } from 'node:crypto';
import { gather, readBlocks } from '../../infrastructure/clickhouse/native.ts';
import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { retrying } from '../../infrastructure/clickhouse/retry.ts';
import { RowBinaryWriter } from '../../infrastructure/clickhouse/row-binary.ts';
import { quoteName, quoteText } from '../../infrastructure/clickhouse/tables.ts';
import { tables } from '../../schemas/names.ts';
import type { Model, Project } from '../../schemas/project.ts';
import { backfillVectors } from '../../streams/history/backfill-vectors.ts';

export type VectorsProgress =
  | { readonly step: 'labels'; readonly rows: number }
  /** `time`: how far the pass has come, event time, epoch ms. */
  | {
      readonly step: 'vectors';
      readonly events: number;
      readonly time: number;
      readonly vectors: number;
      readonly of: number;
    };

export interface VectorsOptions {
  readonly project: Project;
  readonly model: Model;
  readonly warehouse: Warehouse;
  /** Request times, epoch ms: from <= time < to. */
  readonly from: number;
  readonly to: number;
  /** Most requests, chosen by a seeded hash of their ids; null = all. */
  readonly sample: { readonly maxRows: number; readonly seed: number } | null;
  /** Also writes them to the model's table of vectors. */
  readonly persist: boolean;
  readonly progress?: (done: VectorsProgress) => void;
  readonly signal?: AbortSignal;
}

/** Vectors of past requests at their full heads, in the order of (request time, id). */
export interface Vectors {
  readonly ids: readonly string[];
  /** Epoch ms. */
  readonly times: Float64Array;
  /** n x features, row-major; NaN is null. */
  readonly rows: Float64Array;
  /** Events folded. */
  readonly events: number;
  /** In the state at the end of the pass. */
  readonly entities: number;
  readonly bytes: number;
  /** Where they were written; null where they were not. */
  readonly table: string | null;
}

const ROWS_AN_INSERT = 20_000;

/** Backfills the vectors of a range of requests, labelled or not, into memory and, if wanted, a table. */
export async function backfillRange(options: VectorsOptions): Promise<Vectors> {
  const { project, model, warehouse, from, to } = options;
  const { ids, times } = await selectRequests(options);
  options.progress?.({ step: 'labels', rows: ids.length });
  const rows = new Float64Array(ids.length * model.features.length);
  const done = await backfillVectors({
    project,
    model,
    warehouse,
    wanted: new Map(ids.map((id, i) => [id, i])),
    from,
    to,
    rows,
    progress: (at) => options.progress?.({ step: 'vectors', ...at, of: ids.length }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  const { events, entities, bytes } = done;
  const vectors = { ids, times, rows, events, entities, bytes };
  const places = Uint32Array.from(ids, (_, i) => i);
  return { ...vectors, table: options.persist ? await keepVectors(options, { ...vectors, places }) : null };
}

async function selectRequests({ project, model, warehouse, from, to, sample }: VectorsOptions) {
  const { source, eventType } = model.request;
  const instant = (time: number) => `fromUnixTimestamp64Milli(${Math.trunc(time)}, 'UTC')`;
  const chosen =
    sample === null ? '' : ` ORDER BY cityHash64(id, ${sample.seed}), id LIMIT ${sample.maxRows}`;
  const sql = `SELECT * FROM (SELECT id, toFloat64(toUnixTimestamp64Milli(time)) AS at
    FROM ${quoteName(tables.events(project.prefix, source))} FINAL
    WHERE type = ${quoteText(eventType)} AND time >= ${instant(from)} AND time < ${instant(to)}${chosen})
    ORDER BY at, id FORMAT Native`;
  const bytes = await retrying(async () => gather(await warehouse.stream(sql)));
  const ids: string[] = [];
  const times: number[] = [];
  for (const { rows, columns } of readBlocks(bytes))
    for (let row = 0; row < rows; row += 1) {
      ids.push(String(columns[0]?.values[row]));
      times.push(Number(columns[1]?.values[row]));
    }
  return { ids, times: Float64Array.from(times) };
}

const COLUMNS = ['request_id', 'request_time', 'layout', 'basis', 'vector'];

/**
 * What backfilled vectors of a model rest on: its reads, their views, the fields of the events, and the imported history. Vectors
 * of an equal basis and layout are equal; events that come later change no earlier read. Whatever else is declared (the trainer,
 * thresholds, monitoring, other models) makes no vectors anew.
 */
export async function basisOf(warehouse: Warehouse, project: Project, model: Model): Promise<string> {
  const sql = `SELECT import_id AS id, source, toString(\`from\`) AS first, toString(\`to\`) AS last
    FROM ${quoteName(tables.imports(project.prefix))} FINAL WHERE state = 'done' ORDER BY id, source, first, last`;
  // After a long pass the connection may have been closed by then.
  const imports = await retrying(() =>
    warehouse.query<{ id: string; source: string; first: string; last: string }>(sql),
  );
  return createHash('sha256')
    .update(JSON.stringify([declaredBasis(project, model), imports]))
    .digest('hex');
}

/** A view's id is the hash of its definition, the delay of its reads among it. */
function declaredBasis(project: Project, { request, reads }: Model): unknown {
  const views = project.views.filter(({ name }) => reads.some(({ view }) => view === name));
  const sources = new Set([request.source, ...views.flatMap((view) => view.sources)]);
  return {
    request,
    reads,
    views: views.map(({ id }) => id),
    fields: project.sources
      .filter(({ name }) => sources.has(name))
      .map(({ name, fields }) => ({ name, fields })),
  };
}

/** Rows to keep: `places[i]` is the row of `ids[i]` in `rows`. */
export interface KeptVectors {
  readonly ids: readonly string[];
  readonly times: ArrayLike<number>;
  readonly places: ArrayLike<number>;
  readonly rows: Float64Array;
}

/** Writes backfilled vectors to the model's table, so that the next training need not make them again. */
export async function keepVectors(
  { project, model, warehouse }: Pick<VectorsOptions, 'project' | 'model' | 'warehouse'>,
  { ids, times, places, rows }: KeptVectors,
): Promise<string> {
  const table = tables.vectors(project.prefix, model.name);
  const basis = await basisOf(warehouse, project, model);
  const width = model.features.length;
  const writer = new RowBinaryWriter();
  for (let at = 0; at < ids.length; at += ROWS_AN_INSERT) {
    const end = Math.min(at + ROWS_AN_INSERT, ids.length);
    for (let i = at; i < end; i += 1) {
      writer.string(ids[i] ?? '');
      writer.int64(times[i] ?? 0);
      writer.string(model.layoutHash);
      writer.string(basis);
      writer.varint(width);
      const from = (places[i] ?? 0) * width;
      for (let f = 0; f < width; f += 1) writer.float64(rows[from + f] ?? Number.NaN);
    }
    const bytes = writer.drain();
    const token = `${model.layoutHash}:${basis}:${ids[at]}:${ids[end - 1]}:${end - at}`;
    await retrying(() => warehouse.insertRaw(table, COLUMNS, 'RowBinary', bytes, { token }));
  }
  return table;
}
