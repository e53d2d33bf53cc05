import { gather, readBlocks } from '../infrastructure/clickhouse/native.ts';
import type { Warehouse } from '../infrastructure/clickhouse/port.ts';
import { readEvents } from '../infrastructure/clickhouse/read-events.ts';
import { retrying } from '../infrastructure/clickhouse/retry.ts';
import { answersOf, quoteName } from '../infrastructure/clickhouse/tables.ts';
import { boundSlices } from '../models/quality/slices.ts';
import type { Slice } from '../schemas/monitoring.ts';
import { tables } from '../schemas/names.ts';
import type { Model, Project } from '../schemas/project.ts';
import { floorTo } from '../schemas/time.ts';
import { selectLabelled } from '../streams/archive/labels.ts';

/** Whether it answered, was scored beside the champion, or first one and then the other. */
export type ScoredBy = 'champion' | 'shadow' | 'both';

/** What one version scored in one window, in the order of (request time, id). */
export interface ScoredWindow {
  readonly version: number;
  readonly by: ScoredBy;
  /** Event time, epoch ms: from <= time < to. */
  readonly from: number;
  readonly to: number;
  readonly ids: readonly string[];
  readonly times: Float64Array;
  readonly scores: Float64Array;
  /** 1, 0, or -1 where the label has not matured. */
  readonly labels: Int8Array;
}

export interface WindowDeps {
  readonly project: Project;
  readonly model: Model;
  readonly warehouse: Warehouse;
}

/**
 * Scores with the labels that had matured by `asOf`, by window and version; a window without predictions is not in it.
 * A score that is no number is no answer and is left out.
 */
export async function readScored(
  deps: WindowDeps,
  range: { readonly from: number; readonly to: number; readonly asOf: number },
): Promise<ScoredWindow[]> {
  const { model } = deps;
  const { every } = model.monitoring;
  const labelled = await selectLabelled(deps, { ...range, sample: null });
  const labelOf = new Map(labelled.ids.map((id, i) => [id, labelled.labels[i] ?? 0]));
  const open = new Map<string, { version: number; from: number; rows: Row[] }>();
  for (const row of await readScores(deps, range)) {
    const from = floorTo(row.time, every);
    const key = `${from} ${row.version}`;
    const one = open.get(key);
    if (one === undefined) open.set(key, { version: row.version, from, rows: [row] });
    // The same request in both tables: its champion's answer comes first.
    else if (one.rows.at(-1)?.id !== row.id) one.rows.push(row);
  }
  return [...open.values()]
    .sort((a, b) => a.from - b.from || a.version - b.version)
    .map(({ version, from, rows }) => ({
      version,
      by: byOf(rows),
      from,
      to: from + every,
      ids: rows.map(({ id }) => id),
      times: Float64Array.from(rows, ({ time }) => time),
      scores: Float64Array.from(rows, ({ score }) => score),
      labels: Int8Array.from(rows, ({ id }) => labelOf.get(id) ?? -1),
    }));
}

interface Row {
  readonly id: string;
  readonly time: number;
  readonly version: number;
  readonly score: number;
  readonly shadow: boolean;
}

function byOf(rows: readonly Row[]): ScoredBy {
  const shadow = rows.some((row) => row.shadow);
  return !shadow ? 'champion' : rows.every((row) => row.shadow) ? 'shadow' : 'both';
}

async function readScores(
  { project, model, warehouse }: WindowDeps,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<Row[]> {
  const select = (table: string, shadow: 0 | 1) =>
    `SELECT request_id AS id, toFloat64(toUnixTimestamp64Milli(request_time)) AS at, model_version AS version,
      assumeNotNull(score) AS score, toUInt8(${shadow}) AS shadow
    FROM ${table}
    WHERE status = 'scored' AND score >= 0 AND score <= 1
      AND request_time >= fromUnixTimestamp64Milli({from:Int64})
      AND request_time < fromUnixTimestamp64Milli({to:Int64})`;
  const sql = `SELECT * FROM (
    ${select(answersOf(project.prefix, model.name), 0)}
    UNION ALL ${select(`${quoteName(tables.shadow(project.prefix, model.name))} FINAL`, 1)}
  ) ORDER BY version, at, id, shadow FORMAT Native`;
  const bytes = await retrying(async () => gather(await warehouse.stream(sql, { from, to })));
  const all: Row[] = [];
  for (const { rows, columns } of readBlocks(bytes)) {
    const [ids, times, versions, scores, shadows] = columns.map(({ values }) => values);
    for (let row = 0; row < rows; row += 1)
      all.push({
        id: String(ids?.[row]),
        time: Number(times?.[row]),
        version: Number(versions?.[row]),
        score: Number(scores?.[row]),
        shadow: shadows?.[row] === 1,
      });
  }
  return all;
}

/** Rows with a label, and all of them. */
export function labelledRows({ scores, labels }: ScoredWindow): {
  readonly scores: Float64Array;
  readonly labels: Uint8Array;
  readonly rows: readonly number[];
} {
  const rows = [...labels.keys()].filter((row) => (labels[row] ?? -1) >= 0);
  return {
    rows,
    scores: Float64Array.from(rows, (row) => scores[row] ?? 0),
    labels: Uint8Array.from(rows, (row) => labels[row] ?? 0),
  };
}

/** The slice of each request of a window, `name=answer`, by the declared slices; in none: not in the map. */
export type SliceNames = ReadonlyArray<{
  readonly slice: Slice;
  readonly of: ReadonlyMap<string, string>;
  /** Values of the window, those that were put together included. */
  readonly values: number;
}>;

export async function readSlices(
  { project, model, warehouse }: WindowDeps,
  range: { readonly from: number; readonly to: number },
): Promise<SliceNames> {
  const { slices } = model.monitoring;
  const named = slices.map((slice) => ({ slice, of: new Map<string, string>() }));
  if (named.length === 0) return [];
  const source = project.sources.find(({ name }) => name === model.request.source);
  if (source === undefined) throw new Error(`project ${project.name} has no source ${model.request.source}`);
  const options = { ...range, types: [model.request.eventType] };
  for await (const batch of readEvents(warehouse, project, source, options))
    for (const event of batch.events)
      for (const { slice, of } of named) {
        const answer = slice.evaluate(event);
        if (answer !== null) of.set(event.id, answer);
      }
  return named.map(({ slice, of }) => {
    const bounded = boundSlices(of.values(), slice.atMost);
    for (const [id, answer] of of) of.set(id, `${slice.name}=${bounded.of(answer)}`);
    return { slice, of, values: bounded.values };
  });
}
