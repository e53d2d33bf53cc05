import { createKafka } from '../../../infrastructure/kafka/driver.ts';
import { testStack } from '../../stack.ts';
import { kafkaConformance } from './conformance.ts';

kafkaConformance('kafkajs', async () => {
  const { kafka } = await testStack(['kafka']);
  return createKafka({ kafka: { brokers: kafka, tls: false, sasl: null } }, { clientId: 'conformance' });
});
