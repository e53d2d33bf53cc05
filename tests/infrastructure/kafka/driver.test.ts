import { randomUUID } from 'node:crypto';
import { ConfigResourceTypes } from 'kafkajs';
import { expect, it } from 'vitest';
import { createKafka } from '../../../infrastructure/kafka/driver.ts';
import { HOUR } from '../../../schemas/time.ts';
import { testStack } from '../../stack.ts';
import { kafkaConformance } from './conformance.ts';
import { createTimeTopic, foreign, sendAt, transaction } from './foreign.ts';

kafkaConformance('kafkajs', connect, { transaction, createTimeTopic, sendAt });

it('setting LogAppendTime leaves the other settings of a topic as they are', async () => {
  const topic = `test-${randomUUID()}`;
  await createTimeTopic(topic);
  const kafka = await connect();
  const admin = await kafka.admin();
  const other = (await foreign()).admin();
  await other.connect();
  try {
    await admin.stampByBroker(topic);
    const configNames = ['message.timestamp.type', 'retention.ms'];
    const { resources } = await other.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configNames }],
    });
    const settings = resources[0]?.configEntries.map(({ configName, configValue }) => [
      configName,
      configValue,
    ]);
    expect(Object.fromEntries(settings ?? [])).toEqual({
      'message.timestamp.type': 'LogAppendTime',
      'retention.ms': String(11 * HOUR),
    });
  } finally {
    await admin.deleteTopics([topic]);
    await kafka.close();
    await other.disconnect();
  }
});

async function connect() {
  const { kafka } = await testStack(['kafka']);
  return createKafka({ kafka: { brokers: kafka, tls: false, sasl: null } }, { clientId: 'conformance' });
}
