import { describe, it } from 'vitest';
import { createMemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { wallClock } from '../../../platform/platform.ts';
import { cutBelow, madeAgainWhileStopped, partitionAdded, restoredWhileRunning } from './raw-topics.ts';

/** On a server: kafka.test.ts. */
describe('what happens to a raw topic', () => {
  const kafka = () => createMemoryBroker(wallClock).kafka();

  it('deleted and made again while nobody reads it', () => madeAgainWhileStopped(kafka()));
  it('deleted and restored while it is read', () => restoredWhileRunning(kafka()));
  it('cut in front of ingest', () => cutBelow(kafka()));
  it('given a partition while it is read', () => partitionAdded(kafka()));
});
