import type { Kafka, Reader } from '../infrastructure/kafka/port.ts';
import type { OnlineStore } from '../infrastructure/redis/port.ts';
import { contributionOf } from '../processors/contribute.ts';
import { partitionOf } from '../processors/partition.ts';
import type { Clock } from '../schemas/clock.ts';
import type { ValidatedEvent } from '../schemas/event.ts';
import { keys, rawTopic, topics } from '../schemas/names.ts';
import type { Project, Source } from '../schemas/project.ts';
import { SnapshotReader } from '../streams/inference/snapshot.ts';
import type { Codecs } from '../streams/runtime/codecs.ts';
import type { ViewPartition } from '../streams/runtime/partitions.ts';

export interface ProbeDeps {
  readonly project: Project;
  readonly source: Source;
  readonly kafka: Kafka;
  readonly store: OnlineStore;
  readonly codecs: Codecs;
  readonly clock: Clock;
}

export interface FeatureProbe {
  /** Ends the probe; answers ms from the broker's stamp on a raw event to its contribution being readable, one a view. */
  stop(): Promise<Float64Array>;
}

/** Between two samples, so that the probe costs the machine nothing that it would measure. */
const SAMPLE_EVERY_MS = 40;
const LOOK_EVERY_MS = 2;
/** A contribution that never arrives (refused by the view) ends its sample. */
const GIVE_UP_MS = 10_000;

/**
 * Watches how long events take to become features: follows the validated topic, takes an event now and then,
 * and looks into the online store until the mark of each view partition it goes to has reached its offset.
 */
export async function startFeatureProbe(deps: ProbeDeps): Promise<FeatureProbe> {
  const { project, source, kafka } = deps;
  const topic = topics.validated(project.prefix, source.name);
  const reader = await kafka.reader(
    Array.from({ length: source.partitions }, (_, partition) => ({
      topic,
      partition,
      position: 'latest' as const,
    })),
  );
  const samples: number[] = [];
  let stopped = false;
  const running = watch(deps, reader, samples, () => stopped).finally(() => reader.close());
  return {
    async stop() {
      stopped = true;
      await running;
      return Float64Array.from(samples);
    },
  };
}

async function watch(
  deps: ProbeDeps,
  reader: Reader,
  samples: number[],
  stopped: () => boolean,
): Promise<void> {
  const { clock, codecs, source } = deps;
  const snapshots = new SnapshotReader(deps.store);
  const codec = codecs.validated(source.name);
  while (!stopped()) {
    const batches = await reader.poll(SAMPLE_EVERY_MS);
    const batch = batches[Math.floor(batches.length / 2)];
    const record = batch?.records.findLast(({ value }) => value !== null);
    if (batch !== undefined && record !== undefined && record.value !== null)
      await follow(deps, snapshots, codec.decode(record.value), batch.partition, samples, stopped);
    await clock.sleep(SAMPLE_EVERY_MS);
  }
}

async function follow(
  { project, source, clock }: ProbeDeps,
  snapshots: SnapshotReader,
  validated: ValidatedEvent,
  sourcePartition: number,
  samples: number[],
  stopped: () => boolean,
): Promise<void> {
  const mark = `${rawTopic(project.prefix, source)}:${sourcePartition}`;
  let waiting = viewPartitionsOf(project, source, validated);
  const until = clock.now() + GIVE_UP_MS;
  while (waiting.length > 0 && !stopped() && clock.now() < until) {
    const found = await snapshots.read(waiting.map((of) => ({ of, entities: [] })));
    const now = clock.now();
    waiting = waiting.filter((_, i) => {
      const reached = (found[i]?.meta?.sources[mark]?.mark ?? -1) >= validated.offset;
      if (reached) samples.push(now - validated.appendTime);
      return !reached;
    });
    if (waiting.length > 0) await clock.sleep(LOOK_EVERY_MS);
  }
}

/** Where the contributions of an event go. */
function viewPartitionsOf(
  project: Project,
  source: Source,
  { event, offset }: ValidatedEvent,
): ViewPartition[] {
  return project.views
    .filter((view) => view.sources.includes(source.name))
    .flatMap((view) => {
      const contribution = contributionOf(view, source.name, event, offset);
      if (contribution === null) return [];
      const partition = partitionOf(contribution.entity, view.partitions);
      return [{ view, partition, key: keys.viewPartition(project.prefix, view.id, partition) }];
    });
}

/** Lower-rank quantile of unsorted samples; NaN of none. */
export function quantileOf(samples: Float64Array, share: number): number {
  const sorted = samples.toSorted();
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}
