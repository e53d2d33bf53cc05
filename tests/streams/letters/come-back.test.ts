import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Kafka } from '../../../infrastructure/kafka/port.ts';
import { createMemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../../infrastructure/memory/warehouse.ts';
import { wallClock } from '../../../platform/platform.ts';
import { tables } from '../../../schemas/names.ts';
import type { LettersDeps } from '../../../streams/letters/replay.ts';
import { seeded } from '../../simulation/random.ts';
import { payment } from '../ingest/payments.ts';
import { Letters, mendedRule, paymentsBelow } from './come-back.ts';

let warehouse: MemoryWarehouse;
beforeAll(async () => {
  warehouse = await createMemoryWarehouse();
});
afterAll(() => warehouse.close());

/** A connection whose next send fails, before or after the broker has stored it. */
function failing(kafka: Kafka, when: 'before' | 'after'): Kafka {
  return {
    ...kafka,
    producer: async () => {
      const producer = await kafka.producer();
      return {
        ...producer,
        async send(records) {
          if (when === 'after') await producer.send(records);
          throw new Error('the line was cut');
        },
      };
    },
  };
}

/** On servers: kafka.test.ts. */
describe('dead letters come back', () => {
  const kafka = () => createMemoryBroker(wallClock).kafka();

  it('once, after a rule was mended, and what is late goes into history', () =>
    mendedRule(kafka(), warehouse));

  it.each([
    ['before', 1],
    ['after', 0],
  ] as const)('once, where the process died %s the broker had stored it', async (when, left) => {
    const letters = new Letters(kafka(), warehouse);
    await letters.begin();
    await letters.running.send(payment('large', { amount: 500 }));
    await letters.running.worked(1);
    await letters.archived(1);
    await letters.mend(1_000);
    await expect(letters.replay(null, failing(letters.kafka, when))).rejects.toThrow('the line was cut');
    expect(await letters.replay()).toEqual({ sent: left, history: 0 });
    expect(await letters.replay()).toEqual({ sent: 0, history: 0 });
    await letters.running.send(payment('next'));
    expect(await letters.acceptedIds(3)).toEqual(['large', 'next']);
    await letters.stop();
  });

  it.each([1, 2, 3, 4])('once each, whatever fails on the way (seed %i)', async (seed) => {
    const random = seeded(seed);
    const letters = new Letters(kafka(), warehouse);
    await letters.begin();
    const old = new Date(Date.now() - 3_600_000).toISOString();
    const payments = Array.from({ length: 12 }, (_, i) =>
      payment(`p${i}`, { amount: 500, ...(i % 3 === 0 ? { at: old } : {}) }),
    );
    await letters.running.send(payment('first'), ...payments);
    await letters.running.worked(13);
    await letters.archived(13);
    await letters.mend(1_000);
    let failed = 0;
    for (let left = true; left; ) {
      const unsure = <Args extends unknown[], T>(work: (...args: Args) => Promise<T>) => {
        return async (...args: Args): Promise<T> => {
          const fails = random() < 0.3;
          if (fails && random() < 0.5) throw new Error('it failed before');
          const done = await work(...args);
          if (fails) throw new Error('it failed behind');
          return done;
        };
      };
      const flaky: LettersDeps = {
        ...letters.deps(),
        warehouse: {
          ...warehouse,
          insert: unsure(warehouse.insert),
          insertRaw: unsure(warehouse.insertRaw),
        },
        kafka: {
          ...letters.kafka,
          producer: async () => {
            const producer = await letters.kafka.producer();
            return { ...producer, send: unsure(producer.send) };
          },
        },
      };
      try {
        const limit = 1 + Math.floor(random() * 12);
        const { sent, history } = await letters.replay(null, letters.kafka, { ...flaky, limit });
        left = limit < 12 || sent + history > 0;
      } catch (error) {
        expect(String(error)).toContain('it failed');
        failed += 1;
      }
    }
    expect(failed).toBeGreaterThan(0);
    await letters.running.send(payment('next'));
    const ids = await letters.acceptedIds(13 + 8 + 1);
    expect(ids.sort()).toEqual([...[1, 2, 4, 5, 7, 8, 10, 11].map((i) => `p${i}`), 'first', 'next'].sort());
    await letters.archived(13 + 9);
    const late = await warehouse.query(
      `SELECT id FROM ${tables.events(letters.prefix, 'payments')} FINAL WHERE import_id != '' ORDER BY id`,
    );
    expect(late).toEqual(['p0', 'p3', 'p6', 'p9'].map((id) => ({ id })));
    await letters.stop();
  });

  it('three times at most, where ingest still goes by the old rule', async () => {
    const letters = new Letters(kafka(), warehouse);
    await letters.begin();
    await letters.running.send(payment('large', { amount: 500 }));
    // Only whoever judges knows the mended rule.
    letters.project = paymentsBelow(1_000, letters.prefix);
    for (let tries = 1; tries <= 3; tries += 1) {
      await letters.running.worked(tries);
      await letters.archived(tries);
      expect(await letters.replay()).toEqual({ sent: 1, history: 0 });
    }
    const { refused } = await letters.running.worked(4);
    await letters.archived(4);
    expect(refused.map(({ code }) => code)).toEqual(Array(4).fill('rule_failed'));
    expect(refused.at(-1)?.headers.map(({ value }) => Buffer.from(value).toString())).toEqual([
      `0:2:3:${refused[0]?.appendTime}`,
    ]);
    expect(await letters.look()).toEqual({ large: 'exhausted' });
    expect(await letters.replay()).toEqual({ sent: 0, history: 0 });
    await letters.stop();
  });

  it('not beside another replay', async () => {
    const letters = new Letters(kafka(), warehouse);
    await letters.begin();
    const both = await Promise.allSettled([letters.replay(), letters.replay()]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const refused = both.find((one) => one.status === 'rejected');
    expect(String(refused?.reason)).toMatch(/LettersBusy: A replay .* runs under the prefix/);
    await letters.stop();
  });
});
