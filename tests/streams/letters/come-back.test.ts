import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Kafka } from '../../../infrastructure/kafka/port.ts';
import { createMemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../../infrastructure/memory/warehouse.ts';
import { wallClock } from '../../../platform/platform.ts';
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
