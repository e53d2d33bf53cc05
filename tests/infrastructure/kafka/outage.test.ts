import { Buffer } from 'node:buffer';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createKafka } from '../../../infrastructure/kafka/driver.ts';
import type { Consumer, Kafka } from '../../../infrastructure/kafka/port.ts';
import { down, up } from '../../../infrastructure/local/stack.ts';

const clientOf = (brokers: readonly string[]): Kafka =>
  createKafka({ kafka: { brokers, tls: false, sasl: null } }, { clientId: 'outage' });

describe('a broker that is down at start', () => {
  it.each([
    ['a producer', (kafka: Kafka) => kafka.producer()],
    ['an admin', (kafka: Kafka) => kafka.admin()],
    ['a reader', (kafka: Kafka) => kafka.reader([{ topic: 't', partition: 0, position: 0 }])],
    [
      'a consumer',
      (kafka: Kafka) =>
        kafka.consumer({ group: 'g', topics: ['t'], maxPollRecords: 1, onAssigned: async () => [] }),
    ],
  ])('%s says so in one sentence, soon, and may be tried again', async (_, open) => {
    const began = performance.now();
    await expect(open(clientOf(['127.0.0.1:9']))).rejects.toMatchObject({
      name: 'KafkaError',
      code: 'unreachable',
      retriable: true,
      message: expect.stringMatching(/cannot work with Kafka at 127\.0\.0\.1:9.*: .*is the broker running/),
    });
    expect(performance.now() - began).toBeLessThan(3_000);
  });
});

/** Polls until `count` values are there, `during` the whole of an outage if need be. */
async function collect(consumer: Consumer, seen: string[], count: number): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (seen.length < count) {
    if (Date.now() > deadline) throw new Error(`only ${seen.length} of ${count} came`);
    for (const { records } of (await consumer.poll(200)).batches) {
      for (const { value } of records) seen.push(Buffer.from(value ?? []).toString());
    }
  }
}

function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe('a broker that is killed and comes back', () => {
  it('loses nothing and doubles nothing, for clients that just go on', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'millrace-outage-'));
    const start = () => up({ dataDir, mode: 'native', services: ['kafka'] });
    const kill = async () => {
      const state = JSON.parse(await readFile(join(dataDir, 'addresses.json'), 'utf8'));
      const { pid } = state.services.kafka;
      process.kill(pid, 'SIGKILL');
      while (runs(pid)) await sleep(20);
    };
    const kafka = clientOf((await start()).kafka);
    try {
      const admin = await kafka.admin();
      await admin.createTopics([{ name: 'out', partitions: 2, retentionMs: -1, compacted: false }]);
      const producer = await kafka.producer();
      const options = {
        topics: ['out'],
        maxPollRecords: 100,
        onAssigned: async (assigned: readonly unknown[]) => assigned.map(() => 'earliest' as const),
      };
      const consumer = await kafka.consumer({ ...options, group: 'first' });
      const send = (values: readonly string[]) =>
        producer.send(
          values.map((value, i) => ({
            topic: 'out',
            partition: i % 2,
            key: null,
            value: Buffer.from(value),
          })),
        );
      const seen: string[] = [];
      await send(['a', 'b']);
      await collect(consumer, seen, 2);

      // Killed while a send is under way and a second member is joining.
      const sending = Promise.all([send(['c', 'd']), send(['e', 'f'])]);
      const joining = await kafka.consumer({ ...options, group: 'second' });
      sending.catch(() => {}); // Told below, when it is awaited.
      await kill();
      const polling = joining.poll(1_000);
      expect((await consumer.poll(1_000)).batches.length).toBeLessThanOrEqual(2);
      await start();
      await sending;
      await send(['g', 'h']);

      // Both ends of the outage: what a member has seen is in its own buffer, so read the log itself.
      const reader = await kafka.reader(
        [0, 1].map((partition) => ({ topic: 'out', partition, position: 0 })),
      );
      const stored: string[] = [];
      while (stored.length < 8) {
        for (const { records } of await reader.poll(5_000)) {
          for (const { value } of records) stored.push(Buffer.from(value ?? []).toString());
        }
      }
      expect(stored.sort()).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']);

      const others: string[] = [];
      for (const { records } of (await polling).batches) {
        for (const { value } of records) others.push(Buffer.from(value ?? []).toString());
      }
      await collect(joining, others, 8);
      expect(others.sort()).toEqual(stored);
    } finally {
      await kafka.close();
      await down({ dataDir });
      await rm(dataDir, { recursive: true, force: true });
    }
  });
});
