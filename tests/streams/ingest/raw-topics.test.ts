import { afterAll, beforeAll, describe, it } from 'vitest';
import { createMemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../../infrastructure/memory/warehouse.ts';
import { wallClock } from '../../../platform/platform.ts';
import { readFromTheTeamsTopic } from './foreign-topic.ts';
import { cutBelow, madeAgainWhileStopped, partitionAdded, restoredWhileRunning } from './raw-topics.ts';

/** On a server: kafka.test.ts. */
describe('what happens to a raw topic', () => {
  const kafka = () => createMemoryBroker(wallClock).kafka();
  let warehouse: MemoryWarehouse;
  beforeAll(async () => {
    warehouse = await createMemoryWarehouse();
  });
  afterAll(() => warehouse.close());

  it('deleted and made again while nobody reads it', () => madeAgainWhileStopped(kafka(), warehouse));
  it('deleted and restored while it is read', () => restoredWhileRunning(kafka()));
  it('cut in front of ingest', () => cutBelow(kafka()));
  it('that a team has already: read from its start, and never written to', () =>
    readFromTheTeamsTopic(kafka(), warehouse));
  it('given a partition while it is read', () => partitionAdded(kafka(), warehouse));
});
