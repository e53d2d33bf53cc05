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
  Poll,
  TopicPartition,
} from '../../../infrastructure/kafka/port.ts';

/** What every driver of the Kafka port must do. `connect` gives a fresh connection to the same broker each time. */
export function kafkaConformance(name: string, connect: () => Promise<Kafka>): void {
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
        { topic: name, partition: 0, key: Buffer.from('k'), value: bytes, headers: { 'mr-a': 'ä€', b: '' } },
        { topic: name, partition: 0, key: null, value: null },
        { topic: name, partition: 0, key: Buffer.alloc(0), value: Buffer.alloc(0) },
      ]);
      await producer.close();
      const [first, second, third] = await readAll(kafka, name, 3);
      expect(text(first?.key)).toBe('k');
      expect([...(first?.value ?? [])]).toEqual([...bytes]);
      expect(text(first?.headers?.['mr-a'])).toBe('ä€');
      expect(text(first?.headers?.b)).toBe('');
      expect([second?.key, second?.value]).toEqual([null, null]);
      expect([third?.key?.length, third?.value?.length]).toEqual([0, 0]);
      expect([first?.offset, second?.offset, third?.offset]).toEqual([0, 1, 2]);
      expect(first?.appendTime).toBeTypeOf('number');
      expect(third?.appendTime).toBeGreaterThanOrEqual(first?.appendTime ?? Number.POSITIVE_INFINITY);
    });

    it('keeps order within each partition over many large sends, one not waiting for the other', async () => {
      const name = await topic(3);
      const producer = await kafka.producer();
      const sends: Array<Promise<void>> = [];
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

    describe('a consumer', () => {
      it('asks for positions before it delivers, and merges all partitions in a poll', async () => {
        const name = await topic(4);
        await send(
          name,
          [0, 1, 2, 3].flatMap((p) => [
            [p, `${p}a`],
            [p, `${p}b`],
          ]),
        );
        const asked: TopicPartition[][] = [];
        const it = await consumer({
          topics: [name],
          onAssigned: async (assigned) => {
            asked.push([...assigned]);
            return assigned.map(({ partition }) =>
              partition === 3 ? 'latest' : partition === 2 ? 1 : 'earliest',
            );
          },
        });
        const seen = await drain(it, 5);
        expect(asked).toHaveLength(1);
        expect(asked[0]?.map((at) => at.partition).sort()).toEqual([0, 1, 2, 3]);
        expect(seen.records.map((r) => text(r.value)).sort()).toEqual(['0a', '0b', '1a', '1b', '2b']);
        expect(
          (await drain(it, 0)).polls
            .at(-1)
            ?.atEnd.map((at) => at.partition)
            .sort(),
        ).toEqual([0, 1, 2, 3]);
        expect(it.assignment()).toHaveLength(4);
        await send(name, [[3, '3c']]);
        expect((await drain(it, 1)).records.map((r) => text(r.value))).toEqual(['3c']);
      });

      it('hands out no more than maxPollRecords, of several partitions at once, and tells the end', async () => {
        const name = await topic(2);
        await send(
          name,
          Array.from({ length: 60 }, (_, i) => [i % 2, `${i}`] as const),
        );
        const it = await consumer({ topics: [name], maxPollRecords: 20 });
        const { polls, records } = await drain(it, 60);
        expect(records).toHaveLength(60);
        for (const poll of polls) {
          expect(poll.batches.reduce((sum, batch) => sum + batch.records.length, 0)).toBeLessThanOrEqual(20);
          for (const batch of poll.batches) expect(batch.highWatermark).toBe(30);
        }
        for (const partition of [0, 1]) {
          const offsets = records.filter((r) => r.partition === partition).map((r) => r.offset);
          expect(offsets).toEqual(Array.from({ length: 30 }, (_, i) => i));
        }
      });

      it('an empty poll takes its time, and ends soon when a record comes', async () => {
        const name = await topic(1);
        const it = await consumer({ topics: [name] });
        await drain(it, 0);
        const began = performance.now();
        expect((await it.poll(120)).batches).toEqual([]);
        expect(performance.now() - began).toBeGreaterThan(90);
        const later = it.poll(10_000);
        await send(name, [[0, 'x']]);
        const sent = performance.now();
        expect((await later).batches[0]?.records).toHaveLength(1);
        expect(performance.now() - sent).toBeLessThan(1_000);
      });

      it('seeks back and forth, dropping what it had buffered', async () => {
        const name = await topic(1);
        await send(
          name,
          Array.from({ length: 10 }, (_, i) => [0, `${i}`] as const),
        );
        const it = await consumer({ topics: [name], maxPollRecords: 3 });
        expect((await drain(it, 3)).records.map((r) => r.offset)).toEqual([0, 1, 2]);
        await it.seek({ topic: name, partition: 0 }, 8);
        expect((await drain(it, 2)).records.map((r) => r.offset)).toEqual([8, 9]);
        await it.seek({ topic: name, partition: 0 }, 1);
        expect((await drain(it, 3)).records.map((r) => r.offset)).toEqual([1, 2, 3]);
        await it.seek({ topic: name, partition: 7 }, 1); // Not ours (any more): nothing happens.
      });

      it('hands out nothing of a paused partition until it is resumed', async () => {
        const name = await topic(2);
        const it = await consumer({ topics: [name] });
        await drain(it, 0);
        const paused = [{ topic: name, partition: 0 }];
        it.pause(paused);
        await send(name, [
          [0, 'a'],
          [1, 'b'],
        ]);
        expect((await drain(it, 1)).records.map((r) => text(r.value))).toEqual(['b']);
        expect((await it.poll(150)).batches).toEqual([]);
        it.resume(paused);
        expect((await drain(it, 1)).records.map((r) => text(r.value))).toEqual(['a']);
      });

      it('reports a position that the log does not hold as cut until somebody seeks', async () => {
        const name = await topic(2);
        await send(
          name,
          Array.from({ length: 20 }, (_, i) => [i % 2, `${i}`] as const),
        );
        await admin.deleteRecords(name, [{ partition: 0, offset: 6 }]);
        const it = await consumer({ topics: [name], onAssigned: async (assigned) => assigned.map(() => 3) });
        const polls: Poll[] = [];
        for (let tries = 0; tries < 20 && !polls.some((poll) => poll.cut.length > 0); tries++) {
          polls.push(await it.poll(500));
        }
        const cut = { topic: name, partition: 0, start: 6 };
        expect(polls.at(-1)?.cut).toEqual([cut]);
        expect((await it.poll(100)).cut).toEqual([cut]);
        await it.seek(cut, 6);
        const { records } = await drain(it, 1);
        const delivered = [...polls.flatMap(recordsOf), ...records];
        expect(delivered.filter((r) => r.partition === 0).map((r) => r.offset)).toEqual([6, 7, 8, 9]);
        // A position beyond the end is no better.
        await it.seek({ topic: name, partition: 1 }, 5_000);
        let poll = await it.poll(500);
        for (let tries = 0; tries < 20 && poll.cut.length === 0; tries++) poll = await it.poll(500);
        expect(poll.cut).toEqual([{ topic: name, partition: 1, start: 0 }]);
      });

      it('shares partitions with a second member, in a new generation, and takes them back', async () => {
        const name = await topic(4);
        const group = `test-${randomUUID()}`;
        const first = await consumer({ topics: [name], group });
        const alone = await until(first, () => first.assignment().length === 4);
        const second = await consumer({ topics: [name], group });
        await Promise.all([
          until(first, () => first.assignment().length === 2),
          until(second, () => second.assignment().length === 2),
        ]);
        const all = [...first.assignment(), ...second.assignment()].map((at) => at.partition).sort();
        expect(all).toEqual([0, 1, 2, 3]);
        const shared = await first.poll(0);
        expect(shared.generation).toBeGreaterThan(alone.generation);
        await second.close();
        const again = await until(first, () => first.assignment().length === 4);
        expect(again.generation).toBeGreaterThan(shared.generation);
      });

      it('commits for its own generation only; commits do not move anybody', async () => {
        const name = await topic(2);
        const group = `test-${randomUUID()}`;
        await send(name, [
          [0, 'a'],
          [1, 'b'],
        ]);
        const first = await consumer({ topics: [name], group });
        await drain(first, 2);
        await first.commit([
          { topic: name, partition: 0, offset: 1 },
          { topic: name, partition: 1, offset: 1 },
        ]);
        await first.commit([]);
        expect(await admin.groups()).toContain(group);
        expect(await admin.committed(group, name)).toEqual([1, 1]);
        expect(await admin.committed(`${group}-other`, name)).toEqual([null, null]);
        const second = await consumer({ topics: [name], group });
        let read = 0;
        await Promise.all([
          until(first, () => first.assignment().length === 1),
          until(second, () => second.assignment().length === 1).then(({ records }) => {
            read = records.length;
          }),
        ]);
        // Everybody starts where onAssigned says, not where Kafka's offset is.
        if (read === 0) read = (await drain(second, 1)).records.length;
        expect(read).toBe(1);
        await second.close();
        await sleepUntilRefused(first, name);
        await until(first, () => first.assignment().length === 2);
        await first.commit([{ topic: name, partition: 0, offset: 1 }]);
        await first.close();
        await admin.deleteGroups([group]);
        expect(await admin.groups()).not.toContain(group);
      });

      it("members come and go under load: with positions of one's own nothing is lost, doubled or out of order", async () => {
        const name = await topic(4);
        const group = `test-${randomUUID()}`;
        const total = 4_000;
        /** Next offset and what was done, by partition: what a store with compare-and-set keeps. */
        const store = Array.from({ length: 4 }, () => ({ next: 0, done: [] as string[] }));
        let conflicts = 0;
        const stop = { all: false };

        async function member(polls: number): Promise<void> {
          const it = await kafka.consumer({
            group,
            topics: [name],
            maxPollRecords: 50,
            onAssigned: async (assigned) => assigned.map(({ partition }) => store[partition]?.next ?? 0),
          });
          for (let i = 0; i < polls && !stop.all; i++) {
            for (const { partition, records } of (await it.poll(50)).batches) {
              await new Promise((resolve) => setTimeout(resolve, Math.random() * 4));
              const kept = store[partition];
              if (kept === undefined || records[0]?.offset !== kept.next) {
                conflicts++;
                await it.seek({ topic: name, partition }, kept?.next ?? 0);
                continue;
              }
              kept.next += records.length;
              kept.done.push(...records.map((r) => text(r.value)));
            }
          }
          await it.close();
        }

        const steady = member(10_000);
        const others = (async () => {
          for (let i = 0; i < 3 && !stop.all; i++) await Promise.all([member(8), member(4)]);
        })();
        const producer = await kafka.producer();
        for (let i = 0; i < total; i += 100) {
          await producer.send(Array.from({ length: 100 }, (_, k) => record(name, (i + k) % 4, `${i + k}`)));
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
        await producer.close();
        const deadline = Date.now() + 25_000;
        while (store.some(({ next }) => next < total / 4) && Date.now() < deadline) {
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        stop.all = true;
        await Promise.all([steady, others]);
        for (const [partition, { done }] of store.entries()) {
          expect(done).toEqual(Array.from({ length: total / 4 }, (_, i) => `${i * 4 + partition}`));
        }
        expect(conflicts).toBeLessThan(total);
      });

      it('is closed for good', async () => {
        const name = await topic(1);
        const it = await consumer({ topics: [name] });
        await it.poll(100);
        await it.close();
        await it.close();
        await expect(it.poll(10)).rejects.toMatchObject({ code: 'closed', retriable: false });
      });

      it('a failing onAssigned fails the poll, and is asked again', async () => {
        const name = await topic(1);
        let asked = 0;
        const it = await consumer({
          topics: [name],
          onAssigned: async (assigned) => {
            asked++;
            if (asked === 1) throw new Error('the store is away');
            return assigned.map(() => 'earliest');
          },
        });
        const failed = async () => {
          for (let i = 0; i < 50 && asked === 0; i++) await it.poll(200);
        };
        await expect(failed()).rejects.toThrow('the store is away');
        await send(name, [[0, 'x']]);
        expect((await drain(it, 1)).records).toHaveLength(1);
        expect(asked).toBe(2);
      });
    });

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

function record(topic: string, partition: number, value: string, key = 'k'): OutgoingRecord {
  return { topic, partition, key: Buffer.from(key), value: Buffer.from(value) };
}

function text(bytes: Uint8Array | null | undefined): string {
  return Buffer.from(bytes ?? []).toString();
}

function recordsOf(poll: Poll): readonly KafkaRecord[] {
  return poll.batches.flatMap((batch) => batch.records);
}

/** Polls until `count` records have come, or, for 0, until every partition is at its end. */
async function drain(consumer: Consumer, count: number): Promise<{ records: KafkaRecord[]; polls: Poll[] }> {
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
async function until(consumer: Consumer, done: () => boolean): Promise<Poll & { records: KafkaRecord[] }> {
  const records: KafkaRecord[] = [];
  for (let tries = 0; tries < 200; tries++) {
    const poll = await consumer.poll(100);
    records.push(...recordsOf(poll));
    if (done()) return { ...poll, records };
  }
  throw new Error('it did not come to that');
}

/** After a member has left, commits of the assignment before are refused until the next poll. */
async function sleepUntilRefused(consumer: Consumer, topic: string): Promise<void> {
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

async function readAll(kafka: Kafka, topic: string, count: number, partitions = 1): Promise<KafkaRecord[]> {
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
