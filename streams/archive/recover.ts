import type { MillraceError } from '../../schemas/refusal.ts';
import { type Batch, drainRows } from './batch.ts';
import { noClocks, readLastClocks } from './clocks.ts';
import type { ArchiveContext } from './context.ts';
import { retriableOrThrow } from './insert-store.ts';
import { readMarks, resumeAt } from './marks.ts';

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5_000;

/**
 * A failed insert may have been stored. Its rows are forgotten, and when the warehouse answers again its tables say what it
 * has; until then nothing more is fetched, so that memory stays as it is.
 */
export async function recover(
  context: ArchiveContext,
  failed: readonly Batch[],
  error: MillraceError,
): Promise<void> {
  const { clock, signal } = context;
  // Where the tables can be read and inserts fail all the same, the next insert waits ever longer too.
  const times = told(context, error);
  for (const batch of failed) {
    drainRows(batch);
    batch.clocks = noClocks();
  }
  let pause = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(times - 1, 10), LONGEST_PAUSE_MS);
  while (!signal.aborted) {
    await clock.sleep(pause);
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    try {
      // Partitions of an assignment before are read by whoever owns them now.
      await goWhereTablesStand(
        context,
        failed.filter((batch) => context.batches.includes(batch)),
      );
      return;
    } catch (again) {
      told(context, retriableOrThrow(again), pause);
    }
  }
}

/** Failures of one kind in a row from which on they are told as one that lasts. */
const TOLD_AFTER = 3;

/** Counts a failure; answers how often it has come in a row. */
function told({ failing, telemetry }: ArchiveContext, error: MillraceError, pause = FIRST_PAUSE_MS): number {
  telemetry.failure('archive', error);
  const times = failing.note(error);
  if (times >= TOLD_AFTER) failing.tell(error, pause);
  return times;
}

async function goWhereTablesStand(
  { consumer, prefix, warehouse }: ArchiveContext,
  batches: readonly Batch[],
): Promise<void> {
  const clocks = await readLastClocks(warehouse, prefix);
  for (const { table, partitions } of batches) {
    const marks = await readMarks(warehouse, table);
    for (const one of partitions) {
      const mark = marks.get(one.partition);
      one.mark.archived = mark?.archived ?? -1;
      one.mark.sources.clear();
      for (const [key, offset] of mark?.sources ?? []) one.mark.sources.set(key, offset);
      one.next = resumeAt(one.mark, clocks.get(`${one.topic}:${one.partition}`));
      await consumer.seek(one, one.next);
    }
  }
}
