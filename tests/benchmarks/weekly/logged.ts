import { gather, readBlocks } from '../../../infrastructure/clickhouse/native.ts';
import type { Warehouse } from '../../../infrastructure/clickhouse/port.ts';
import { retrying } from '../../../infrastructure/clickhouse/retry.ts';
import { quoteName } from '../../../infrastructure/clickhouse/tables.ts';
import { readLogged } from '../../../pipelines/training/logged.ts';
import { tables } from '../../../schemas/names.ts';
import type { Model, Project } from '../../../schemas/project.ts';
import { selectLabelled } from '../../../streams/archive/labels.ts';

export interface LoggedDeps {
  readonly project: Project;
  readonly model: Model;
  readonly warehouse: Warehouse;
}

/** Requests that were scored live and whose label came in time, in the order of (time, id). */
export interface LoggedRows {
  readonly times: Float64Array;
  /** 0 or 1. */
  readonly labels: Uint8Array;
  /** As it was answered, by whichever version was champion. */
  readonly served: Float64Array;
  /** n x features of the model, row-major, as inference logged them; NaN is null. */
  readonly vectors: Float64Array;
}

/** A stretch of request times, epoch ms, all of it in memory: a day of the flights takes 10 MB. */
export async function readRows(
  deps: LoggedDeps,
  range: { readonly from: number; readonly to: number },
): Promise<LoggedRows> {
  const { model } = deps;
  const labelled = await selectLabelled(deps, {
    ...range,
    // As the shadow test takes them: what comes later counts for nobody.
    asOf: range.to + model.monitoring.labelWait,
    sample: null,
  });
  const { ids } = labelled;
  const place = new Map(ids.map((id, i) => [id, i]));
  const width = model.features.length;
  const rows = new Float64Array(ids.length * width).fill(Number.NaN);
  const logged = await readLogged({ ...deps, ...range, place, rows });
  const scores = await readServed(deps, range, place);
  const kept = Uint32Array.from(ids.keys()).filter((i) => logged.has(i) && !Number.isNaN(scores[i]));
  const vectors = new Float64Array(kept.length * width);
  kept.forEach((row, i) => {
    vectors.set(rows.subarray(row * width, (row + 1) * width), i * width);
  });
  return {
    times: Float64Array.from(kept, (i) => labelled.times[i] ?? 0),
    labels: Uint8Array.from(kept, (i) => labelled.labels[i] ?? 0),
    served: Float64Array.from(kept, (i) => scores[i] ?? Number.NaN),
    vectors,
  };
}

/** What was answered, at the places of the requests; NaN where nothing was scored. */
async function readServed(
  { project, model, warehouse }: LoggedDeps,
  range: { readonly from: number; readonly to: number },
  place: ReadonlyMap<string, number>,
): Promise<Float64Array> {
  const sql = `SELECT request_id, ifNull(score, nan) AS score FROM ${quoteName(tables.predictions(project.prefix, model.name))} FINAL
    WHERE status = 'scored' AND request_time >= fromUnixTimestamp64Milli({from:Int64})
      AND request_time < fromUnixTimestamp64Milli({to:Int64}) FORMAT Native`;
  const bytes = await retrying(async () => gather(await warehouse.stream(sql, { ...range })));
  const scores = new Float64Array(place.size).fill(Number.NaN);
  for (const { rows, columns } of readBlocks(bytes)) {
    const [id, score] = columns.map(({ values }) => values);
    for (let row = 0; row < rows; row += 1) {
      const at = place.get(String(id?.[row]));
      if (at !== undefined) scores[at] = Number(score?.[row]);
    }
  }
  return scores;
}
