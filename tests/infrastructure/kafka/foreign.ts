import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Kafka, logLevel, Partitioners } from 'kafkajs';
import { HOUR } from '../../../schemas/time.ts';
import { testStack } from '../../stack.ts';
import type { TestTransaction } from './harness.ts';

/** Another client of the tests' broker, as teams use one: our driver writes no transactions and no times of its own. */
export async function foreign(): Promise<Kafka> {
  const { kafka } = await testStack(['kafka']);
  return new Kafka({ brokers: [...kafka], logLevel: logLevel.NOTHING });
}

/** A topic with Kafka's default for timestamps and a retention of 11 hours. */
export async function createTimeTopic(topic: string, partitions = 1): Promise<void> {
  const admin = (await foreign()).admin();
  await admin.connect();
  const configEntries = [
    { name: 'message.timestamp.type', value: 'CreateTime' },
    { name: 'retention.ms', value: String(11 * HOUR) },
  ];
  await admin.createTopics({
    topics: [{ topic, numPartitions: partitions, configEntries }],
    waitForLeaders: false,
  });
  // kafkajs' own wait for leaders fails where the broker that it asks does not know the topic yet.
  for (let led = false, tries = 0; !led && tries < 100; tries++) {
    await sleep(50);
    led = await admin.fetchTopicMetadata({ topics: [topic] }).then(
      ({ topics: [made] }) => made?.partitions.every(({ leader }) => leader >= 0) ?? false,
      () => false,
    );
  }
  await admin.disconnect();
}

/** Sends to partition 0 by a clock that says `producerTime`, epoch ms. */
export async function sendAt(topic: string, value: string | Uint8Array, producerTime: number): Promise<void> {
  const producer = (await foreign()).producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  await producer.send({
    topic,
    messages: [{ partition: 0, key: 'k', value: Buffer.from(value), timestamp: String(producerTime) }],
  });
  await producer.disconnect();
}

export async function transaction(): Promise<TestTransaction> {
  const producer = (await foreign()).producer({
    transactionalId: `test-${randomUUID()}`,
    idempotent: true,
    maxInFlightRequests: 1,
  });
  await producer.connect();
  const open = await producer.transaction();
  return {
    async append(topic, records) {
      const messages = records.map(([partition, value]) => ({ partition, key: 'k', value }));
      await open.send({ topic, messages });
    },
    async commit() {
      await open.commit();
      await producer.disconnect();
    },
    async abort() {
      await open.abort();
      await producer.disconnect();
    },
  };
}
