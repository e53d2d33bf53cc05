import type { KafkaRecord, PartitionBatch } from '../../infrastructure/kafka/port.ts';
import type { IngestContext } from './context.ts';
import { eventSizeCheck } from './event-size.ts';
import type { RawPartition } from './raw-partition.ts';

/** Decodes the records of one partition into its queue, or leaves them unread while a schema of theirs is not known yet. */
export async function queueBatch(
  context: IngestContext,
  one: RawPartition,
  { topic, partition, records, highWatermark }: PartitionBatch,
): Promise<void> {
  const { clock, codecs, guards, limits, project, telemetry } = context;
  const left = highWatermark - (records.at(-1)?.offset ?? 0) - 1;
  one.more = left > 0;
  telemetry.lag('ingest', topic, partition, left);
  const fresh = records.filter(({ offset }) => offset >= one.progress.next);
  if (fresh.length === 0) return;
  const byProducers = fresh.filter(({ producerStamped }) => producerStamped).length;
  if (byProducers > 0) telemetry.producerTimes(topic, partition, byProducers);
  const decoder = codecs.raw(one.source.name);
  if (await waitsForSchema(context, one, fresh, await decoder.prepare(fresh))) return;
  const checkSize = eventSizeCheck(project, one.source, limits);
  const decoded = fresh.map((record) => checkSize(decoder.decode(record)));
  one.queue.add(guards.cap ? decoded : decoded.map((record) => ({ ...record, arrivedAt: null })));
  one.lastRecordAt = clock.now();
}

/** True where the records stay unread for now: the partition is asked again from the first of them. */
async function waitsForSchema(
  { clock, consumer, waits }: IngestContext,
  one: RawPartition,
  records: readonly KafkaRecord[],
  unknown: readonly number[],
): Promise<boolean> {
  const { topic, partition } = one;
  const place = `${topic} ${partition}`;
  const [first] = records;
  if (first === undefined || !one.schemaWait.holds(unknown, clock.now())) {
    waits.end('schema', place);
    return false;
  }
  waits.note(
    'schema',
    place,
    () => `${topic} partition ${partition} waits for schema ${unknown.join(', ')}.`,
  );
  one.more = true;
  await consumer.seek(one, first.offset);
  return true;
}
