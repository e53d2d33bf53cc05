import { setTimeout as sleep } from 'node:timers/promises';
import { gather, readBlocks } from '../../infrastructure/clickhouse/native.ts';
import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { retrying } from '../../infrastructure/clickhouse/retry.ts';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { NO_LABEL } from '../../models/rollout/guard.ts';
import { tables } from '../../schemas/names.ts';
import type { Model, Project } from '../../schemas/project.ts';
import { DAY, floorTo } from '../../schemas/time.ts';
import { selectLabelled } from '../../streams/archive/labels.ts';

export interface RowsDeps {
  readonly project: Project;
  readonly warehouse: Warehouse;
}

/** Requests that a champion answered, with what another version scored beside it, in the order of (time, id). */
export interface BesideRows {
  readonly times: Float64Array;
  /** NaN: refused. */
  readonly champion: Float64Array;
  /** NaN: refused, or not scored. */
  readonly other: Float64Array;
  /** 0 or 1; NO_LABEL: none came in time. */
  readonly labels: Uint8Array;
}

/** A champion, and a version that is scored beside it. */
export interface Beside {
  readonly model: Model;
  readonly champion: number;
  readonly other: number;
  /** Event time of the first request, epoch ms. */
  readonly from: number;
}

/**
 * Stretches of event time whose labels are closed by `upTo`: whole days (whole blocks, where those are longer), each with the
 * labels that had matured `monitoring.labelWait` after its end, no others. So what a stretch holds never changes, whoever asks
 * and when, which a test that looks often rests on; labels that come later still count for quality, not here.
 */
export async function* closedStretches(
  deps: RowsDeps,
  beside: Beside,
  upTo: number,
): AsyncGenerator<{ readonly rows: BesideRows; readonly to: number }> {
  const { model, from } = beside;
  const length = lengthOf(model);
  for (
    let start = floorTo(from, length);
    start + length + model.monitoring.labelWait <= upTo;
    start += length
  ) {
    const to = start + length;
    const range = { from: Math.max(from, start), to };
    yield { rows: await rowsOf(deps, beside, range, to + model.monitoring.labelWait), to };
  }
}

/** Length of a stretch, ms. */
const lengthOf = ({ rollout }: Model) => Math.ceil(rollout.shadow.block / DAY) * DAY;

/** End of the last stretch that is closed at an event time, epoch ms. */
export const closedBefore = (model: Model, upTo: number) =>
  floorTo(upTo - model.monitoring.labelWait, lengthOf(model));

const WAIT_MS = 10_000;
const LOOK_EVERY_MS = 200;

/**
 * Resolves when the archive holds a shadow score of the last request before `to` that it holds an answer of, by partition:
 * the two topics are archived side by side, and clocks stand in that of the answers alone. Gives up after 10 s of wall time,
 * with false: a version that cannot be loaded scores nothing.
 */
export async function shadowArchived(
  { project, warehouse }: RowsDeps,
  { model, champion, other, from }: Beside,
  to: number,
): Promise<boolean> {
  const last = (table: string, version: string) =>
    `SELECT source_partition, max(source_offset) AS last FROM ${quoteName(table)}
     WHERE model_version = {${version}:Int32} AND request_time >= fromUnixTimestamp64Milli({from:Int64})
       AND request_time < fromUnixTimestamp64Milli({to:Int64}) GROUP BY source_partition`;
  for (const deadline = performance.now() + WAIT_MS; ; ) {
    const [row] = await warehouse.query<{ behind: number }>(
      `SELECT count() AS behind FROM (${last(tables.predictions(project.prefix, model.name), 'champion')}) AS p
       LEFT JOIN (${last(tables.shadow(project.prefix, model.name), 'other')}) AS s ON s.source_partition = p.source_partition
       WHERE s.last < p.last`,
      { champion, other, from, to },
    );
    if (row === undefined || row.behind === 0) return true;
    if (performance.now() > deadline) return false;
    await sleep(LOOK_EVERY_MS);
  }
}

/** Rows of a range as they are now; without labels where `labelsBy` is null. */
export async function rowsOf(
  { project, warehouse }: RowsDeps,
  { model, champion, other }: Beside,
  range: { readonly from: number; readonly to: number },
  labelsBy: number | null,
): Promise<BesideRows> {
  const mine = (table: string, version: string) =>
    `SELECT request_id, request_time, score FROM ${quoteName(table)} FINAL
     WHERE model_version = {${version}:Int32} AND request_time >= fromUnixTimestamp64Milli({from:Int64})
       AND request_time < fromUnixTimestamp64Milli({to:Int64})`;
  const sql = `SELECT p.request_id AS id, toFloat64(toUnixTimestamp64Milli(p.request_time)) AS at,
      ifNull(p.score, nan) AS a, ifNull(s.score, nan) AS b
    FROM (${mine(tables.predictions(project.prefix, model.name), 'champion')}) AS p
    LEFT JOIN (${mine(tables.shadow(project.prefix, model.name), 'other')}) AS s ON s.request_id = p.request_id
    ORDER BY at, id FORMAT Native`;
  const bytes = await retrying(async () =>
    gather(await warehouse.stream(sql, { champion, other, ...range })),
  );
  const ids: string[] = [];
  const columns: [number[], number[], number[]] = [[], [], []];
  for (const { rows, columns: block } of readBlocks(bytes)) {
    const [id, ...values] = block.map((one) => one.values);
    for (let row = 0; row < rows; row += 1) {
      ids.push(String(id?.[row]));
      for (const [i, column] of columns.entries()) column.push(Number(values[i]?.[row]));
    }
  }
  const [times, a, b] = columns.map((column) => Float64Array.from(column));
  const labels = new Uint8Array(ids.length).fill(NO_LABEL);
  if (labelsBy !== null && ids.length > 0) {
    const labelled = await selectLabelled(
      { project, model, warehouse },
      { ...range, asOf: labelsBy, sample: null },
    );
    const labelOf = new Map(labelled.ids.map((id, i) => [id, labelled.labels[i] as number]));
    for (const [row, id] of ids.entries()) labels[row] = labelOf.get(id) ?? NO_LABEL;
  }
  return {
    times: times as Float64Array,
    champion: a as Float64Array,
    other: b as Float64Array,
    labels,
  };
}

/** Event time of the first request that a version answered (or was scored beside in the shadow), epoch ms; null for none. */
export async function firstScored(
  { project, warehouse }: RowsDeps,
  model: string,
  version: number,
  where: 'predictions' | 'shadow',
): Promise<number | null> {
  const [row] = await warehouse.query<{ rows: number; first: number }>(
    `SELECT count() AS rows, min(toUnixTimestamp64Milli(request_time)) AS first
     FROM ${quoteName(tables[where](project.prefix, model))} WHERE model_version = {version:Int32}`,
    { version },
  );
  return row === undefined || row.rows === 0 ? null : row.first;
}
