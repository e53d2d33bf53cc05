import type { Progress } from '../../processors/lateness.ts';
import type { Source } from '../../schemas/project.ts';
import { decodeProgress, isLost, progressKey } from '../ingest/progress.ts';
import type { Books } from './books.ts';

/** Ingest's progress by raw partition, null where the store has none; null without a store. */
export async function readProgress(
  { project, store }: Pick<Books, 'project' | 'store'>,
  { name }: Pick<Source, 'name'>,
  partitions: number,
): Promise<ReadonlyArray<Progress | null> | null> {
  if (store === undefined) return null;
  const found = await store.read(
    Array.from({ length: partitions }, (_, p) => [progressKey(project.prefix, name, p)]),
  );
  return found.map(([bytes = null]) => (isLost(bytes) ? null : decodeProgress(bytes)));
}
