import type { OnlineStore } from '../../infrastructure/redis/port.ts';
import { watermarkOf } from '../../processors/lateness.ts';
import { keys, rawTopic } from '../../schemas/names.ts';
import type { Project, Source } from '../../schemas/project.ts';
import { progressKey, wholeProgress } from '../ingest/progress.ts';
import { viewPartitions } from '../runtime/partitions.ts';
import { wholeMeta } from '../runtime/state.ts';
import { ReplayRefused } from './errors.ts';

/**
 * Refuses a replay whose first event of a source, at `time`, would be late: below the watermark of one of the source's partitions,
 * or below the frontier of a view that it feeds (which an idle partition, or the broker's clock, may have moved beyond them all).
 */
export async function refuseLate(
  { project, store }: { readonly project: Project; readonly store: Pick<OnlineStore, 'read'> },
  source: Source,
  time: number,
): Promise<void> {
  const partitions = Array.from({ length: source.partitions }, (_, partition) => partition);
  const progress = await store.read(
    partitions.map((partition) => [progressKey(project.prefix, source.name, partition)]),
  );
  for (const partition of partitions) {
    const known = wholeProgress(progress[partition]?.[0] ?? null);
    const watermark = watermarkOf(known?.runningMax ?? null, source.outOfOrderness);
    refuseBelow(watermark, time, `${rawTopic(project.prefix, source)} partition ${partition}`);
  }
  const fed = project.views
    .filter(({ sources }) => sources.includes(source.name))
    .flatMap((view) => viewPartitions(project.prefix, view));
  const metas = await store.read(fed.map(({ key }) => [keys.meta(key)]));
  for (const [i, { view, partition }] of fed.entries()) {
    const frontier = wholeMeta(metas[i]?.[0] ?? null)?.frontier ?? null;
    refuseBelow(frontier, time, `the view ${view.id} partition ${partition}`);
  }
}

function refuseBelow(reached: number | null, time: number, what: string): void {
  if (reached === null || time >= reached) return;
  throw new ReplayRefused(
    `The replay's first event is of ${new Date(time).toISOString()}, but ${what} has come to ${new Date(reached).toISOString()}: it would be late. Start fresh with another --prefix, or replay from a later time.`,
  );
}
