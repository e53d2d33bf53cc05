import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { Warehouse } from '../../../infrastructure/clickhouse/port.ts';
import { createWarehouse } from '../../../infrastructure/clickhouse/warehouse.ts';
import { createKafka } from '../../../infrastructure/kafka/driver.ts';
import type { Kafka } from '../../../infrastructure/kafka/port.ts';
import { testStack } from '../../stack.ts';
import { mendedRule } from './come-back.ts';

describe('dead letters on servers', () => {
  let kafka: Kafka;
  let warehouse: Warehouse;
  beforeAll(async () => {
    const { kafka: brokers, clickhouse } = await testStack(['kafka', 'clickhouse']);
    const clientId = `letters-${randomUUID().slice(0, 8)}`;
    kafka = createKafka({ kafka: { brokers, tls: false, sasl: null } }, { clientId });
    warehouse = createWarehouse({ url: clickhouse, database: 'millrace_tests' });
  });
  afterAll(async () => {
    await warehouse.close();
    await kafka.close();
  });

  it(
    'come back once, after a rule was mended, and what is late goes into history',
    () => mendedRule(kafka, warehouse),
    60_000,
  );
});
