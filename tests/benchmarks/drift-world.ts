import { ensureTables } from '../../infrastructure/clickhouse/ensure-tables.ts';
import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { predictionEncoder } from '../../infrastructure/clickhouse/rows.ts';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { serialiseArtefact } from '../../models/artefact.ts';
import { createScorer } from '../../models/scorer.ts';
import { writeReference } from '../../monitoring/drift/references.ts';
import { writeMeasures } from '../../monitoring/measures.ts';
import { writeTick } from '../../monitoring/progress.ts';
import { createTickMemory, measureTick } from '../../monitoring/tick.ts';
import type { DataSet } from '../../pipelines/training/dataset.ts';
import { fitModel } from '../../pipelines/training/fit.ts';
import type { Measure } from '../../schemas/monitoring.ts';
import { tables } from '../../schemas/names.ts';
import type { Model, Project } from '../../schemas/project.ts';
import { DAY } from '../../schemas/time.ts';
import { SILENT } from '../../streams/runtime/telemetry.ts';

/** Rows of a data set between two times, as a data set of their own. */
export function part(data: DataSet, from: number, to: number, width: number): DataSet {
  const at = (time: number) => {
    let [low, high] = [0, data.times.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((data.times[middle] ?? 0) < time) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const [first, last] = [at(from), at(to)];
  return {
    ...data,
    from,
    to,
    ids: data.ids.slice(first, last),
    times: data.times.subarray(first, last),
    rows: data.rows.subarray(first * width, last * width),
    labels: data.labels.subarray(first, last),
    cells: data.cells.subarray(first, last),
  };
}

export interface Learnt {
  readonly artefact: string;
  readonly bytes: Uint8Array;
  readonly scores: (rows: Float64Array, count: number) => Float64Array;
}

/** The one version of the whole bench. */
export async function learn(project: Project, model: Model, training: DataSet): Promise<Learnt> {
  const { artefact, address } = await fitModel({
    project,
    model,
    training,
    test: null,
    asOf: training.to,
    codeVersion: 'bench',
  });
  const scorer = createScorer(artefact, model.layoutHash);
  return {
    artefact: address,
    bytes: serialiseArtefact(artefact),
    scores(rows, count) {
      const scores = new Float64Array(count);
      scorer.scoreBatch(rows, count, scores);
      return scores;
    },
  };
}

const ROWS_AN_INSERT = 20_000;

/** What live would have written: predictions of version 1, and the rows that it learnt from. */
export async function writeWorld(
  warehouse: Warehouse,
  project: Project,
  model: Model,
  { artefact, scores }: Learnt,
  training: DataSet,
  live: DataSet,
): Promise<void> {
  const learnt = scores(training.rows, training.labels.length);
  await writeReference(warehouse, project, model, {
    version: 1,
    artefact,
    ids: training.ids,
    times: training.times,
    rows: training.rows,
    labels: training.labels,
    scoreOf: (row) => learnt[row] ?? Number.NaN,
  });
  const width = model.features.length;
  const encoder = predictionEncoder();
  const all = scores(live.rows, live.labels.length);
  const table = tables.predictions(project.prefix, model.name);
  for (let start = 0; start < live.ids.length; start += ROWS_AN_INSERT) {
    const end = Math.min(live.ids.length, start + ROWS_AN_INSERT);
    for (let row = start; row < end; row += 1) {
      const score = all[row] ?? 0;
      encoder.add({
        prediction: {
          format: 1,
          id: `${live.ids[row]}:${model.name}`,
          requestId: live.ids[row] ?? '',
          requestTime: live.times[row] ?? 0,
          status: 'scored',
          reason: null,
          model: model.name,
          modelVersion: 1,
          artefact,
          score,
          decision: score >= model.threshold,
          layout: model.layoutHash,
          vector: Array.from(live.rows.subarray(row * width, (row + 1) * width)),
          reads: [],
          sourceTopic: '',
          sourcePartition: 0,
          sourceOffset: row,
          rawAppendTime: live.times[row] ?? 0,
          waitMs: 0,
          readMs: 0,
          scoreMs: 0,
          absent: [],
        },
        appendTime: live.times[row] ?? 0,
        archivedPartition: 0,
        archivedOffset: row,
      });
    }
    const token = `${start}-${end}`;
    await warehouse.insertRaw(table, encoder.columns, encoder.format, encoder.drain(), { token });
  }
}

export interface TickRun {
  readonly tick: number;
  readonly measures: readonly Measure[];
  /** Of this process and ClickHouse's engine in it, ms. */
  readonly cpuMs: number;
}

/** Ticks one after another, each kept as live would keep it. */
export async function runTicks(
  warehouse: Warehouse,
  project: Project,
  model: Model,
  bytes: Uint8Array,
  from: number,
  to: number,
  say?: (tick: number) => void,
): Promise<TickRun[]> {
  const memory = createTickMemory();
  const deps = { project, warehouse, telemetry: SILENT, artefacts: { get: async () => bytes } };
  const runs: TickRun[] = [];
  const { every } = model.monitoring;
  for (let tick = Math.ceil(from / every) * every + every; tick <= to; tick += every) {
    const before = process.cpuUsage();
    const measures = await measureTick(deps, tick, memory);
    await writeMeasures(warehouse, project.prefix, `tick ${tick}`, measures, tick);
    await writeTick(warehouse, project.prefix, tick, 'finished', {}, tick);
    const used = process.cpuUsage(before);
    runs.push({ tick, measures, cpuMs: (used.user + used.system) / 1_000 });
    say?.(tick);
  }
  return runs;
}

/** What is planted, as SQL over the vector of a prediction, its keys and its label. */
export interface Plant {
  readonly name: string;
  readonly what: string;
  /** Any of these named first is right. */
  readonly subjects: (model: Model) => readonly string[];
  /** Vector of a planted prediction; `place` is a feature's, from 1. */
  readonly vector?: (place: (feature: string) => number, model: Model) => string;
  /** Field of the events, and what it becomes. */
  readonly event?: Readonly<Record<string, string>>;
}

/** The same days under a prefix of their own, with something planted from a day on. */
export async function plantWorld(
  warehouse: Warehouse,
  from: Project,
  to: Project,
  model: Model,
  plant: Plant,
  range: { readonly since: number; readonly planted: number; readonly until: number },
): Promise<void> {
  await ensureTables(warehouse, to);
  const { since, planted, until } = range;
  const instant = (time: number) => `fromUnixTimestamp64Milli(${time}, 'UTC')`;
  const place = (feature: string) => 1 + model.features.findIndex(({ name }) => name === feature);
  const copy = (name: (prefix: string) => string, columns: string, where: string) =>
    warehouse.command(
      `INSERT INTO ${quoteName(name(to.prefix))} SELECT ${columns} FROM ${quoteName(name(from.prefix))} FINAL ${where}`,
    );
  await copy((prefix) => tables.references(prefix, model.name), '*', '');
  const vector = plant.vector?.(place, model);
  await copy(
    (prefix) => tables.predictions(prefix, model.name),
    vector === undefined
      ? '*'
      : `* REPLACE (if(request_time >= ${instant(planted)}, ${vector}, vector) AS vector)`,
    `WHERE request_time >= ${instant(since)} AND request_time < ${instant(until)}`,
  );
  const replaced = Object.entries(plant.event ?? {}).map(
    ([field, sql]) => `if(time >= ${instant(planted)}, ${sql}, ${quoteName(field)}) AS ${quoteName(field)}`,
  );
  await copy(
    (prefix) => tables.events(prefix, model.request.source),
    replaced.length === 0 ? '*' : `* REPLACE (${replaced.join(', ')})`,
    `WHERE time >= ${instant(since - 15 * DAY)} AND time < ${instant(until + DAY)}`,
  );
}
