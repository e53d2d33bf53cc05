import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { PLANTED_PREFIX } from '../../infrastructure/readers/planted.ts';
import { fitBaseRate, fitCalendar } from '../../models/baseline.ts';
import { type Evaluation, evaluate } from '../../models/evaluation.ts';
import type { Platform } from '../../platform/platform.ts';
import { tables } from '../../schemas/names.ts';
import type { Model, Project, Source } from '../../schemas/project.ts';
import { labelledQuery } from '../../streams/archive/label-query.ts';
import { selectLabelled } from '../../streams/archive/labels.ts';
import type { Quantiles, Report } from '../report.ts';

/** What the archive says of one run of a project; everything by SQL that anyone can run again. */
export function createMeasures(project: Project, source: Source, model: Model, warehouse: Warehouse) {
  const { prefix } = project;
  const events = quoteName(tables.events(prefix, source.name));
  const letters = quoteName(tables.deadLetters(prefix, source.name));
  const predictions = quoteName(tables.predictions(prefix, model.name));
  const one = async <Row>(sql: string, parameters: Record<string, string | number> = {}): Promise<Row> => {
    const [row] = await warehouse.query<Row>(sql, parameters);
    if (row === undefined) throw new Error(`no row: ${sql}`);
    return row;
  };

  async function counts() {
    const accepted = await one<{ accepted: number; requests: number }>(
      `SELECT count() AS accepted, countIf(type = {type:String}) AS requests FROM ${events} FINAL WHERE import_id = ''`,
      { type: model.request.eventType },
    );
    const refused = await warehouse.query<{ stage: string; code: string; records: number; planted: number }>(
      `SELECT stage, code, count() AS records,
         countIf(startsWith(ifNull(key, ''), {mark:String}) OR startsWith(ifNull(event_id, ''), {mark:String})) AS planted
       FROM ${letters} FINAL WHERE writer = 'ingest' GROUP BY stage, code ORDER BY records DESC, code`,
      { mark: PLANTED_PREFIX },
    );
    const byView = await one<{ records: number }>(
      `SELECT count() AS records FROM ${letters} FINAL WHERE stage = 'features'`,
    );
    const answered = await one<{ predictions: number }>(
      `SELECT count() AS predictions FROM ${predictions} FINAL`,
    );
    const refusals = await warehouse.query<{ reason: string; predictions: number }>(
      `SELECT reason, count() AS predictions FROM ${predictions} FINAL WHERE status = 'refused' GROUP BY reason ORDER BY predictions DESC`,
    );
    return { ...accepted, refused, refusedContributions: byView.records, ...answered, refusals };
  }

  return {
    counts,

    /** Requests from `from` on: those of the paced part. */
    async predictionLatency(from: number): Promise<Quantiles> {
      return one<Quantiles>(
        `SELECT quantileExact(0.5)(ms) AS p50, quantileExact(0.99)(ms) AS p99, count() AS count FROM (
           SELECT toUnixTimestamp64Milli(append_time) - toUnixTimestamp64Milli(raw_append_time) AS ms
           FROM ${predictions} FINAL WHERE request_time >= fromUnixTimestamp64Milli({from:Int64}))`,
        { from },
      );
    },

    /** Scores beside their labels, by day, and what the baselines of the same training rows would have said. */
    async quality(
      trainedTo: number,
      replayed: { from: number; to: number; asOf: number },
    ): Promise<Evaluation | null> {
      const deps = { project, model, warehouse };
      const trained = await selectLabelled(deps, {
        from: model.training.from ?? 0,
        to: trainedTo,
        asOf: trainedTo,
        sample: model.sample,
      });
      const live = await selectLabelled(deps, { ...replayed, sample: null });
      const scored = new Map<string, number>();
      for (const { id, score } of await warehouse.query<{ id: string; score: number }>(
        `SELECT request_id AS id, score FROM ${predictions} FINAL WHERE status = 'scored'`,
      ))
        scored.set(id, score);
      const kept = live.ids.flatMap((id, i) => (scored.has(id) ? [i] : []));
      if (kept.length === 0) return null;
      return evaluate(
        {
          labels: Uint8Array.from(kept, (i) => live.labels[i] ?? 0),
          times: Float64Array.from(kept, (i) => live.times[i] ?? 0),
        },
        Float64Array.from(kept, (i) => scored.get(live.ids[i] ?? '') ?? Number.NaN),
        Int16Array.from(kept, (i) => live.cells[i] ?? -1),
        { baseRate: fitBaseRate(trained.labels), calendar: fitCalendar(trained.cells, trained.labels) },
      );
    },

    /** Requests that could have been learnt from. */
    async matured(trainedTo: number): Promise<number> {
      const query = labelledQuery(
        project,
        model,
        { from: model.training.from ?? 0, to: trainedTo, asOf: trainedTo, sample: null },
        [],
      );
      return (await one<{ rows: number }>(`SELECT uniqExact(id) AS rows FROM (${query})`)).rows;
    },

    async storage(platform: Platform): Promise<Report['storage']> {
      const names = [
        tables.events(prefix, source.name),
        tables.predictions(prefix, model.name),
        tables.deadLetters(prefix, source.name),
      ];
      const sizes = await warehouse.query<{ table: string; rows: number; bytes: number }>(
        `SELECT table, sum(rows) AS rows, sum(bytes_on_disk) AS bytes FROM system.parts
         WHERE active AND database = currentDatabase() AND table IN {names:Array(String)} GROUP BY table ORDER BY bytes DESC`,
        { names } as never,
      );
      return { redis: await platform.store.usage(`mr:{${prefix}.`), tables: sizes };
    },
  };
}

export type Measures = ReturnType<typeof createMeasures>;
