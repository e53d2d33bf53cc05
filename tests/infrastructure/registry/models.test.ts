import { beforeEach, describe, expect, it } from 'vitest';
import type { Kafka } from '../../../infrastructure/kafka/port.ts';
import { createMemoryBroker } from '../../../infrastructure/memory/broker.ts';
import {
  championOf,
  createModelRegistry,
  type ModelRegistry,
} from '../../../infrastructure/registry/models.ts';
import { topics } from '../../../schemas/names.ts';
import type { ModelVersion } from '../../../schemas/records.ts';

const codec = {
  encode: (version: ModelVersion) => Buffer.from(JSON.stringify(version)),
  decode: (bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString()) as ModelVersion,
};

function said(model: string, version: number, state: ModelVersion['state'], at = 0): ModelVersion {
  const rest = { artefact: `a${version}`, location: '', layout: 'l', by: 'test', reason: '', evidence: '{}' };
  const place = { change: 0, id: '', effectiveFrom: null, run: null };
  return { format: 1, model, version, state, at, ...rest, ...place };
}

let kafka: Kafka;
let registry: ModelRegistry;
beforeEach(async () => {
  kafka = createMemoryBroker({ now: Date.now, sleep: async () => {} }).kafka();
  const admin = await kafka.admin();
  await admin.createTopics([{ name: topics.models('p'), partitions: 1, retentionMs: -1, compacted: true }]);
  registry = createModelRegistry({ kafka, codec, prefix: 'p' });
});

describe('the registry of models', () => {
  it('is empty before anything is said', async () => {
    expect(await registry.list()).toEqual([]);
    expect(championOf([], 'late')).toBeNull();
  });

  it('keeps every word in order, and answers with the last about each version', async () => {
    await registry.append([said('late', 1, 'champion'), said('other', 1, 'candidate')]);
    await registry.append([said('late', 2, 'candidate', 5)]);
    await registry.append([said('late', 2, 'champion', 6), said('late', 1, 'retired', 6)]);
    expect((await registry.log()).map(({ model, version, state }) => `${model} ${version} ${state}`)).toEqual(
      ['late 1 champion', 'other 1 candidate', 'late 2 candidate', 'late 2 champion', 'late 1 retired'],
    );
    expect(await registry.list('late')).toEqual([
      said('late', 1, 'retired', 6),
      said('late', 2, 'champion', 6),
    ]);
    expect(await registry.list()).toHaveLength(3);
  });

  it('has one champion, the newer where two are named for a moment', async () => {
    await registry.append([said('late', 1, 'champion'), said('late', 2, 'champion')]);
    expect(championOf(await registry.list(), 'late')?.version).toBe(2);
    expect(championOf(await registry.list(), 'other')).toBeNull();
  });
});
