import { decodeRecords, type Unreadable } from './decode-batch.ts';
import type { FetchedPartition } from './fetch.ts';
import type { KafkaRecord, TopicPartition } from './port.ts';

/** An assigned partition, and its records that have been fetched and not handed out. */
export interface PartitionBuffer extends TopicPartition {
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

export function bufferPartition(place: TopicPartition, offset: number): PartitionBuffer {
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
export function seekPartition(buffer: PartitionBuffer, offset: number): void {
  buffer.epoch++;
  buffer.next = offset;
  buffer.records = [];
  buffer.head = 0;
  buffer.bytes = 0;
  buffer.end = null;
  buffer.cutAt = null;
}

/** Buffers what one partition brought; answers whether a poll would tell anything new. */
export function acceptFetched(
  buffer: PartitionBuffer,
  answer: FetchedPartition,
  unreadable: Unreadable = 'fail',
): boolean {
  const { topic, partition } = buffer;
  const { records, next, bytes } = decodeRecords(
    topic,
    partition,
    answer.recordSet,
    buffer.next,
    answer.aborted,
    unreadable,
  );
  const news = records.length > 0 || buffer.end === null || (next >= answer.end && buffer.end !== answer.end);
  buffer.next = next;
  buffer.end = answer.end;
  if (records.length > 0) {
    // Without those handed out: a buffer that never runs empty would keep them all.
    buffer.records =
      buffer.head === buffer.records.length ? records : buffer.records.slice(buffer.head).concat(records);
    buffer.head = 0;
    buffer.bytes += bytes;
  }
  return news;
}

/** Takes the first `count` of the buffered records. */
export function takeRecords(buffer: PartitionBuffer, count: number): KafkaRecord[] {
  const { records, head } = buffer;
  if (head === 0 && count === records.length) {
    buffer.records = [];
    buffer.bytes = 0;
    return records;
  }
  const part = records.slice(head, head + count);
  buffer.bytes -= Math.floor((buffer.bytes * count) / (records.length - head));
  buffer.head += count;
  if (buffer.head === records.length) {
    buffer.records = [];
    buffer.head = 0;
    buffer.bytes = 0;
  }
  return part;
}
