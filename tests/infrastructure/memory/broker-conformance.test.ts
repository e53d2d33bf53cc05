import { setTimeout as sleep } from 'node:timers/promises';
import { createMemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { kafkaConformance } from '../kafka/conformance.ts';

const broker = createMemoryBroker({ now: Date.now, sleep: (ms) => sleep(ms) });

kafkaConformance('memory', async () => broker.kafka());
