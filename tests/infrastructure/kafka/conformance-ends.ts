import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Consumer } from '../../../infrastructure/kafka/port.ts';
import { type Bench, drain, recordsOf, text, until } from './harness.ts';

/** What every consumer of the Kafka port says of ends, and of transactions that are open, committed or aborted. */
export function endConformance(bench: Bench): void {
  const { topic, send, consumer, transaction } = bench;

  /** `atEnd` once it says what it will; markers are fetched in the background. */
  async function atEndOf(it: Consumer, name: string, wanted: number | null): Promise<number | null> {
    let end: number | null = null;
    for (let tries = 0; tries < 50; tries++) {
      [end = null] = await it.atEnd([{ topic: name, partition: 0 }]);
      if (end === wanted) break;
      await it.poll(50);
    }
    return end;
  }

  /** The end of partition 0 once it is `wanted`: a broker writes a transaction's marker a little after it answers. */
  async function endOf(it: Consumer, name: string, wanted: number): Promise<number> {
    let end = -1;
    for (let tries = 0; tries < 50 && end !== wanted; tries++) {
      [end = -1] = await it.ends([{ topic: name, partition: 0 }]);
      if (end !== wanted) await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return end;
  }

  describe('the end of a partition', () => {
    it('`ends` tells the offset after the last record of any partition, held or not, read or not', async () => {
      const name = await topic(2);
      const group = `test-${randomUUID()}`;
      const it = await consumer({ topics: [name], group });
      const other = await consumer({ topics: [name], group });
      await Promise.all([it, other].map((one) => until(one, () => one.assignment().length === 1)));
      await send(name, [
        [0, 'a'],
        [1, 'b'],
        [1, 'c'],
      ]);
      const places = [1, 0].map((partition) => ({ topic: name, partition }));
      expect(await it.ends(places)).toEqual([2, 1]);
      expect(await it.ends([])).toEqual([]);
      const atEnd = await it.atEnd(places);
      expect(atEnd).toEqual([null, null]); // The one is unread, the other is not held.
    });

    it('`ends` knows the topics of its consumer, and refuses others', async () => {
      const name = await topic(1);
      const other = await topic(1);
      const it = await consumer({ topics: [name] });
      await drain(it, 0);
      await expect(it.ends([{ topic: other, partition: 0 }])).rejects.toMatchObject({
        name: 'KafkaError',
        code: 'unknown_topic',
        retriable: false,
      });
      await expect(it.ends([{ topic: name, partition: 7 }])).rejects.toMatchObject({ code: 'unknown_topic' });
    });

    it('`atEnd` is the next offset where everything has been handed out, and null elsewhere', async () => {
      const name = await topic(1);
      const it = await consumer({ topics: [name], maxPollRecords: 2 });
      await drain(it, 0);
      const place = { topic: name, partition: 0 };
      expect(await it.atEnd([place])).toEqual([0]);
      await send(name, [
        [0, 'a'],
        [0, 'b'],
        [0, 'c'],
      ]);
      // Unread, whether it has been fetched or not.
      expect(await it.atEnd([place])).toEqual([null]);
      expect((await drain(it, 2)).records).toHaveLength(2);
      expect(await it.atEnd([place])).toEqual([null]);
      expect((await drain(it, 1)).records).toHaveLength(1);
      expect(await it.atEnd([place])).toEqual([3]);
      await it.seek(place, 1);
      expect(await it.atEnd([place])).toEqual([null]);
    });

    it('`atEnd` asks the broker: a record that came after the last poll counts', async () => {
      const name = await topic(1);
      const it = await consumer({ topics: [name] });
      expect((await drain(it, 0)).polls.at(-1)?.atEnd).toHaveLength(1);
      await send(name, [[0, 'a']]);
      expect(await it.atEnd([{ topic: name, partition: 0 }])).toEqual([null]);
    });

    it('a record that is buffered of a paused partition is unread', async () => {
      const name = await topic(1);
      const it = await consumer({ topics: [name] });
      await drain(it, 0);
      const place = { topic: name, partition: 0 };
      it.pause([place]);
      await send(name, [[0, 'a']]);
      await it.poll(100);
      expect(await it.atEnd([place])).toEqual([null]);
      it.resume([place]);
      await drain(it, 1);
      expect(await it.atEnd([place])).toEqual([1]);
    });
  });

  describe('`moved`', () => {
    it('is true from when the group has decided until the next poll has taken it up', async () => {
      const name = await topic(2);
      const group = `test-${randomUUID()}`;
      const first = await consumer({ topics: [name], group });
      await until(first, () => first.assignment().length === 2);
      expect(first.moved()).toBe(false);
      const second = await consumer({ topics: [name], group });
      for (let tries = 0; tries < 500 && !first.moved(); tries++)
        await new Promise((resolve) => setTimeout(resolve, 20));
      expect(first.moved()).toBe(true);
      await Promise.all([
        until(first, () => first.assignment().length === 1 && !first.moved()),
        until(second, () => second.assignment().length === 1),
      ]);
      expect(first.moved()).toBe(false);
    });
  });

  describe('transactions', () => {
    it('nothing behind an open transaction is handed out, and all of it counts as unread', async () => {
      const name = await topic(1);
      const place = { topic: name, partition: 0 };
      const it = await consumer({ topics: [name] });
      await send(name, [[0, 'before']]);
      const open = await transaction();
      await open.append(name, [[0, 'inside']]);
      await send(name, [[0, 'behind']]);
      const { records, polls } = await drain(it, 1);
      expect(records.map(({ value }) => text(value))).toEqual(['before']);
      expect(polls.at(-1)?.batches[0]?.highWatermark).toBe(1);
      expect((await it.poll(200)).batches).toEqual([]);
      expect(await it.ends([place])).toEqual([3]);
      expect(await it.atEnd([place])).toEqual([null]);
      await open.commit();
      const rest = (await drain(it, 2)).records;
      expect(rest.map(({ value, offset }) => [text(value), offset])).toEqual([
        ['inside', 1],
        ['behind', 2],
      ]);
    });

    it("a committed transaction's marker takes an offset, and a partition that ends with it is at its end", async () => {
      const name = await topic(1);
      const it = await consumer({ topics: [name] });
      const open = await transaction();
      await open.append(name, [[0, 'a']]);
      await open.commit();
      expect((await drain(it, 1)).records.map(({ offset }) => offset)).toEqual([0]);
      expect(await endOf(it, name, 2)).toBe(2);
      expect(await atEndOf(it, name, 2)).toBe(2);
      await send(name, [[0, 'b']]);
      expect((await drain(it, 1)).records.map(({ offset }) => offset)).toEqual([2]);
    });

    it('records of an aborted transaction are passed over, and a partition that holds nothing else is at its end', async () => {
      const name = await topic(1);
      const place = { topic: name, partition: 0 };
      const it = await consumer({ topics: [name] });
      await drain(it, 0);
      const open = await transaction();
      await open.append(name, [
        [0, 'a'],
        [0, 'b'],
      ]);
      expect(await it.atEnd([place])).toEqual([null]);
      await open.abort();
      expect(await endOf(it, name, 3)).toBe(3);
      expect(await atEndOf(it, name, 3)).toBe(3);
      expect(recordsOf(await it.poll(100))).toEqual([]);
      await send(name, [[0, 'c']]);
      expect((await drain(it, 1)).records.map(({ value, offset }) => [text(value), offset])).toEqual([
        ['c', 3],
      ]);
    });

    it('a reader and the admin know of committed records alone', async () => {
      const name = await topic(1);
      await send(name, [[0, 'a']]);
      const aborted = await transaction();
      await aborted.append(name, [[0, 'b']]);
      await aborted.abort();
      for (let tries = 0; tries < 50 && (await bench.admin.offsets(name))[0]?.end !== 3; tries++)
        await new Promise((resolve) => setTimeout(resolve, 20));
      const open = await transaction();
      await open.append(name, [[0, 'c']]);
      expect(await bench.admin.offsets(name)).toEqual([{ start: 0, end: 3 }]);
      const reader = await bench.kafka.reader([{ topic: name, partition: 0, position: 'earliest' }]);
      bench.undo.push(() => reader.close());
      const seen: string[] = [];
      const read = async () => {
        for (const { records } of await reader.poll(300))
          seen.push(...records.map(({ value }) => text(value)));
      };
      for (let tries = 0; tries < 3; tries++) await read();
      expect(reader.position({ topic: name, partition: 0 })).toBe(3);
      expect(reader.position({ topic: name, partition: 1 })).toBeNull();
      expect(seen).toEqual(['a']);
      await open.commit();
      for (let tries = 0; tries < 20 && seen.length < 2; tries++) await read();
      for (let tries = 0; tries < 50 && (await bench.admin.offsets(name))[0]?.end !== 5; tries++)
        await new Promise((resolve) => setTimeout(resolve, 20));
      expect(seen).toEqual(['a', 'c']);
      for (let tries = 0; tries < 20 && reader.position({ topic: name, partition: 0 }) !== 5; tries++)
        await read();
      expect(reader.position({ topic: name, partition: 0 })).toBe(5);
      expect(await bench.admin.offsets(name)).toEqual([{ start: 0, end: 5 }]);
    });
  });
}
