import { Buffer } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { KafkaError } from '../../../infrastructure/kafka/errors.ts';
import type {
  Admin,
  Consumer,
  ConsumerOptions,
  Kafka,
  KafkaRecord,
  OutgoingRecord,
} from '../../../infrastructure/kafka/port.ts';
import { consumerConformance } from './conformance-consumer.ts';
import { endConformance } from './conformance-ends.ts';
import { sizeConformance } from './conformance-sizes.ts';
import { timestampConformance } from './conformance-timestamps.ts';
import { type Bench, type Foreign, readAll, record, text } from './harness.ts';

/**
 * What every driver of the Kafka port must do. `connect` gives a fresh connection to the same broker each time, `foreign` does
 * what the port has no words for.
 */
export function kafkaConformance(name: string, connect: () => Promise<Kafka>, foreign: Foreign): void {
  describe(`Kafka: ${name}`, () => {
    let kafka: Kafka;
    let admin: Admin;
    const undo: Array<() => Promise<unknown>> = [];

    beforeAll(async () => {
      kafka = await connect();
      admin = await kafka.admin();
      return async () => {
        await kafka.close();
      };
    });

    afterEach(async () => {
      for (const step of undo.splice(0).reverse()) await step();
    });

    const bench: Bench = {
      get kafka() {
        return kafka;
      },
      get admin() {
        return admin;
      },
      undo,
      topic,
      send,
      consumer,
      transaction: () => foreign.transaction(),
    };

    async function topic(partitions = 1): Promise<string> {
      const name = `test-${randomUUID()}`;
      await admin.createTopics([{ name, partitions, retentionMs: -1, compacted: false }]);
      undo.push(() => admin.deleteTopics([name]));
      return name;
    }

    async function send(topic: string, records: ReadonlyArray<readonly [partition: number, value: string]>) {
      const producer = await kafka.producer();
      await producer.send(records.map(([partition, value]) => record(topic, partition, value)));
      await producer.close();
    }

    async function consumer(
      options: Partial<ConsumerOptions> & { topics: readonly string[] },
    ): Promise<Consumer> {
      const consumer = await kafka.consumer({
        group: `test-${randomUUID()}`,
        maxPollRecords: 1_000,
        onAssigned: async (assigned) => assigned.map(() => 'earliest'),
        ...options,
      });
      undo.push(() => consumer.close());
      return consumer;
    }

    it('creates what is missing, and tells names, partitions and offsets', async () => {
      const name = await topic(3);
      const again = { name, partitions: 5, retentionMs: -1, compacted: true };
      expect(await admin.createTopics([again])).toEqual([]);
      expect(await admin.topics()).toContainEqual({ name, partitions: 3 });
      await send(name, [
        [1, 'a'],
        [1, 'b'],
      ]);
      expect(await admin.offsets(name)).toEqual([
        { start: 0, end: 0 },
        { start: 0, end: 2 },
        { start: 0, end: 0 },
      ]);
      await admin.deleteRecords(name, [{ partition: 1, offset: 1 }]);
      expect((await admin.offsets(name))[1]).toEqual({ start: 1, end: 2 });
      await admin.deleteTopics([name, `missing-${randomUUID()}`]);
      expect((await admin.topics()).map((topic) => topic.name)).not.toContain(name);
    });

    it('carries keys, values, nulls and headers as they are, stamped by the broker', async () => {
      const name = await topic(1);
      const producer = await kafka.producer();
      const bytes = Buffer.from([0, 255, 128, 10]);
      await producer.send([
        {
          topic: name,
          partition: 0,
          key: Buffer.from('k'),
          value: bytes,
          headers: { 'mr-a': 'ä€', b: '', c: bytes },
        },
        { topic: name, partition: 0, key: null, value: null },
        { topic: name, partition: 0, key: Buffer.alloc(0), value: Buffer.alloc(0) },
      ]);
      await producer.close();
      const [first, second, third] = await readAll(kafka, name, 3);
      expect(text(first?.key)).toBe('k');
      expect([...(first?.value ?? [])]).toEqual([...bytes]);
      expect(text(first?.headers?.['mr-a'])).toBe('ä€');
      expect(text(first?.headers?.b)).toBe('');
      expect(Buffer.from(first?.headers?.c ?? [])).toEqual(Buffer.from(bytes));
      expect([second?.key, second?.value]).toEqual([null, null]);
      expect([third?.key?.length, third?.value?.length]).toEqual([0, 0]);
      expect([first?.offset, second?.offset, third?.offset]).toEqual([0, 1, 2]);
      expect(first?.appendTime).toBeTypeOf('number');
      expect(third?.appendTime).toBeGreaterThanOrEqual(first?.appendTime ?? Number.POSITIVE_INFINITY);
    });

    it('a send answers with the time that the broker appended it, and with null where nothing was sent', async () => {
      const name = await topic(2);
      const producer = await kafka.producer();
      expect(await producer.send([])).toBeNull();
      const told = await producer.send([record(name, 0, 'a'), record(name, 0, 'b'), record(name, 1, 'c')]);
      await producer.close();
      const times = (await readAll(kafka, name, 3, 2)).map(({ appendTime }) => appendTime);
      expect(told).toBe(Math.min(...times));
      expect(Math.abs((told ?? 0) - Date.now())).toBeLessThan(60_000);
    });

    it('a placed send answers with the offset of each record, in the order in which they were given', async () => {
      const name = await topic(2);
      const producer = await kafka.producer();
      await producer.send([record(name, 1, 'before')]);
      const large = 'x'.repeat(400_000);
      const values = [
        [0, 'a'],
        [1, 'b'],
        [0, large],
        [0, large],
        [0, large],
        [1, 'c'],
      ] as const;
      const offsets = await producer.place(
        values.map(([partition, value]) => record(name, partition, value)),
      );
      expect(await producer.place([])).toEqual([]);
      await producer.close();
      expect(offsets).toEqual([0, 1, 1, 2, 3, 2]);
      const read = await readAll(kafka, name, 7, 2);
      for (const [i, [partition, value]] of values.entries())
        expect(
          Buffer.from(
            read.find((one) => one.partition === partition && one.offset === offsets[i])?.value ?? [],
          ).toString(),
        ).toBe(value);
    });

    it('keeps order within each partition over many large sends, one not waiting for the other', async () => {
      const name = await topic(3);
      const producer = await kafka.producer();
      const sends: Array<Promise<unknown>> = [];
      for (let i = 0; i < 20; i++) {
        const batch: OutgoingRecord[] = [];
        for (let k = 0; k < 300; k++) batch.push(record(name, k % 3, `${i * 300 + k}`, 'x'.repeat(200)));
        sends.push(producer.send(batch));
      }
      await Promise.all(sends);
      await producer.close();
      const records = await readAll(kafka, name, 6_000, 3);
      for (let partition = 0; partition < 3; partition++) {
        const values = records.filter((r) => r.partition === partition).map((r) => Number(text(r.value)));
        expect(values).toEqual(Array.from({ length: 2_000 }, (_, i) => i * 3 + partition));
      }
    });

    it('sends and reads a partition of several megabytes at once', async () => {
      const name = await topic(1);
      const producer = await kafka.producer();
      await producer.send(Array.from({ length: 50 }, (_, i) => record(name, 0, 'v'.repeat(100_000), `${i}`)));
      await producer.close();
      const records = await readAll(kafka, name, 50);
      expect(records.map((r) => text(r.key))).toEqual(Array.from({ length: 50 }, (_, i) => `${i}`));
      expect(records.every((r) => r.value?.length === 100_000)).toBe(true);
    });

    it('a producer is dead after a failed send', async () => {
      const name = await topic(1);
      const producer = await kafka.producer();
      undo.push(() => producer.close());
      const missing = `missing-${randomUUID()}`;
      await expect(producer.send([record(missing, 0, 'x')])).rejects.toMatchObject({
        name: 'KafkaError',
        code: 'unknown_topic',
        retriable: false,
        message: expect.stringContaining(missing),
      });
      await expect(producer.send([record(name, 0, 'x')])).rejects.toMatchObject({
        code: 'producer_dead',
        retriable: true,
      });
      expect((await admin.offsets(name))[0]?.end).toBe(0);
    });

    it('a consumer of a topic that is not there is told so', async () => {
      const missing = `missing-${randomUUID()}`;
      await expect(consumer({ topics: [missing] })).rejects.toMatchObject({
        name: 'KafkaError',
        code: 'unknown_topic',
        message: expect.stringContaining(missing),
      });
    });

    consumerConformance(bench);
    endConformance(bench);
    timestampConformance(bench, foreign);
    sizeConformance(bench);

    describe('a reader', () => {
      it('reads from where it is told to, without a group', async () => {
        const name = await topic(3);
        await send(name, [
          [0, 'a'],
          [0, 'b'],
          [1, 'c'],
          [2, 'd'],
        ]);
        const groups = (await admin.groups()).length;
        const began = performance.now();
        const reader = await kafka.reader([
          { topic: name, partition: 0, position: 1 },
          { topic: name, partition: 1, position: 'earliest' },
          { topic: name, partition: 2, position: 'latest' },
        ]);
        undo.push(() => reader.close());
        const records: KafkaRecord[] = [];
        while (records.length < 2) {
          for (const batch of await reader.poll(1_000)) {
            expect(batch.highWatermark).toBe(batch.partition === 0 ? 2 : 1);
            records.push(...batch.records);
          }
        }
        expect(performance.now() - began).toBeLessThan(1_500);
        expect(records.map((r) => text(r.value)).sort()).toEqual(['b', 'c']);
        await send(name, [[2, 'e']]);
        const [batch] = await reader.poll(2_000);
        expect(batch?.records.map((r) => text(r.value))).toEqual(['e']);
        expect((await admin.groups()).length).toBe(groups);
      });

      it('is told when its position has been deleted', async () => {
        const name = await topic(1);
        await send(name, [
          [0, 'a'],
          [0, 'b'],
        ]);
        await admin.deleteRecords(name, [{ partition: 0, offset: 1 }]);
        const reader = await kafka.reader([{ topic: name, partition: 0, position: 0 }]);
        undo.push(() => reader.close());
        await expect(reader.poll(3_000)).rejects.toMatchObject({
          code: 'position_deleted',
          retriable: false,
        });
      });
    });

    it('close ends everything that the connection made', async () => {
      const name = await topic(1);
      const own = await connect();
      const producer = await own.producer();
      const reader = await own.reader([{ topic: name, partition: 0, position: 'earliest' }]);
      await own.close();
      await expect(producer.send([record(name, 0, 'x')])).rejects.toBeInstanceOf(KafkaError);
      await expect(reader.poll(10)).rejects.toBeInstanceOf(KafkaError);
      await expect(own.producer()).rejects.toMatchObject({ code: 'closed' });
    });
  });
}
