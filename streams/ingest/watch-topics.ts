import { KafkaError } from '../../infrastructure/kafka/errors.ts';
import type { Kafka, Poll } from '../../infrastructure/kafka/port.ts';
import { isForeign, rawTopic } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import { withPartitions } from '../runtime/partitions.ts';
import type { IngestContext } from './context.ts';
import { SourcePaused, sentenceOf } from './pause.ts';
import { RawTopicChanged, whoMakes } from './raw-logs.ts';
import type { RawPartition } from './raw-partition.ts';

/** A raw topic has more partitions than the topics that go with it: the new ones are not read. */
export class PartitionUnprepared extends MillraceError {
  readonly code = 'partition_unprepared';
  readonly retriable = false;
}

/** The topics that go with a raw topic have got its new partitions: ingest begins anew and reads them. */
export class PartitionsAdded extends MillraceError {
  readonly code = 'partitions_added';
  readonly retriable = true;
}

/**
 * Looks whether the raw topics are still those that were read, and hold the places that were come to. Where not, their partitions
 * stand still, and it is told why, until somebody has decided. Throws PartitionsAdded where new partitions may be read now.
 */
export async function watchTopics(context: IngestContext): Promise<void> {
  const { owned, rawLogs, waits } = context;
  await rawLogs.look();
  const all = [...owned.values()];
  const reasons = await rawLogs.reasons(
    all.map(({ topic, partition, progress, source }) => ({
      topic,
      partition,
      progress,
      source: source.name,
      foreign: isForeign(context.project.prefix, source),
    })),
  );
  for (const [i, one] of all.entries()) {
    const reason =
      unprepared(one, rawLogs.partitionsOf(one.topic)) ?? reasons[i] ?? pausedReason(context, one);
    if (reason !== null) await stop(context, one, reason);
    else if (one.stopped !== null) {
      waits.end('topic', keyOf(one));
      await context.restart([one]);
    } else if (one.progress.topicId === null || one.progress.next === 0)
      // Kept with the next commit.
      one.progress = { ...one.progress, topicId: rawLogs.idOf(one.topic) };
  }
  if (all.some(({ stopped }) => stopped instanceof PartitionUnprepared)) await lookForPrepared(context);
  for (const topic of context.missing)
    waits.note(
      'topic',
      topic,
      () => `${topic} is not there: ${whoMakes(isForeignTopic(context.project, topic))} it.`,
    );
  if (
    context.missing.length > 0 &&
    (await missingOf(context.kafka, context.missing)).length < context.missing.length
  )
    throw new PartitionsAdded('A raw topic is there again; ingest begins anew and reads it.');
}

/** Those of some topics that are not there. Throws KafkaError. */
async function missingOf(kafka: Pick<Kafka, 'admin'>, names: readonly string[]): Promise<readonly string[]> {
  const admin = await kafka.admin();
  const facts = await admin.facts(names).finally(() => admin.close());
  return facts.filter(({ partitions }) => partitions === 0).map(({ topic }) => topic);
}

/**
 * The raw topics that ingest may subscribe to, and those that it goes on without: one source whose topic is gone stops no other. Where
 * none is there nothing was applied: then all are answered, and joining says so.
 */
export async function presentTopics(
  { project, kafka, telemetry }: Pick<IngestContext, 'project' | 'kafka' | 'telemetry'>,
  names: readonly string[],
): Promise<{ readonly present: readonly string[]; readonly missing: readonly string[] }> {
  const missing = await missingOf(kafka, names);
  if (missing.length === names.length) return { present: names, missing: [] };
  for (const topic of missing)
    telemetry.failure(
      'ingest',
      new RawTopicChanged(
        `${topic} is not there: nothing is read of it. Now ${whoMakes(isForeignTopic(project, topic))} it; ingest then reads it by itself.`,
      ),
    );
  return { present: names.filter((name) => !missing.includes(name)), missing };
}

/** What a failure of ingest comes to: where a raw topic is gone and others are there, ingest begins anew without it. */
export async function withoutMissing(
  error: unknown,
  kafka: Pick<Kafka, 'admin'>,
  names: readonly string[],
): Promise<unknown> {
  if (!(error instanceof KafkaError) || error.retriable) return error;
  const missing = await missingOf(kafka, names).catch(() => []);
  if (missing.length === 0 || missing.length === names.length) return error;
  return new PartitionsAdded(`${missing.join(', ')} is gone; ingest begins anew without it.`);
}

const isForeignTopic = ({ prefix, sources }: Project, topic: string) =>
  sources.some((source) => rawTopic(prefix, source) === topic && isForeign(prefix, source));

const keyOf = ({ topic, partition }: RawPartition) => `${topic}:${partition}`;

function unprepared({ topic, partition, source }: RawPartition, partitions: number): MillraceError | null {
  if (partition < source.partitions) return null;
  return new PartitionUnprepared(
    `${topic} has ${partitions} partitions, and the topics that go with it have ${source.partitions}: partition ${partition} is not read. Run 'millrace apply', which gives them as many; ingest then reads it by itself.`,
  );
}

function pausedReason({ paused }: IngestContext, { source }: RawPartition): MillraceError | null {
  const pause = paused.get(source.name);
  return pause === undefined ? null : new SourcePaused(sentenceOf(source.name, pause));
}

async function stop(context: IngestContext, one: RawPartition, reason: MillraceError): Promise<void> {
  const { rawLogs, telemetry, waits } = context;
  if (one.stopped === null) telemetry.failure('ingest', reason);
  // Of several reasons the last one is told.
  if (one.stopped?.message !== reason.message) waits.end('topic', keyOf(one));
  waits.note('topic', keyOf(one), () => reason.message);
  one.stopped = reason;
  one.more = false;
  one.queue.clear();
  rawLogs.pause([one]);
}

async function lookForPrepared({ kafka, project, declared }: IngestContext): Promise<void> {
  const now = await withPartitions(declared, kafka);
  if (now.sources.some(({ partitions }, i) => partitions !== project.sources[i]?.partitions))
    throw new PartitionsAdded('Raw topics have new partitions; ingest begins anew and reads them.');
}

/** A log that begins behind our place is read from its start, and it is told what is lost; one that may not be read stands at its end. */
export async function heedCuts(context: IngestContext, { cut }: Pick<Poll, 'cut'>): Promise<void> {
  if (cut.length === 0) return;
  const { owned, rawLogs, telemetry } = context;
  await watchTopics(context);
  for (const { topic, partition, start } of cut) {
    const one = owned.get(`${topic}:${partition}`);
    if (one === undefined) continue;
    if (one.stopped !== null) {
      const [end = 0] = await rawLogs.ends([one]);
      await rawLogs.seek(one, end);
      continue;
    }
    const lost = start - one.progress.next;
    telemetry.note('ingest', 'raw log cut', { topic, partition, start, lost });
    if (lost > 0) telemetry.failure('ingest', new RawRecordsLost(topic, partition, one.progress.next, start));
    await rawLogs.seek(one, start);
  }
}

/** Records were deleted before ingest read them. It goes on behind them. */
class RawRecordsLost extends MillraceError {
  readonly code = 'raw_records_lost';
  readonly retriable = true;

  constructor(topic: string, partition: number, from: number, to: number) {
    super(
      `${topic} partition ${partition} lost the offsets ${from} to ${to - 1} before they were read (retention, or DeleteRecords): ${to - from} records are in no feature, no answer and no table. Ingest goes on at ${to}; send them again if they are needed.`,
    );
  }
}
