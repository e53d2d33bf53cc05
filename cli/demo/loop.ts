import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { tables } from '../../schemas/names.ts';
import type { Model, Project } from '../../schemas/project.ts';
import type { ModelVersion } from '../../schemas/records/model-version.ts';
import type { Figure, LoopReport } from '../loop-report.ts';
import type { Received } from './receiver.ts';

interface LoopDeps {
  readonly project: Project;
  readonly model: Model;
  readonly warehouse: Warehouse;
  /** Every change of the registry, oldest first. */
  readonly log: readonly ModelVersion[];
  readonly received: Received;
}

const milli = (name: string) => `toUnixTimestamp64Milli(${name})`;

/** What the loop did, asked of ClickHouse, the registry and the receiver: nothing here is remembered from the run. */
export async function tellLoop({ project, model, warehouse, log, received }: LoopDeps): Promise<LoopReport> {
  const { prefix } = project;
  const measures = quoteName(tables.measures(prefix));
  const figures = await warehouse.query<{
    kind: string;
    statistic: string;
    version: number;
    day: number;
    value: number | null;
    low: number | null;
    high: number | null;
    rows: number;
  }>(
    `SELECT kind, statistic, version, ${milli('`from`')} AS day, argMax(value, tick) AS value,
       argMax(low, tick) AS low, argMax(high, tick) AS high, argMax(rows, tick) AS rows
     FROM ${measures} FINAL
     WHERE model = {model:String} AND kind IN ('quality', 'estimate') AND slice = ''
     GROUP BY kind, statistic, version, day ORDER BY day, version`,
    { model: model.name },
  );
  const drift = await warehouse.query<{ day: number; subject: string; value: number; threshold: number }>(
    `SELECT ${milli('`from`')} AS day, subject, value, ifNull(threshold, 0) AS threshold
     FROM ${measures} FINAL WHERE model = {model:String} AND kind = 'drift' AND fired
     ORDER BY day, value / greatest(threshold, 1e-9) DESC`,
    { model: model.name },
  );
  const alerts = await warehouse.query<LoopReport['alerts'][number]>(
    `SELECT ${milli('tick')} AS tick, rule, severity, state, summary
     FROM ${quoteName(tables.alerts(prefix))} FINAL WHERE fired_at IS NOT NULL ORDER BY tick, fingerprint, change`,
  );
  const figure = (kind: string, statistic: string, day: number, version: number): Figure | null => {
    const found = figures.find(
      (one) => one.kind === kind && one.statistic === statistic && one.day === day && one.version === version,
    );
    return found === undefined || found.value === null
      ? null
      : { value: found.value, low: found.low, high: found.high };
  };
  const windows = new Map<string, { day: number; version: number; rows: number }>();
  for (const { day, version, rows, kind, statistic } of figures) {
    const key = `${day}:${version}`;
    if (kind === 'quality' && statistic === 'log_loss') windows.set(key, { day, version, rows });
    else if (!windows.has(key)) windows.set(key, { day, version, rows: 0 });
  }
  return {
    days: [...windows.values()]
      .sort((a, b) => a.day - b.day || a.version - b.version)
      .map(({ day, version, rows }) => ({
        day,
        version,
        rows,
        logLoss: figure('quality', 'log_loss', day, version),
        estimate: figure('estimate', 'log_loss', day, version),
        auc: figure('quality', 'auc', day, version),
        calibrationError: figure('quality', 'calibration_error', day, version),
        baseRate: figure('quality', 'base_rate', day, version),
        drift: drift.filter((one) => one.day === day).map(({ day: _, ...one }) => one),
      })),
    alerts,
    delivered: received,
    runs: await readRuns(warehouse, prefix),
    models: log
      .filter((change) => change.model === model.name)
      .map(({ version, state, at, by, reason, effectiveFrom }) => ({
        version,
        state,
        at,
        by,
        reason,
        effectiveFrom,
      })),
  };
}

/** Runs of the pipelines with their steps, in the order of their event times. */
export async function readRuns(warehouse: Warehouse, prefix: string): Promise<LoopReport['runs']> {
  const runs = await warehouse.query<Omit<LoopReport['runs'][number], 'steps'>>(
    `SELECT id, pipeline, ${milli('event_time')} AS eventTime, cause, state, detail
     FROM ${quoteName(tables.pipelineRuns(prefix))} FINAL ORDER BY eventTime, id`,
  );
  const steps = await warehouse.query<LoopReport['runs'][number]['steps'][number] & { run: string }>(
    `SELECT run, step, argMax(state, attempt) AS state, max(attempt) AS attempts,
       sum(ifNull(dateDiff('millisecond', started_at, finished_at), 0)) AS ms,
       argMax(result, attempt) AS result, argMax(error, attempt) AS error, min(started_at) AS began
     FROM ${quoteName(tables.pipelineSteps(prefix))} FINAL GROUP BY run, step ORDER BY run, began`,
  );
  return runs.map((run) => ({
    ...run,
    steps: steps.filter((step) => step.run === run.id).map(({ run: _, ...step }) => step),
  }));
}
