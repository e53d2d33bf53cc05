import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { removeTables } from '../../../infrastructure/clickhouse/ensure-tables.ts';
import { createWarehouse } from '../../../infrastructure/clickhouse/warehouse.ts';
import { createKafka } from '../../../infrastructure/kafka/driver.ts';
import type { Kafka } from '../../../infrastructure/kafka/port.ts';
import { createMemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../../infrastructure/memory/warehouse.ts';
import { tables, topics } from '../../../schemas/names.ts';
import { testStack } from '../../stack.ts';
import { Archived, type Sent, wall } from './archived.ts';

const event = (partition: number, offset: number, note = `e${partition}.${offset}`): Sent => ({
  kind: 'event',
  partition,
  offset,
  note,
});

/** What a source offset becomes is a pure function of it, whoever writes it and however often. */
const dieOf = (partition: number, offset: number) =>
  ((Math.imul(partition * 7_919 + offset, 0x9e3779b1) >>> 8) & 1023) / 1024;

/** Everything a partition's log may hold: a writer goes back and writes again, others beside it, clocks. */
function mixed(random: () => number, from: number, to: number): Sent[] {
  const sent: Sent[] = [];
  for (const partition of [0, 1, 2]) {
    let again = 0;
    for (let offset = from; offset < to; offset++) {
      const note = `${partition}.${offset}.${again}`;
      const die = dieOf(partition, offset);
      if (die < 0.6) sent.push({ kind: 'event', partition, offset, note: `e${note}` });
      else sent.push({ kind: 'letter', partition, offset, note: `l${note}`, writer: 'ingest' });
      if (die < 0.3) sent.push({ kind: 'prediction', partition, offset, note: `p${note}` });
      if (die > 0.9)
        sent.push({ kind: 'letter', partition, offset, note: `v${note}`, writer: 'view@12345678:0' });
      if (die > 0.8) sent.push({ kind: 'clock', partition, topic: die > 0.85 ? 'event' : 'prediction' });
      if (random() < 0.05) {
        offset = Math.max(-1, from - 5, offset - 1 - Math.floor(random() * 8));
        again++;
      }
    }
  }
  return sent;
}

describe('archive on the twins', () => {
  let warehouse: MemoryWarehouse;
  beforeAll(async () => {
    warehouse = await createMemoryWarehouse();
  });
  afterAll(() => warehouse.close());

  const open = async () => {
    const broker = createMemoryBroker(wall);
    return { broker, archived: await Archived.create(broker.kafka(), warehouse) };
  };

  it('keeps every record of every topic once, skips clocks, and drops what a writer says again', async () => {
    const { archived } = await open();
    const archive = archived.start();
    await archived.send([
      event(0, 0),
      { kind: 'clock', partition: 0, topic: 'event' },
      event(0, 1),
      event(1, 0),
      { kind: 'prediction', partition: 0, offset: 1, note: 'first' },
      { kind: 'letter', partition: 1, offset: 1, note: 'by ingest', writer: 'ingest' },
      { kind: 'letter', partition: 1, offset: 1, note: 'by a view', writer: 'v@1:0' },
    ]);
    await archived.settle();
    await archived.send([
      event(0, 1, 'again'),
      event(0, 2),
      { kind: 'prediction', partition: 0, offset: 1, note: 'second' },
      { kind: 'letter', partition: 1, offset: 1, note: 'again by a view', writer: 'v@1:0' },
    ]);
    await archived.settle();
    await archive.stop();
    expect(await archived.rows()).toEqual(archived.expected());
    expect(archived.failures).toEqual([]);
  });

  it('flushes what waits before it stops, and a new one goes on from the tables', async () => {
    const { archived } = await open();
    await archived.send([event(0, 0), event(0, 1), event(2, 5)]);
    const first = archived.start({ maxWaitMs: 60_000 });
    await wall.sleep(100);
    expect(await archived.rows()).toEqual([]);
    await first.stop();
    expect(await archived.rows()).toEqual(archived.expected());
    await archived.send([event(0, 1, 'again'), event(0, 2)]);
    const second = archived.start();
    await archived.settle();
    await second.stop();
    expect(await archived.rows()).toEqual(archived.expected());
    const parts = await warehouse.query<{ n: number }>(
      `SELECT count() AS n FROM ${tables.events(archived.project.prefix, 'trips')}`,
    );
    expect(parts).toEqual([{ n: 4 }]);
  });

  it.each(['before', 'after'] as const)(
    'loses and doubles nothing when an insert fails %s it is stored',
    async (when) => {
      const { archived } = await open();
      const archive = archived.start();
      for (let round = 0; round < 4; round++) {
        warehouse.failNext(when);
        await archived.send([0, 1, 2].map((partition) => event(partition, round)));
        await archived.settle();
      }
      await archive.stop();
      expect(await archived.rows()).toEqual(archived.expected());
      expect(archived.failures.length).toBeGreaterThanOrEqual(4);
      // Not even rows that FINAL would hide.
      const plain = await warehouse.query(
        `SELECT count() AS n FROM ${tables.events(archived.project.prefix, 'trips')}`,
      );
      expect(plain).toEqual([{ n: 12 }]);
    },
  );

  it('waits for a warehouse that is away, at its start and later', async () => {
    const { archived } = await open();
    await archived.send([event(0, 0)]);
    warehouse.setAvailable(false);
    const archive = archived.start();
    await wall.sleep(250);
    warehouse.setAvailable(true);
    await archived.settle();
    warehouse.setAvailable(false);
    await archived.send([event(0, 1), event(1, 0)]);
    await wall.sleep(250);
    warehouse.setAvailable(true);
    await archived.settle();
    await archive.stop();
    expect(await archived.rows()).toEqual(archived.expected());
    expect(archived.failures.length).toBeGreaterThan(1);
  });

  it('tells Kafka how far it is, clocks and repeats included', async () => {
    const { archived } = await open();
    const told = new Map<number, number>();
    const kafka: Kafka = {
      ...archived.kafka,
      consumer: async (options) => {
        const consumer = await archived.kafka.consumer(options);
        const commit = consumer.commit.bind(consumer);
        consumer.commit = (offsets) => {
          for (const { topic, partition, offset } of offsets)
            if (topic.endsWith('.validated')) told.set(partition, offset);
          return commit(offsets);
        };
        return consumer;
      },
    };
    const archive = archived.start({ kafka });
    await archived.send([
      event(0, 0),
      event(0, 0),
      { kind: 'clock', partition: 0, topic: 'event' },
      event(1, 4),
    ]);
    await archived.settle();
    await archived.send([{ kind: 'clock', partition: 1, topic: 'event' }]);
    await wall.sleep(300);
    await archive.stop();
    expect([told.get(0), told.get(1)]).toEqual([3, 2]);
  });

  it('stops, with the mend in its message, where the tables are missing', async () => {
    const { archived } = await open();
    await removeTables(warehouse, archived.project.prefix);
    await expect(archived.start().done).rejects.toThrow(/millrace apply/);
  });

  it('keeps each lineage once over kills, zombies, rebalances and failed inserts', {
    timeout: 120_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 2 ** 31 - 1 }), async (seed) => {
        let state = seed;
        const random = () => {
          state = (Math.imul(state, 48_271) >>> 0) % 2_147_483_647;
          return state / 2_147_483_647;
        };
        const broker = createMemoryBroker(wall);
        const archived = await Archived.create(broker.kafka(), warehouse);
        const begin = () => {
          const kafka = broker.kafka();
          return { kafka, ...archived.start({ kafka, maxRows: 40, maxWaitMs: Math.floor(random() * 30) }) };
        };
        const running = [begin(), begin()];
        const stopping: Promise<void>[] = [];
        for (let round = 0; round < 8; round++) {
          await archived.send(mixed(random, round * 12, round * 12 + 12));
          const die = random();
          const victim = Math.floor(random() * 2);
          const one = running[victim];
          if (die < 0.3 && one !== undefined) {
            broker.kill(one.kafka);
            one.abort();
            running[victim] = begin();
          } else if (die < 0.45 && one !== undefined) {
            stopping.push(one.stop());
            running[victim] = begin();
          } else if (die < 0.6) warehouse.failNext('before');
          else if (die < 0.75) warehouse.failNext('after');
          else if (die < 0.85) {
            warehouse.setAvailable(false);
            await wall.sleep(60);
            warehouse.setAvailable(true);
          }
          await wall.sleep(random() * 40);
        }
        await archived.settle();
        await Promise.all(running.map((one) => one.stop().catch(() => {})));
        // The tables go only when nobody looks at them any more.
        await Promise.all(stopping);
        expect(await archived.rows()).toEqual(archived.expected());
        await removeTables(warehouse, archived.project.prefix);
      }),
      { numRuns: 8 },
    );
  });
});

