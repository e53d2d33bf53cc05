import type { TopicPartition } from '../../infrastructure/kafka/port.ts';
import { entityKey } from '../../processors/entity-key.ts';
import { feeding } from '../../processors/lateness.ts';
import { partitionOf } from '../../processors/partition.ts';
import type { SegmentPlan } from '../../processors/segment.ts';
import { createValidator } from '../../processors/validate.ts';
import { rawTopic } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import type { Telemetry } from '../runtime/telemetry.ts';
import { type ProgressDeps, takeProgress } from './progress.ts';
import type { RawLogs } from './raw-logs.ts';
import { RawPartition } from './raw-partition.ts';
import { recall } from './recall-ids.ts';

export interface TakeOverDeps extends ProgressDeps {
  readonly telemetry: Pick<Telemetry, 'note'>;
}

/** A raw topic has another number of partitions than a local view beside it. */
export class LocalPartitions extends MillraceError {
  readonly code = 'local_partitions';
  readonly retriable = false;
  override readonly final = true;
}

/** How the records of each raw topic are worked. Throws LocalPartitions. */
export function plansOf(project: Project): ReadonlyMap<string, SegmentPlan> {
  for (const { id, local, partitions, sources } of project.views) {
    const source = project.sources.find(({ name }) => name === sources[0]);
    if (local && source !== undefined && source.partitions !== partitions)
      throw new LocalPartitions(
        `View ${id} is local and has ${partitions} partitions, and the topics of ${source.name} have ${source.partitions}: declare 'partitions: ${source.partitions}' for the source, which makes another version of the view.`,
      );
  }
  return new Map(
    project.sources.map((source) => [
      rawTopic(project.prefix, source),
      {
        source,
        views: project.views.filter((view) => view.sources.includes(source.name)),
        validate: createValidator(source),
      },
    ]),
  );
}

/** The plan of one partition: where a view is local, an event of a key that belongs elsewhere would be counted where nobody asks. */
function planOf(plan: SegmentPlan, partition: number): SegmentPlan {
  const { source, views } = plan;
  if (!views.some(({ local }) => local)) return plan;
  const { key, partitions } = source;
  return {
    ...plan,
    validate(event) {
      const rejected = plan.validate(event);
      const entity = rejected === null ? entityKey(event, [key]) : null;
      if (entity === null) return rejected;
      const right = partitionOf(entity, partitions);
      return right === partition
        ? null
        : {
            stage: 'validate',
            code: 'misrouted',
            detail: `The record came to partition ${partition}, and its ${key} belongs to partition ${right} of ${partitions}: produce with ${key} as the record's key and the partitioner murmur2.`,
          };
    },
  };
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
    owned.set(
      `${topic}:${partition}`,
      new RawPartition(planOf(plan, partition), place, fed, deps.clock.now()),
    );
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
