import { setTimeout as sleep } from 'node:timers/promises';
import { createMemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { kafkaConformance } from '../kafka/conformance.ts';
import { record } from '../kafka/harness.ts';

const broker = createMemoryBroker({ now: Date.now, sleep: (ms) => sleep(ms) });

kafkaConformance('memory', async () => broker.kafka(), {
  async transaction() {
    const transaction = broker.transaction();
    return {
      append: async (topic, records) =>
        transaction.append(records.map(([partition, value]) => record(topic, partition, value))),
      commit: async () => transaction.commit(),
      abort: async () => transaction.abort(),
    };
  },
  createTimeTopic: async (name) => broker.createTimeTopic(name, 1),
  sendAt: async (topic, value, producerTime) => broker.appendAt([record(topic, 0, value)], producerTime),
});
