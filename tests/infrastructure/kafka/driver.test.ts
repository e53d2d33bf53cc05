import { randomUUID } from 'node:crypto';
import { Kafka, logLevel } from 'kafkajs';
import { expect, it } from 'vitest';
import { createKafka } from '../../../infrastructure/kafka/driver.ts';
import { testStack } from '../../stack.ts';
import { kafkaConformance } from './conformance.ts';
import { record, type TestTransaction } from './harness.ts';

kafkaConformance('kafkajs', connect, transaction);

it('a send to a topic that keeps the times of its producers answers with null: the broker stamped nothing', async () => {
  const topic = `test-${randomUUID()}`;
  const admin = (await foreign()).admin();
  await admin.connect();
  const configEntries = [{ name: 'message.timestamp.type', value: 'CreateTime' }];
  await admin.createTopics({ topics: [{ topic, numPartitions: 1, configEntries }], waitForLeaders: true });
  const kafka = await connect();
  try {
    const producer = await kafka.producer();
    expect(await producer.send([record(topic, 0, 'a')])).toBeNull();
  } finally {
    await kafka.close();
    await admin.deleteTopics({ topics: [topic] });
    await admin.disconnect();
  }
});

async function connect() {
  const { kafka } = await testStack(['kafka']);
  return createKafka({ kafka: { brokers: kafka, tls: false, sasl: null } }, { clientId: 'conformance' });
}

/** Another client of the same broker: our driver writes no transactions. */
async function foreign(): Promise<Kafka> {
  const { kafka } = await testStack(['kafka']);
  return new Kafka({ brokers: [...kafka], logLevel: logLevel.NOTHING });
}

async function transaction(): Promise<TestTransaction> {
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
