import type { KafkaRecord } from '../../infrastructure/kafka/port.ts';
import { headers } from '../../schemas/names.ts';
import { textOf } from './clock-record.ts';

/** What a raw record says that is a dead letter's, sent again. */
export interface Again {
  /** Place of the letter's record in the raw topic. */
  readonly partition: number;
  readonly offset: number;
  /** How often its event has been sent again, this time among them. */
  readonly tries: number;
  /** When the broker appended the event's very first record, epoch ms: what a mapping reads as `$timestamp`. */
  readonly appendTime: number;
}

export function againText({ partition, offset, tries, appendTime }: Again): string {
  return [partition, offset, tries, appendTime].join(':');
}

/** Null where the record is no letter's, or says so in a form that is not ours. */
export function readAgain(record: Pick<KafkaRecord, 'headers'>): Again | null {
  const numbers = (textOf(record, headers.letter) ?? '').split(':').map(Number);
  const [partition, offset, tries, appendTime] = numbers;
  if (numbers.length !== 4 || !numbers.every((one) => Number.isSafeInteger(one) && one >= 0)) return null;
  return {
    partition: partition ?? 0,
    offset: offset ?? 0,
    tries: tries ?? 0,
    appendTime: appendTime ?? 0,
  };
}
