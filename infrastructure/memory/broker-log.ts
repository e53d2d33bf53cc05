import { Buffer } from 'node:buffer';
import type { Clock } from '../../schemas/clock.ts';
import { KafkaError } from '../kafka/errors.ts';
import type { KafkaRecord, OutgoingRecord, Position, TopicSpec } from '../kafka/port.ts';

/** One partition: records by offset, from `start` on. */
export class PartitionLog {
  readonly topic: string;
  readonly partition: number;
  start = 0;
  readonly #records: KafkaRecord[] = [];

  constructor(topic: string, partition: number) {
    this.topic = topic;
    this.partition = partition;
  }

  get end(): number {
    return this.start + this.#records.length;
  }

  append(record: OutgoingRecord, appendTime: number): void {
    const headers = Object.entries(record.headers ?? {}).map(([name, value]) => [name, Buffer.from(value)]);
    this.#records.push({
      topic: this.topic,
      partition: this.partition,
      offset: this.end,
      key: record.key,
      value: record.value,
      headers: headers.length === 0 ? null : Object.fromEntries(headers),
      appendTime,
    });
  }

  slice(from: number, count: number): KafkaRecord[] {
    return this.#records.slice(from - this.start, from - this.start + count);
  }

  /** Deletes what is before `offset`; past the end, everything, as DeleteRecords and retention do. */
  truncate(offset: number): void {
    const count = Math.min(offset, this.end) - this.start;
    if (count <= 0) return;
    this.#records.splice(0, count);
    this.start += count;
  }

  resolve(position: Position): number {
    return position === 'earliest' ? this.start : position === 'latest' ? this.end : position;
  }

  holds(position: number): boolean {
    return position >= this.start && position <= this.end;
  }
}

/** All topics of the broker, and who waits for records. Retention and compaction are left out. */
export class Logs {
  readonly clock: Clock;
  readonly #topics = new Map<string, readonly PartitionLog[]>();
  #waiting: Array<() => void> = [];

  constructor(clock: Clock) {
    this.clock = clock;
  }

  topics(): Array<{ name: string; partitions: number }> {
    return [...this.#topics].map(([name, partitions]) => ({ name, partitions: partitions.length }));
  }

  create(spec: TopicSpec): boolean {
    if (this.#topics.has(spec.name)) return false;
    this.#topics.set(
      spec.name,
      Array.from({ length: spec.partitions }, (_, partition) => new PartitionLog(spec.name, partition)),
    );
    return true;
  }

  remove(name: string): void {
    this.#topics.delete(name);
  }

  topic(name: string): readonly PartitionLog[] {
    const partitions = this.#topics.get(name);
    if (partitions === undefined) {
      throw new KafkaError(
        'unknown_topic',
        `the topic ${name} is not there; 'millrace apply' creates topics`,
        {
          retriable: false,
        },
      );
    }
    return partitions;
  }

  partition(topic: string, partition: number): PartitionLog {
    const log = this.topic(topic)[partition];
    if (log === undefined) {
      throw new KafkaError('unknown_topic', `the topic ${topic} has no partition ${partition}`, {
        retriable: false,
      });
    }
    return log;
  }

  append(records: readonly OutgoingRecord[]): void {
    const appendTime = this.clock.now();
    const logs = records.map((record) => this.partition(record.topic, record.partition));
    for (const [i, record] of records.entries()) logs[i]?.append(record, appendTime);
    this.wake();
  }

  /** Wakes everybody who waits: something has been appended, cut or assigned anew. */
  wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const go of waiting) go();
  }

  /** Until the next wake, but no longer than to `deadline`, epoch ms. */
  async wait(deadline: number): Promise<void> {
    let go: () => void = () => {};
    const woken = new Promise<void>((resolve) => {
      go = resolve;
    });
    this.#waiting.push(go);
    await Promise.race([woken, this.clock.sleep(Math.max(0, deadline - this.clock.now()))]);
    const at = this.#waiting.indexOf(go);
    if (at >= 0) this.#waiting.splice(at, 1);
  }
}
