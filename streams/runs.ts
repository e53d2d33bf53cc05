import type { Warehouse } from '../infrastructure/clickhouse/port.ts';
import { retrying } from '../infrastructure/clickhouse/retry.ts';
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

export async function recordRun(warehouse: Warehouse, prefix: string, run: Run): Promise<void> {
  const iso = (time: number) => new Date(time).toISOString();
  const row = {
    id: run.id,
    state: 'done',
    kind: run.kind,
    subject: run.subject,
    started_at: iso(run.startedAt),
    finished_at: iso(run.finishedAt),
    detail: JSON.stringify(run.detail),
  };
  const token = `${run.kind}:${run.id}:${run.startedAt}`;
  await retrying(() => warehouse.insert(tables.runs(prefix), [row], { token }));
}
