import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { loadProject } from '../../../config/load.ts';
import { ArtefactStoreError } from '../../../infrastructure/artefacts/errors.ts';
import type { Kafka } from '../../../infrastructure/kafka/port.ts';
import { createMemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { createMemoryRegistry } from '../../../infrastructure/memory/registry.ts';
import { createModelRegistry, type ModelRegistry } from '../../../infrastructure/registry/models.ts';
import { promote, registerVersion } from '../../../pipelines/rollout/moves.ts';
import { wallClock } from '../../../platform/platform.ts';
import { topicSpecs } from '../../../streams/apply/apply.ts';
import { followModels, type ModelFollower } from '../../../streams/inference/follow-models.ts';
import { answerOf, draftOf } from '../../../streams/inference/predict.ts';
import { openCodecs } from '../../../streams/runtime/codecs.ts';
import { SILENT } from '../../../streams/runtime/telemetry.ts';
import { root } from '../../architecture/sources.ts';
import { artefactFor } from '../../simulation/versions.ts';

const project = loadProject(`${root}/tests/simulation/project`, { environment: {} });
const [model = expect.fail('no model')] = project.models;

let kafka: Kafka;
let registry: ModelRegistry;
let follower: ModelFollower | null;
const store = new Map<string, Uint8Array>();
const failures: string[] = [];
const by = (effectiveFrom: number | null = null) => ({ by: 'test', reason: 'test', effectiveFrom });

beforeEach(async () => {
  kafka = createMemoryBroker(wallClock).kafka();
  const admin = await kafka.admin();
  await admin.createTopics(topicSpecs(project));
  const { models: codec } = await openCodecs(project, createMemoryRegistry());
  registry = createModelRegistry({ kafka, codec, prefix: project.prefix });
  store.clear();
  failures.length = 0;
  follower = null;
});
afterEach(async () => {
  await follower?.close();
  await kafka.close();
});

async function follow(): Promise<ModelFollower> {
  const codecs = await openCodecs(project, createMemoryRegistry());
  follower = await followModels({
    prefix: project.prefix,
    model: model.name,
    kafka,
    codecs,
    clock: wallClock,
    telemetry: { ...SILENT, failure: (_, error) => void failures.push(error.message) },
    artefacts: {
      async get(address) {
        const bytes = store.get(address);
        if (bytes === undefined) throw new ArtefactStoreError('missing', 'It is not there yet.');
        return bytes;
      },
    },
  });
  return follower;
}

function make(
  seed: number,
  as: 'champion' | 'challenger' | 'candidate',
  from: number | null = null,
  of = model,
) {
  const { address, bytes } = artefactFor(of, seed);
  store.set(address, bytes);
  const made = { model: model.name, artefact: address, location: '', layout: of.layoutHash, as };
  return registerVersion(registry, made, by(from));
}

const rolesAt = ({ current }: ModelFollower, time: number) => {
  const { champion, shadows } = current()(time);
  return `${champion?.version ?? null} | ${shadows.map(({ version }) => version).join(' ')}`;
};

describe('following the registry', () => {
  it('knows at once what was said before, and after a refresh all that has been said', async () => {
    await make(1, 'champion');
    const models = await follow();
    expect(rolesAt(models, 0)).toBe('1 | ');
    await make(2, 'challenger', 100);
    await registry.append(model.name, promote(2, by(200)));
    await models.refresh();
    expect([50, 150, 250].map((time) => rolesAt(models, time))).toEqual(['1 | ', '1 | 2', '2 | 1']);
    expect(failures).toEqual([]);
  });

  it('keeps what a batch holds while another version takes over', async () => {
    await make(1, 'champion');
    const models = await follow();
    const held = models.current();
    await make(2, 'champion');
    await models.refresh();
    expect(held(0).champion?.version).toBe(1);
    expect(rolesAt(models, 0)).toBe('2 | 1');
  });

  it('passes over a version of which one bit is wrong, once with a sentence, for the champion before it', async () => {
    await make(1, 'champion');
    const { version } = await make(2, 'candidate');
    const bytes = Uint8Array.from(store.get(version.artefact) ?? []);
    bytes[700] = (bytes[700] ?? 0) ^ 4;
    store.set(version.artefact, bytes);
    const models = await follow();
    await registry.append(model.name, promote(2, by()));
    await make(3, 'challenger', 5);
    await models.refresh();
    expect(rolesAt(models, 10)).toBe('1 | 3');
    expect(failures).toEqual([expect.stringMatching(/^Version 2 of cost is passed over: .*altered or cut/)]);
  });

  it('tries again for an artefact that may be on its way', async () => {
    await make(1, 'champion');
    const { version } = await make(2, 'candidate');
    const bytes = store.get(version.artefact) ?? new Uint8Array();
    store.delete(version.artefact);
    await registry.append(model.name, promote(2, by()));
    const models = await follow();
    expect(rolesAt(models, 0)).toBe('1 | ');
    expect(failures).toEqual(['Version 2 of cost is passed over: It is not there yet.']);
    store.set(version.artefact, bytes);
    await vi.waitFor(() => expect(rolesAt(models, 0)).toBe('2 | 1'), { timeout: 15_000, interval: 100 });
    expect(failures).toHaveLength(1);
  });
});

describe('an answer', () => {
  const values = new Float64Array(model.features.length).fill(1);
  const vector = { status: 'read', values, reads: [], absent: [] } as const;
  const asked = {
    event: { id: 's1', type: 'trip.started', time: 5 },
    vector,
    sourceTopic: 'raw',
    sourcePartition: 1,
    sourceOffset: 9,
    rawAppendTime: 6,
    waitMs: 0,
  };

  it('of a challenger with another layout is a refusal, and the champion answers all the same', async () => {
    await make(1, 'champion');
    await make(2, 'challenger', null, { ...model, features: model.features.slice(1), layoutHash: 'other' });
    const { champion, shadows } = (await follow()).current()(0);
    const draft = draftOf(model, asked);
    expect(answerOf(draft, 'a', vector, champion)).toMatchObject({
      status: 'scored',
      modelVersion: 1,
      sourceOffset: 9,
    });
    expect(answerOf(draft, 'b', vector, shadows[0] ?? null)).toMatchObject({
      status: 'refused',
      reason: 'layout_mismatch',
      modelVersion: 2,
      score: null,
    });
    expect(answerOf(draft, 'c', vector, null)).toMatchObject({
      reason: 'no_model',
      modelVersion: 0,
      artefact: '',
    });
  });
});
