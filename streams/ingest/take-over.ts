import type { TopicPartition } from '../../infrastructure/kafka/port.ts';
import { feeding } from '../../processors/lateness.ts';
import { partitionOf } from '../../processors/partition.ts';
import type { SegmentPlan } from '../../processors/segment.ts';
import { createValidator } from '../../processors/validate.ts';
import { rawTopic } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import type { Telemetry } from '../runtime/telemetry.ts';
import { type ProgressDeps, takeProgress } from './progress.ts';
import type { RawLogs } from './raw-logs.ts';
import { RawPartition } from './raw-partition.ts';
import { recall } from './recall-ids.ts';

export interface TakeOverDeps extends ProgressDeps {
  readonly telemetry: Pick<Telemetry, 'note'>;
}

/** How the records of each raw topic are worked. */
export function plansOf(project: Project): ReadonlyMap<string, SegmentPlan> {
  return new Map(
    project.sources.map((source) => [
      rawTopic(project.prefix, source),
      {
        source,
        views: project.views.filter((view) => view.sources.includes(source.name)),
        validate: createValidator(source),
        partitionOf,
      },
    ]),
  );
}

const viewsOf = ({ views }: SegmentPlan): string[] => views.map(({ id }) => id);

/** Takes the partitions of an assignment, each as its progress says. */
export async function takeOver(
  deps: TakeOverDeps,
  plans: ReadonlyMap<string, SegmentPlan>,
  rawLogs: RawLogs,
  assigned: readonly TopicPartition[],
): Promise<Map<string, RawPartition>> {
  const known = await takeProgress(deps, assigned);
  const owned = new Map<string, RawPartition>();
  for (const [i, place] of assigned.entries()) {
    const { topic, partition } = place;
    const plan = plans.get(topic);
    if (plan === undefined)
      throw new Error(`ingest was assigned ${topic}, which is no raw topic of project ${deps.project.name}`);
    const { progress, bytes } = known[i] as (typeof known)[number];
    rawLogs.learn(place, progress);
    const fed = { progress: feeding(progress, viewsOf(plan)), bytes };
    owned.set(`${topic}:${partition}`, new RawPartition(plan, place, fed, deps.clock.now()));
    deps.telemetry.note('ingest', 'assigned', { topic, partition, next: progress.next });
  }
  // Of a partition that is not read yet the validated topic has nothing.
  const read = [...owned.values()].filter(({ partition, source }) => partition < source.partitions);
  await Promise.all(read.map((one) => recall(deps, one)));
  return owned;
}

/** Begins partitions anew from what the store has: somebody else set it. */
export async function restartPartitions(
  deps: TakeOverDeps,
  rawLogs: RawLogs,
  partitions: readonly RawPartition[],
): Promise<void> {
  const known = await takeProgress(deps, partitions);
  for (const [i, one] of partitions.entries()) {
    const { progress, bytes } = known[i] as (typeof known)[number];
    const before = one.progress.next;
    rawLogs.learn(one, progress);
    one.restart({ progress: feeding(progress, viewsOf(one.plan)), bytes }, deps.clock.now());
    if (progress.next === before) one.memory?.drop();
    else await recall(deps, one);
    await rawLogs.seek(one, one.progress.next);
  }
}
