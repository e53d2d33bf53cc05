import type { Kafka, KafkaRecord } from '../../infrastructure/kafka/port.ts';
import type { ValidatedEvent } from '../../schemas/event.ts';
import { headers } from '../../schemas/names.ts';
import { textOf } from '../runtime/clock-record.ts';
import type { Codec } from '../runtime/codecs.ts';

/** So few records are read rather than halved once more. */
const READ_AT_MOST = 2_000;
const POLL_MS = 100;

/** Source offset that a record of a validated topic came from; -1 where it does not say. */
export function sourceOffsetOf(
  record: Pick<KafkaRecord, 'headers' | 'value'>,
  codec: Codec<ValidatedEvent>,
): number {
  if (record.value !== null) return codec.read(record.value)?.offset ?? -1;
  return Number(textOf(record, headers.sourceOffset) ?? -1);
}

/**
 * An offset of a validated partition from which on everything is that came from beyond `sourceOffset`. Ingest may have gone back: then
 * it sent all again from there, so whatever record stands in the middle, all that came from beyond it follows it.
 */
export async function positionAfter(
  kafka: Kafka,
  codec: Codec<ValidatedEvent>,
  place: { readonly topic: string; readonly partition: number; readonly start: number; readonly end: number },
  sourceOffset: number,
): Promise<number> {
  let { start, end } = place;
  while (end - start > READ_AT_MOST) {
    const middle = Math.floor((start + end) / 2);
    const record = await firstFrom(kafka, place, middle);
    if (record === null || record.offset >= end || sourceOffsetOf(record, codec) > sourceOffset) end = middle;
    else start = record.offset;
  }
  return start;
}

async function firstFrom(
  kafka: Kafka,
  { topic, partition, end }: { readonly topic: string; readonly partition: number; readonly end: number },
  position: number,
): Promise<KafkaRecord | null> {
  const reader = await kafka.reader([{ topic, partition, position }]);
  try {
    for (;;) {
      for (const { records } of await reader.poll(POLL_MS)) if (records[0] !== undefined) return records[0];
      if ((reader.position({ topic, partition }) ?? -1) >= end) return null;
    }
  } finally {
    await reader.close();
  }
}
