import { createTableSql } from '../infrastructure/clickhouse/ensure-tables.ts';
import type { Warehouse } from '../infrastructure/clickhouse/port.ts';
import { retrying } from '../infrastructure/clickhouse/retry.ts';
import type { TableSpec } from '../infrastructure/clickhouse/tables.ts';
import { tables } from '../schemas/names.ts';

/** What was trained, backfilled or evaluated, when, and with what result: one row a run. */
export interface Run {
  readonly id: string;
  readonly kind: 'train' | 'evaluate' | 'backfill';
  /** Model or view. */
  readonly subject: string;
  /** Wall time, epoch ms. */
  readonly startedAt: number;
  readonly finishedAt: number;
  /** Result, as JSON. */
  readonly detail: object;
}

const TIME = "DateTime64(3, 'UTC')";

function runsTable(prefix: string): TableSpec {
  return {
    name: tables.runs(prefix),
    columns: [
      { name: 'id', type: 'String', comment: 'address of the artefact, or a name of its own' },
      { name: 'kind', type: 'LowCardinality(String)', comment: 'train, evaluate or backfill' },
      { name: 'subject', type: 'String', comment: 'model or view' },
      { name: 'started_at', type: TIME, comment: 'wall time' },
      { name: 'finished_at', type: TIME, comment: 'wall time' },
      { name: 'detail', type: 'String', comment: 'result, JSON' },
    ],
    engine: 'ReplacingMergeTree',
    sortingKey: ['kind', 'subject', 'started_at', 'id'],
    indexes: [],
  };
}

export async function recordRun(warehouse: Warehouse, prefix: string, run: Run): Promise<void> {
  const table = runsTable(prefix);
  await warehouse.command(createTableSql(table, prefix));
  const iso = (time: number) => new Date(time).toISOString();
  const row = {
    id: run.id,
    kind: run.kind,
    subject: run.subject,
    started_at: iso(run.startedAt),
    finished_at: iso(run.finishedAt),
    detail: JSON.stringify(run.detail),
  };
  const token = `${run.kind}:${run.id}:${run.startedAt}`;
  await retrying(() => warehouse.insert(table.name, [row], { token }));
}
