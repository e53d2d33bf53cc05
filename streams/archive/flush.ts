import type { MillraceError } from '../../schemas/refusal.ts';
import { type Batch, dueOf } from './batch.ts';
import { noClocks } from './clocks.ts';
import type { ArchiveContext } from './context.ts';
import type { InsertResult } from './insert-store.ts';
import { recover } from './recover.ts';

/** Stores the batches that are due. Answers with those that failed. */
export async function flushDue(context: ArchiveContext): Promise<readonly Batch[]> {
  const due = dueOf(context.batches, context.limits, context.clock.now());
  return flushBatches(context, due);
}

/**
 * Stores batches: their rows, then the clocks behind them, then Kafka's offsets. Monitoring takes a clock for the word that all
 * tables have come so far, so clocks go to the table of progress only once the rows of every batch are stored; else they wait.
 * Answers with the batches that failed; these were forgotten, and their partitions are read again.
 */
export async function flushBatches(
  context: ArchiveContext,
  batches: readonly Batch[],
): Promise<readonly Batch[]> {
  if (batches.length === 0) return [];
  const clocks = batches.flatMap((batch) => batch.clocks.list);
  for (const batch of batches) batch.moved = false;
  const { results, closed } = await context.checkpoint.flush({
    state: batches.map((batch) => ({ kind: 'rows', batch })),
    closing: clocks.length === 0 ? [] : [{ kind: 'clocks', clocks }],
    offsets: batches.map(({ partitions }) =>
      partitions.map(({ topic, partition, next }) => ({ topic, partition, offset: next })),
    ),
  });
  const failed = batches.filter((_, i) => results[i]?.status !== 'committed');
  const [clocksResult] = closed;
  const withClocks = batches.filter((batch) => batch.clocks.list.length > 0);
  if (clocksResult?.status === 'committed') for (const batch of withClocks) batch.clocks = noClocks();
  else if (clocksResult !== undefined) failed.push(...withClocks);
  const error = errorOf([...results, ...closed]);
  if (error !== null) await recover(context, failed, error);
  else context.failing.end();
  return failed;
}

function errorOf(results: readonly InsertResult[]): MillraceError | null {
  return results.reduce<MillraceError | null>(
    (last, result) => (result.status === 'failed' ? result.error : last),
    null,
  );
}
