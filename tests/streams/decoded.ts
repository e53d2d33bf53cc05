import type { KafkaRecord } from '../../infrastructure/kafka/port.ts';
import type { DecodedRecord } from '../../processors/segment.ts';
import type { EventRecord } from '../../schemas/event.ts';
import { tripStart } from './plane.ts';

/** A raw record of a trip's start, decoded. `time` null: a record that is no event. It was appended at its time, by default. */
export function decoded(
  offset: number,
  time: number | null,
  { appendTime = time ?? 0, arrivedAt = null }: { appendTime?: number; arrivedAt?: number | null } = {},
): DecodedRecord<KafkaRecord> {
  const raw = { topic: 'raw', partition: 0, offset, key: null, value: null, headers: null, appendTime };
  const rejected = { stage: 'decode', code: 'bad_clock', detail: 'no event' } as const;
  return {
    raw,
    offset,
    appendTime,
    arrivedAt,
    event: time === null ? null : tripStart(`e${offset}`, time),
    clock: null,
    rejected: time === null ? rejected : null,
  };
}

/** An event of any kind, decoded, appended at its time. */
export function decodedEvent(offset: number, event: EventRecord): DecodedRecord<KafkaRecord> {
  return { ...decoded(offset, event.time), event };
}
