import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Poll, TopicPartition } from '../../../infrastructure/kafka/port.ts';
import { type Bench, drain, record, recordsOf, sleepUntilRefused, text, until } from './harness.ts';

/** What every consumer of the Kafka port must do. */
export function consumerConformance(bench: Bench): void {
  const { topic, send, consumer } = bench;

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
      await bench.admin.deleteRecords(name, [{ partition: 0, offset: 6 }]);
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
      expect(await bench.admin.groups()).toContain(group);
      expect(await bench.admin.committed(group, name)).toEqual([1, 1]);
      expect(await bench.admin.committed(`${group}-other`, name)).toEqual([null, null]);
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
      await bench.admin.deleteGroups([group]);
      expect(await bench.admin.groups()).not.toContain(group);
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
        const it = await bench.kafka.consumer({
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
      const producer = await bench.kafka.producer();
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
}
