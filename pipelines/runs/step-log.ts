import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { tables } from '../../schemas/names.ts';

export interface StepLine {
  /** Counted from 1. */
  readonly attempt: number;
  /** Wall time, epoch ms. */
  readonly at: number;
  readonly kind: 'begun' | 'note' | 'error';
  readonly text: string;
}

/** What a step of a run said, try after try: who began it, how far it was (once a second at most), why it failed. */
export async function readStepLog(
  warehouse: Pick<Warehouse, 'query'>,
  prefix: string,
  { run, step, limit }: { readonly run: string; readonly step: string; readonly limit: number },
): Promise<readonly StepLine[]> {
  const ms = (column: string) => `toUnixTimestamp64Milli(assumeNotNull(${column}))`;
  // A step that was resumed has no end any more, but still the error of its last try.
  const tries = `FROM ${quoteName(tables.pipelineSteps(prefix))} FINAL WHERE run = {run:String} AND step = {step:String}`;
  const lines = await warehouse.query<StepLine>(
    `SELECT attempt, at, kind, text FROM (
       SELECT attempt, ${ms('started_at')} AS at, 'begun' AS kind, 0 AS place, worker AS text ${tries} AND started_at IS NOT NULL
       UNION ALL
       SELECT attempt, toUnixTimestamp64Milli(at) AS at, 'note' AS kind, 1 AS place, note AS text
       FROM ${quoteName(tables.pipelineNotes(prefix))} FINAL WHERE run = {run:String} AND step = {step:String}
       UNION ALL
       SELECT attempt, ${ms('ifNull(finished_at, at)')} AS at, 'error' AS kind, 2 AS place, error AS text ${tries} AND error != ''
     ) ORDER BY at DESC, attempt DESC, place DESC LIMIT {limit:UInt32}`,
    { run, step, limit },
  );
  return [...lines].reverse();
}
