import { Buffer } from 'node:buffer';
import { expect } from 'vitest';
import type {
  Admin,
  Consumer,
  ConsumerOptions,
  Kafka,
  KafkaRecord,
  OutgoingRecord,
  Poll,
} from '../../../infrastructure/kafka/port.ts';

/** A transaction of a foreign producer. */
export interface TestTransaction {
  append(topic: string, records: ReadonlyArray<readonly [partition: number, value: string]>): Promise<void>;
  commit(): Promise<void>;
  abort(): Promise<void>;
}

/** Another client of the same broker, which does what our port cannot. */
export interface Foreign {
  transaction(): Promise<TestTransaction>;
  /** Makes a topic of one partition with Kafka's default for timestamps and a retention of 11 hours. */
  createTimeTopic(name: string): Promise<void>;
  /** Sends by a clock that says `producerTime`, epoch ms. */
  sendAt(topic: string, value: string, producerTime: number): Promise<void>;
}

/** What the conformance suites of one driver share. */
export interface Bench {
  readonly kafka: Kafka;
  readonly admin: Admin;
  /** Done after each test, the last first. */
  readonly undo: Array<() => Promise<unknown>>;
  /** A topic of its own, by its name. */
  topic(partitions?: number): Promise<string>;
  send(topic: string, records: ReadonlyArray<readonly [partition: number, value: string]>): Promise<void>;
  transaction(): Promise<TestTransaction>;
  /** A member of a group of its own, from the start, where the options do not say otherwise. */
  consumer(options: Partial<ConsumerOptions> & { topics: readonly string[] }): Promise<Consumer>;
}

export function record(topic: string, partition: number, value: string, key = 'k'): OutgoingRecord {
  return { topic, partition, key: Buffer.from(key), value: Buffer.from(value) };
}

export function text(bytes: Uint8Array | null | undefined): string {
  return Buffer.from(bytes ?? []).toString();
}

export function recordsOf(poll: Poll): readonly KafkaRecord[] {
  return poll.batches.flatMap((batch) => batch.records);
}

/** Polls until `count` records have come, or, for 0, until every partition is at its end. */
export async function drain(
  consumer: Consumer,
  count: number,
): Promise<{ records: KafkaRecord[]; polls: Poll[] }> {
  const records: KafkaRecord[] = [];
  const polls: Poll[] = [];
  for (let tries = 0; tries < 100; tries++) {
    const poll = await consumer.poll(200);
    polls.push(poll);
    records.push(...recordsOf(poll));
    const held = consumer.assignment().length;
    if (count > 0 ? records.length >= count : held > 0 && poll.atEnd.length === held)
      return { records, polls };
  }
  throw new Error(`only ${records.length} of ${count} records came`);
}

/** Polls until something holds; answers the last poll and all records on the way. */
export async function until(
  consumer: Consumer,
  done: () => boolean,
): Promise<Poll & { records: KafkaRecord[] }> {
  const records: KafkaRecord[] = [];
  for (let tries = 0; tries < 200; tries++) {
    const poll = await consumer.poll(100);
    records.push(...recordsOf(poll));
    if (done()) return { ...poll, records };
  }
  throw new Error('it did not come to that');
}

/** After a member has left, commits of the assignment before are refused until the next poll. */
export async function sleepUntilRefused(consumer: Consumer, topic: string): Promise<void> {
  const { partition } = consumer.assignment()[0] ?? { partition: 0 };
  for (let tries = 0; tries < 100; tries++) {
    try {
      await consumer.commit([{ topic, partition, offset: 1 }]);
    } catch (error) {
      expect(error).toMatchObject({ name: 'KafkaError', code: 'stale_generation', retriable: true });
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('commits of the old generation were never refused');
}

export async function readAll(
  kafka: Kafka,
  topic: string,
  count: number,
  partitions = 1,
): Promise<KafkaRecord[]> {
  const reader = await kafka.reader(
    Array.from({ length: partitions }, (_, partition) => ({
      topic,
      partition,
      position: 'earliest' as const,
    })),
  );
  const records: KafkaRecord[] = [];
  while (records.length < count) {
    const batches = await reader.poll(5_000);
    expect(batches.length).toBeGreaterThan(0);
    for (const batch of batches) records.push(...batch.records);
  }
  await reader.close();
  return records;
}
