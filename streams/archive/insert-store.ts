import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import type { Clock } from '../../schemas/clock.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import type { StateStore } from '../runtime/checkpoint.ts';
import type { Telemetry } from '../runtime/telemetry.ts';
import { type Batch, drainRows } from './batch.ts';
import { type PassedClock, writeClocks } from './clocks.ts';

/** What the archive commits: the rows of one table, or the clocks behind the rows of all tables. */
export type Insert =
  | { readonly kind: 'rows'; readonly batch: Batch }
  | { readonly kind: 'clocks'; readonly clocks: readonly PassedClock[] };

export type InsertResult =
  | { readonly status: 'committed' }
  /** It may have been stored all the same; the tables say. */
  | { readonly status: 'failed'; readonly error: MillraceError };

interface InsertStoreDeps {
  readonly warehouse: Warehouse;
  readonly prefix: string;
  readonly clock: Pick<Clock, 'now'>;
  readonly telemetry: Pick<Telemetry, 'step'>;
}

/** The archive's state is its tables: one insert a table, with a token of its exact range. Inserts of one commit go side by side. */
export function createInsertStore(deps: InsertStoreDeps): StateStore<Insert, InsertResult> {
  const { clock, prefix, warehouse } = deps;
  const insert = async (one: Insert): Promise<void> => {
    if (one.kind === 'rows') await insertRows(deps, one.batch);
    else await writeClocks(warehouse, prefix, one.clocks, clock.now());
  };
  return {
    async commit(inserts) {
      const settled = await Promise.allSettled(inserts.map(insert));
      return settled.map(
        (result): InsertResult =>
          result.status === 'fulfilled'
            ? { status: 'committed' }
            : { status: 'failed', error: retriableOrThrow(result.reason) },
      );
    },
  };
}

async function insertRows({ telemetry, warehouse }: InsertStoreDeps, batch: Batch): Promise<void> {
  if (batch.rows === 0) return;
  const { table, columns, format } = batch.table;
  const started = performance.now();
  const { bytes, rows, token } = drainRows(batch);
  const encoded = performance.now();
  await warehouse.insertRaw(table, columns, format, bytes, { token });
  telemetry.step('archive', 'encode', encoded - started, rows);
  telemetry.step('archive', 'insert', performance.now() - encoded, rows);
}

/** The error, where waiting may mend it. @throws everything else. */
export function retriableOrThrow(error: unknown): MillraceError {
  if (!(error instanceof MillraceError) || !error.retriable) throw error;
  return error;
}
