import { setTimeout as sleep } from 'node:timers/promises';
import { createMemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { kafkaConformance } from '../kafka/conformance.ts';
import { record } from '../kafka/harness.ts';

const broker = createMemoryBroker({ now: Date.now, sleep: (ms) => sleep(ms) });

kafkaConformance(
  'memory',
  async () => broker.kafka(),
  async () => {
    const transaction = broker.transaction();
    return {
      append: async (topic, records) =>
        transaction.append(records.map(([partition, value]) => record(topic, partition, value))),
      commit: async () => transaction.commit(),
      abort: async () => transaction.abort(),
    };
  },
);
