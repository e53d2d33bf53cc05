import type { FetchedPartition } from './fetch.ts';
import type { KafkaRecord, TopicPartition } from './port.ts';
import { decodeRecords } from './record-batch.ts';

/** A partition that is held, and its records that have been fetched and not handed out. */
export interface Held extends TopicPartition {
  readonly key: string;
  /** Offset to fetch next. */
  next: number;
  /** Counts seeks: what was asked for before one is thrown away. */
  epoch: number;
  records: KafkaRecord[];
  /** Place of the first record not yet handed out. */
  head: number;
  bytes: number;
  /** End of the partition as of the newest fetch from `next` or before; null until there was one. */
  end: number | null;
  paused: boolean;
  /** Set where the log does not hold `next`: where it begins. */
  cutAt: number | null;
}

export const keyOf = (at: TopicPartition) => `${at.topic}:${at.partition}`;
export const placeOf = ({ topic, partition }: TopicPartition): TopicPartition => ({ topic, partition });

export function holdPartition(place: TopicPartition, offset: number): Held {
  return {
    ...placeOf(place),
    key: keyOf(place),
    next: offset,
    epoch: 0,
    records: [],
    head: 0,
    bytes: 0,
    end: null,
    paused: false,
    cutAt: null,
  };
}

/** Goes on from `offset`; nothing of what was there or is under way counts any more. */
export function seekPartition(held: Held, offset: number): void {
  held.epoch++;
  held.next = offset;
  held.records = [];
  held.head = 0;
  held.bytes = 0;
  held.end = null;
  held.cutAt = null;
}

/** Buffers what one partition brought; answers whether a poll would tell anything new. */
export function acceptFetched(held: Held, answer: FetchedPartition): boolean {
  const { topic, partition } = held;
  const { records, next } = decodeRecords(topic, partition, answer.recordSet, held.next, answer.aborted);
  const news = records.length > 0 || held.end === null || (next >= answer.end && held.end !== answer.end);
  held.next = next;
  held.end = answer.end;
  if (records.length > 0) {
    if (held.head === held.records.length) {
      held.records = records;
      held.head = 0;
    } else {
      held.records = held.records.concat(records);
    }
    held.bytes += answer.recordSet.length;
  }
  return news;
}

/** Takes the first `count` of the buffered records. */
export function takeRecords(held: Held, count: number): KafkaRecord[] {
  const { records, head } = held;
  if (head === 0 && count === records.length) {
    held.records = [];
    held.bytes = 0;
    return records;
  }
  const part = records.slice(head, head + count);
  held.bytes -= Math.floor((held.bytes * count) / (records.length - head));
  held.head += count;
  if (held.head === records.length) {
    held.records = [];
    held.head = 0;
    held.bytes = 0;
  }
  return part;
}
