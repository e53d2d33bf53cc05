import type { KafkaRecord } from '../../infrastructure/kafka/port.ts';
import type { DecodedRecord } from '../../processors/segment.ts';
import { cappedTime } from '../../schemas/event.ts';

/** Decoded raw records of one partition that have not been worked yet, in order. */
export class RecordQueue {
  #records: DecodedRecord<KafkaRecord>[] = [];
  #at = 0;
  #bytes = 0;

  get size(): number {
    return this.#records.length - this.#at;
  }

  /** Bytes of the raw values queued. */
  get bytes(): number {
    return this.#bytes;
  }

  add(records: readonly DecodedRecord<KafkaRecord>[]): void {
    for (const record of records) this.#bytes += bytesOf(record);
    if (this.size === 0) {
      this.#records = [...records];
      this.#at = 0;
    } else for (const record of records) this.#records.push(record);
  }

  /** The record `i` places behind the head. */
  at(i: number): DecodedRecord<KafkaRecord> | undefined {
    return this.#records[this.#at + i];
  }

  first(count: number): readonly DecodedRecord<KafkaRecord>[] {
    return this.#records.slice(this.#at, this.#at + count);
  }

  drop(count: number): void {
    const to = Math.min(this.#at + count, this.#records.length);
    for (; this.#at < to; this.#at += 1)
      this.#bytes -= bytesOf(this.#records[this.#at] as DecodedRecord<KafkaRecord>);
    // In backlog a queue is never empty: what was worked must go all the same, and with it the fetched bytes that it is a piece of.
    if (this.#at < this.#records.length && this.#at * 2 < this.#records.length) return;
    this.#records = this.#records.slice(this.#at);
    this.#at = 0;
  }

  clear(): void {
    this.drop(this.size);
  }
}

/** Bytes of raw values that one flush may take, one record at least. */
const MAX_FLUSH_BYTES = 8_388_608;

function bytesOf({ raw }: DecodedRecord<KafkaRecord>): number {
  return raw.value?.byteLength ?? 0;
}

/** Where a record stands in event time, epoch ms; one that is no event goes at once. */
export function timeOf(record: DecodedRecord<unknown>): number {
  return record.event === null ? Number.NEGATIVE_INFINITY : cappedTime(record.event.time, record.arrivedAt);
}

/** A queue, and the event time above which its records must wait. */
export interface Limited<Of> {
  readonly of: Of;
  readonly queue: RecordQueue;
  readonly limit: number;
}

/**
 * How many records of each queue go next: up to `most` in all, the least event time first, in order within a queue,
 * none above its queue's limit.
 */
export function chooseRecords<Of>(queues: ReadonlyArray<Limited<Of>>, most: number): Map<Of, number> {
  const counts = queues.map(() => 0);
  const nextTime = (i: number): number => {
    const one = queues[i];
    const record = one?.queue.at(counts[i] ?? 0);
    if (one === undefined || record === undefined) return Number.POSITIVE_INFINITY;
    const time = timeOf(record);
    return time <= one.limit ? time : Number.POSITIVE_INFINITY;
  };
  const times = queues.map((_, i) => nextTime(i));
  let bytes = 0;
  for (let taken = 0; taken < most && bytes < MAX_FLUSH_BYTES; taken += 1) {
    let first = 0;
    for (let i = 1; i < times.length; i += 1)
      if ((times[i] ?? Number.POSITIVE_INFINITY) < (times[first] ?? Number.POSITIVE_INFINITY)) first = i;
    if ((times[first] ?? Number.POSITIVE_INFINITY) === Number.POSITIVE_INFINITY) break;
    const next = queues[first]?.queue.at(counts[first] ?? 0);
    bytes += next === undefined ? 0 : bytesOf(next);
    counts[first] = (counts[first] ?? 0) + 1;
    times[first] = nextTime(first);
  }
  const chosen = new Map<Of, number>();
  for (const [i, { of }] of queues.entries()) if ((counts[i] ?? 0) > 0) chosen.set(of, counts[i] ?? 0);
  return chosen;
}
