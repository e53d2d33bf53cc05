import { randomUUID } from 'node:crypto';
import { CompressionTypes, ConfigResourceTypes } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createKafka } from '../../../infrastructure/kafka/driver.ts';
import type { Kafka } from '../../../infrastructure/kafka/port.ts';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../../infrastructure/memory/warehouse.ts';
import { foreign } from '../../infrastructure/kafka/foreign.ts';
import { readAll, record, text } from '../../infrastructure/kafka/harness.ts';
import { testStack } from '../../stack.ts';
import { payment, runPayments } from './payments.ts';
import { cutBelow, madeAgainWhileStopped, partitionAdded, restoredWhileRunning } from './raw-topics.ts';

describe('raw topics and sizes on a server', () => {
  let kafka: Kafka;
  let warehouse: MemoryWarehouse;
  beforeAll(async () => {
    const { kafka: brokers } = await testStack(['kafka']);
    warehouse = await createMemoryWarehouse();
    kafka = createKafka({ kafka: { brokers, tls: false, sasl: null } }, { clientId: 'raw-topics' });
  });
  afterAll(async () => {
    await warehouse.close();
    await kafka.close();
  });

  it(
    'a topic deleted and made again while nobody reads it',
    () => madeAgainWhileStopped(kafka, warehouse),
    60_000,
  );
  it('a topic deleted and restored while it is read', () => restoredWhileRunning(kafka), 60_000);
  it('a topic cut in front of ingest', () => cutBelow(kafka), 60_000);
  it('a partition given to a topic while it is read', () => partitionAdded(kafka, warehouse), 60_000);

  it('batches that unpack to more than a topic takes, and a bomb, are dead letters; the next record arrives', async () => {
    const running = await runPayments(kafka);
    const producer = (await foreign()).producer();
    await producer.connect();
    for (const value of ['x'.repeat(5_000_000), 'y'.repeat(80_000_000), payment('packed')])
      await producer.send({
        topic: running.raw,
        compression: CompressionTypes.GZIP,
        messages: [{ partition: 0, key: 'c1', value }],
      });
    await producer.disconnect();
    await running.send('z'.repeat(1_048_400), payment('next'));
    const { accepted, refused } = await running.worked(5);
    expect(accepted.map(({ event }) => event.id)).toEqual(['packed', 'next']);
    expect(refused.map(({ code, valueBytes }) => [code, (valueBytes ?? 0) > 50_000])).toEqual([
      ['bad_json', true],
      ['unreadable_batch', true],
      ['bad_json', true],
    ]);
    expect([refused[0]?.valueBytes, refused[2]?.valueBytes]).toEqual([5_000_000, 1_048_400]);
    await running.stop();
  });

  it('a send is cut until a topic with a small limit takes it, in order and once', async () => {
    const admin = await kafka.admin();
    const name = `test-${randomUUID()}`;
    await admin.createTopics([{ name, partitions: 2, retentionMs: -1, compacted: false }]);
    const theirs = (await foreign()).admin();
    await theirs.connect();
    await theirs.alterConfigs({
      validateOnly: false,
      resources: [
        {
          type: ConfigResourceTypes.TOPIC,
          name,
          configEntries: [{ name: 'max.message.bytes', value: '5000' }],
        },
      ],
    });
    await theirs.disconnect();
    expect(await admin.recordLimits([name])).toEqual([5_000]);
    const producer = await kafka.producer();
    await producer.send(Array.from({ length: 400 }, (_, i) => record(name, i % 2, 'v'.repeat(500), `${i}`)));
    await producer.send([record(name, 0, 'after', 'after')]);
    const records = await readAll(kafka, name, 401, 2);
    const keysOf = (partition: number) =>
      records.filter((one) => one.partition === partition).map(({ key }) => text(key));
    expect(keysOf(0)).toEqual([...Array.from({ length: 200 }, (_, i) => `${i * 2}`), 'after']);
    expect(keysOf(1)).toEqual(Array.from({ length: 200 }, (_, i) => `${i * 2 + 1}`));
    await expect(producer.send([record(name, 0, 'x'.repeat(6_000))])).rejects.toMatchObject({
      code: 'record_too_large',
    });
    await producer.close();
    await admin.deleteTopics([name]);
    await admin.close();
  });
});
