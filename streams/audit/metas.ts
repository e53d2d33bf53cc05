import type { ViewMeta } from '../../processors/meta.ts';
import { keys } from '../../schemas/names.ts';
import type { View } from '../../schemas/view.ts';
import { viewPartitions } from '../runtime/partitions.ts';
import { wholeMeta } from '../runtime/state.ts';
import type { Books } from './books.ts';

/** Metas of a view by partition; null where there is none, it is torn, or there is no store. */
export async function readMetas(
  { project, store }: Pick<Books, 'project' | 'store'>,
  view: View,
): Promise<ReadonlyArray<ViewMeta | null>> {
  const partitions = viewPartitions(project.prefix, view);
  if (store === undefined) return partitions.map(() => null);
  const found = await store.read(partitions.map(({ key }) => [keys.meta(key)]));
  return found.map(([bytes = null]) => wholeMeta(bytes));
}