describe('archive on real servers', () => {
  it('keeps every record once over a restart', async () => {
    const addresses = await testStack(['kafka', 'clickhouse']);
    const kafka = createKafka(
      { kafka: { brokers: addresses.kafka, tls: false, sasl: null } },
      { clientId: 'archive-test' },
    );
    const warehouse = createWarehouse({ url: addresses.clickhouse, database: 'millrace_tests' });
    await warehouse.command('SELECT 1');
    const archived = await Archived.create(kafka, warehouse);
    let state = 7;
    const random = () => {
      state = (state * 48_271) % 2_147_483_647;
      return state / 2_147_483_647;
    };
    const first = archived.start();
    await archived.send(mixed(random, 0, 100));
    await wall.sleep(700);
    await first.stop();
    await archived.send(mixed(random, 100, 200));
    const second = archived.start();
    const rows = await archived.settle();
    await second.stop();
    expect(rows).toEqual(archived.expected());
    const { prefix } = archived.project;
    await removeTables(warehouse, prefix);
    const admin = await kafka.admin();
    await admin.deleteTopics([
      ...[topics.raw, topics.validated, topics.deadLetters].map((name) => name(prefix, 'trips')),
      topics.predictions(prefix, 'late'),
      topics.shadow(prefix, 'late'),
      topics.alerts(prefix),
      topics.models(prefix),
    ]);
    await admin.close();
    await kafka.close();
    await warehouse.close();
  });
});
