import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { partitionOf } from '../../processors/partition.ts';
import { ViewState } from '../../processors/state.ts';
import type { Project } from '../../schemas/project.ts';
import { floorTo, HOUR } from '../../schemas/time.ts';
import type { View } from '../../schemas/view.ts';
import { viewPartitions } from '../runtime/partitions.ts';
import { type BuiltPartition, exactHead } from './backfill-write.ts';
import { type Marks, type PastEvent, readPast } from './past.ts';

/** How often, event time, the states are told that older reads will not come. */
const PRUNE_EVERY = 6 * HOUR;

/** How far the pass has come. */
export interface FoldProgress {
  readonly step: 'fold';
  readonly events: number;
  /** Event times, epoch ms. */
  readonly from: number;
  readonly time: number;
}

interface FoldOptions {
  readonly project: Project;
  readonly warehouse: Warehouse;
  /** E: event time, epoch ms. */
  readonly to: number;
  /** The least time that the state will be read as of, epoch ms. */
  readonly readsFrom: number;
  readonly progress?: (done: FoldProgress) => void;
  readonly signal?: AbortSignal;
}

/** A view and its partitions, built in memory. */
export interface BuiltView {
  readonly view: View;
  readonly partitions: readonly BuiltPartition[];
}

/** Folds the archived past of views, up to the marks and to E, in order of time. */
export async function foldPast(
  options: FoldOptions,
  views: readonly View[],
  marks: ReadonlyMap<string, Marks>,
  from: number,
): Promise<{ readonly built: readonly BuiltView[]; readonly events: number }> {
  const { project, warehouse, to, readsFrom } = options;
  const built = views.map((view) => emptyView(project.prefix, view));
  let events = 0;
  let prunedAt = Number.NEGATIVE_INFINITY;
  for await (const batch of readPast({
    project,
    warehouse,
    views,
    from,
    to: archiveEnd(marks, to),
    upTo: marks,
    importsTo: to,
  })) {
    options.signal?.throwIfAborted();
    for (const past of batch) {
      if (past.event.time - prunedAt >= PRUNE_EVERY) {
        prunedAt = past.event.time;
        prune(built, readsFrom, prunedAt);
      }
      fold(built, past);
    }
    events += batch.length;
    options.progress?.({ step: 'fold', events, from, time: batch.at(-1)?.event.time ?? from });
  }
  return { built, events };
}

function emptyView(prefix: string, view: View): BuiltView {
  const partitions = viewPartitions(prefix, view).map((one) => ({ ...one, state: new ViewState(view) }));
  return { view, partitions };
}

function fold(built: readonly BuiltView[], { contributions }: PastEvent): void {
  for (const [v, { view, partitions }] of built.entries()) {
    const contribution = contributions[v];
    if (contribution === null || contribution === undefined) continue;
    partitions[partitionOf(contribution.entity, view.partitions)]?.state.apply(contribution);
  }
}

/** Reads of the state begin a slack before E, or before what is read first: older fine tiles are on their way up the ladder. */
function prune(built: readonly BuiltView[], readsFrom: number, time: number): void {
  for (const { view, partitions } of built)
    for (const { state } of partitions)
      state.prune(Math.min(exactHead(view, readsFrom, view.resolution), floorTo(time - view.slack, HOUR)));
}

/** Out-of-order events at or below a mark may be younger than E. */
function archiveEnd(marks: ReadonlyMap<string, Marks>, to: number): number | null {
  return [...marks.values()].some((list) => list.length > 0) ? null : to;
}
