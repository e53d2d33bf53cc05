import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import type { Parameters } from '../../models/trainer.ts';
import { tables } from '../../schemas/names.ts';
import type { Environment, Resources, RunKind, RunMetric } from './runs.ts';

export interface RunRow {
  readonly id: string;
  readonly kind: RunKind;
  readonly subject: string;
  readonly parent: string;
  readonly state: 'done' | 'failed';
  /** Wall time, epoch ms. */
  readonly startedAt: number;
  readonly finishedAt: number;
  /** SHA-256; empty for none. */
  readonly dataset: string;
  readonly artefact: string;
  /** Validation log loss at its end; null for none. */
  readonly loss: number | null;
  /** Sentence of a failed one. */
  readonly error: string;
}

export interface RunRecord extends RunRow {
  readonly parameters: Parameters;
  readonly codeVersion: string;
  readonly environment: Partial<Environment>;
  readonly resources: Partial<Resources>;
  readonly detail: Readonly<Record<string, unknown>>;
  /** By metric, slice and step. */
  readonly metrics: readonly RunMetric[];
}

export interface RunFilter {
  readonly kind?: RunKind;
  readonly subject?: string;
  readonly parent?: string;
  readonly state?: 'done' | 'failed';
  readonly limit?: number;
}

const COLUMNS = `id, kind, subject, parent, state, dataset, artefact,
  toUnixTimestamp64Milli(started_at) AS startedAt, toUnixTimestamp64Milli(finished_at) AS finishedAt,
  JSONExtractString(detail, 'error') AS error`;

/** The newest first. */
export async function readRuns(
  warehouse: Pick<Warehouse, 'query'>,
  prefix: string,
  filter: RunFilter,
): Promise<readonly RunRow[]> {
  const { kind = '', subject = '', parent = '', state = '', limit = 50 } = filter;
  const losses = `SELECT run, anyLast(value) AS value FROM ${quoteName(tables.runMetrics(prefix))} FINAL
    WHERE metric = 'validation_log_loss' AND slice = '' AND step = 0 GROUP BY run`;
  const rows = await warehouse.query<Omit<RunRow, 'loss'> & { loss: number | null }>(
    `SELECT r.*, if(m.run = '', NULL, m.value) AS loss FROM (
       SELECT ${COLUMNS} FROM ${quoteName(tables.runs(prefix))} FINAL
       WHERE ({kind:String} = '' OR kind = {kind:String}) AND ({subject:String} = '' OR subject = {subject:String})
         AND ({parent:String} = '' OR parent = {parent:String}) AND ({state:String} = '' OR state = {state:String})
       ORDER BY started_at DESC, id LIMIT {limit:UInt32}) AS r
     LEFT JOIN (${losses}) AS m ON m.run = r.id ORDER BY r.startedAt DESC, r.id`,
    { kind, subject, parent, state, limit },
  );
  return rows;
}

/** Ids that begin like this, the newest first: what a person writes of one. */
export async function runsLike(
  warehouse: Pick<Warehouse, 'query'>,
  prefix: string,
  beginning: string,
): Promise<readonly string[]> {
  const rows = await warehouse.query<{ id: string }>(
    `SELECT id, max(started_at) AS newest FROM ${quoteName(tables.runs(prefix))}
     WHERE startsWith(id, {beginning:String}) GROUP BY id ORDER BY newest DESC LIMIT 6`,
    { beginning },
  );
  return rows.map(({ id }) => id);
}

/** The newest of this id, with its figures; null where there is none. */
export async function readRun(
  warehouse: Pick<Warehouse, 'query'>,
  prefix: string,
  id: string,
): Promise<RunRecord | null> {
  const [row] = await warehouse.query<
    Omit<RunRow, 'loss'> &
      Record<'parameters' | 'environment' | 'resources' | 'details' | 'codeVersion', string>
  >(
    `SELECT ${COLUMNS}, parameters, code_version AS codeVersion, environment, resources, detail AS details
     FROM ${quoteName(tables.runs(prefix))} FINAL WHERE id = {id:String} ORDER BY started_at DESC LIMIT 1`,
    { id },
  );
  if (row === undefined) return null;
  const metrics = await warehouse.query<RunMetric>(
    `SELECT metric, slice, step, value FROM ${quoteName(tables.runMetrics(prefix))} FINAL
     WHERE run = {id:String} ORDER BY metric, slice, step`,
    { id },
  );
  const { details, parameters, environment, resources, ...rest } = row;
  return {
    ...rest,
    parameters: JSON.parse(parameters || '{}') as Parameters,
    environment: JSON.parse(environment || '{}') as Partial<Environment>,
    resources: JSON.parse(resources || '{}') as Partial<Resources>,
    detail: JSON.parse(details || '{}') as Record<string, unknown>,
    metrics,
    loss:
      metrics.find(
        ({ metric, slice, step }) => metric === 'validation_log_loss' && slice === '' && step === 0,
      )?.value ?? null,
  };
}
