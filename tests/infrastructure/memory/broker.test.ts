import { Buffer } from 'node:buffer';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Consumer, Kafka, Poll } from '../../../infrastructure/kafka/port.ts';
import { createMemoryBroker, type MemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { type SteppingClock, steppingClock } from '../../streams/clock.ts';

/** What only the twin can do: faults on demand, and time as a test wants it. */

describe('the memory broker', () => {
  let clock: SteppingClock;
  let broker: MemoryBroker;
  let kafka: Kafka;

  beforeEach(async () => {
    clock = steppingClock(1_000);
    broker = createMemoryBroker(clock);
    kafka = broker.kafka();
    const admin = await kafka.admin();
    await admin.createTopics([{ name: 't', partitions: 2, retentionMs: -1, compacted: false }]);
  });

  const valuesOf = (poll: Poll) =>
    poll.batches.flatMap(({ records }) => records.map(({ value }) => Buffer.from(value ?? []).toString()));

  async function send(kafka: Kafka, ...values: string[]) {
    const producer = await kafka.producer();
    await producer.send(
      values.map((value, i) => ({ topic: 't', partition: i % 2, key: null, value: Buffer.from(value) })),
    );
  }

  const join = (kafka: Kafka, group = 'g'): Promise<Consumer> =>
    kafka.consumer({
      group,
      topics: ['t'],
      maxPollRecords: 100,
      onAssigned: async (assigned) => assigned.map(() => 'earliest'),
    });

  async function ends(): Promise<number[]> {
    return (await (await kafka.admin()).offsets('t')).map(({ end }) => end);
  }

  it('stamps records with the time of its clock, and waits in it', async () => {
    await send(kafka, 'a');
    const consumer = await join(kafka);
    const [batch] = (await consumer.poll(0)).batches;
    expect(batch?.records[0]?.appendTime).toBe(1_000);
    await consumer.poll(500);
    expect(clock.now()).toBe(1_500);
  });

  it.each([
    ['before', [0, 0]],
    ['after', [1, 1]],
    ['partial', [1, 0]],
  ] as const)(
    'a send that fails %s storing, whatever was stored, ends its producer',
    async (kind, stored) => {
      broker.failNextSend(kind);
      const producer = await kafka.producer();
      const records = [0, 1].map((partition) => ({ topic: 't', partition, key: null, value: null }));
      await expect(producer.send(records)).rejects.toMatchObject({ code: 'send_failed', retriable: true });
      expect(await ends()).toEqual(stored);
      await expect(producer.send(records)).rejects.toMatchObject({ code: 'producer_dead' });
      await (await kafka.producer()).send(records);
      expect(await ends()).toEqual(stored.map((end) => end + 1));
    },
  );

  it('a zombie goes on with what there was, and cannot commit; another has its partitions', async () => {
    await send(kafka, 'a', 'b');
    const zombie = await join(kafka);
    const generation = (await zombie.poll(0)).generation;
    await zombie.seek({ topic: 't', partition: 0 }, 0);
    broker.zombify(zombie);
    const other = await join(broker.kafka());
    await send(kafka, 'c', 'd');
    expect(valuesOf(await other.poll(0)).sort()).toEqual(['a', 'b', 'c', 'd']);
    const late = await zombie.poll(0);
    expect([late.generation, valuesOf(late)]).toEqual([generation, ['a']]);
    expect(valuesOf(await zombie.poll(10))).toEqual([]);
    await expect(zombie.commit([{ topic: 't', partition: 0, offset: 1 }])).rejects.toMatchObject({
      code: 'stale_generation',
    });
    broker.revive(zombie);
    expect((await zombie.poll(0)).generation).toBeGreaterThan(generation);
    expect(zombie.assignment()).toHaveLength(1);
  });

  it('a killed process does nothing any more, and its partitions go to others', async () => {
    const victim = broker.kafka();
    const dead = await join(victim);
    const producer = await victim.producer();
    await dead.poll(0);
    const other = await join(kafka);
    const waiting = dead.poll(60_000);
    broker.kill(victim);
    await expect(waiting).rejects.toMatchObject({ code: 'closed' });
    await expect(producer.send([{ topic: 't', partition: 0, key: null, value: null }])).rejects.toMatchObject(
      {
        code: 'closed',
      },
    );
    expect(await ends()).toEqual([0, 0]);
    await other.poll(0);
    expect(other.assignment()).toHaveLength(2);
  });

  it('a truncated log is reported as cut, with its start', async () => {
    await send(kafka, 'a', 'x', 'b', 'y');
    const consumer = await join(kafka);
    await consumer.poll(0);
    await consumer.seek({ topic: 't', partition: 0 }, 0);
    broker.truncate('t', 0, 1);
    expect((await consumer.poll(0)).cut).toEqual([{ topic: 't', partition: 0, start: 1 }]);
  });

  it('lets a simulation step in before and after each effect', async () => {
    const steps: string[] = [];
    const slow = createMemoryBroker(clock, { step: async (operation) => void steps.push(operation) });
    const admin = await slow.kafka().admin();
    await admin.createTopics([{ name: 't', partitions: 2, retentionMs: -1, compacted: false }]);
    await send(slow.kafka(), 'a');
    const consumer = await join(slow.kafka());
    await consumer.poll(0);
    await consumer.commit([]);
    expect(steps).toEqual(['send', 'send', 'poll', 'commit']);
  });
});
