import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadProject } from '../../config/load.ts';
import type { StackAddresses } from '../../infrastructure/local/stack.ts';
import { createModelRegistry } from '../../infrastructure/registry/models.ts';
import { registerVersion } from '../../pipelines/rollout/moves.ts';
import { openServers, type Platform } from '../../platform/platform.ts';
import { topics } from '../../schemas/names.ts';
import { root } from '../architecture/sources.ts';
import { artefactFor } from '../simulation/versions.ts';
import { testStack } from '../stack.ts';

const prefix = `test-${randomUUID().slice(0, 8)}`;
const data = mkdtempSync(join(tmpdir(), 'millrace-models-'));
let stack: StackAddresses;
let platform: Platform;
let register: (seed: number) => Promise<void>;

beforeAll(async () => {
  stack = await testStack();
  const project = loadProject(join(root, 'config'), {
    environment: {},
    prefix,
    connections: {
      kafka: { brokers: stack.kafka, tls: false, sasl: null },
      redis: { url: stack.redis },
      registry: { url: stack.registry },
      clickhouse: { url: stack.clickhouse, database: 'default' },
    },
  });
  const [model = expect.fail('no model')] = project.models;
  platform = openServers(project, { artefacts: join(data, 'artefacts') });
  const admin = await platform.kafka.admin();
  await admin.createTopics([
    { name: topics.models(prefix), partitions: 1, retentionMs: -1, compacted: true },
  ]);
  await admin.close();
  const { models: codec } = await platform.codecs();
  const registry = createModelRegistry({ kafka: platform.kafka, codec, prefix });
  register = async (seed) => {
    const { bytes, layout } = artefactFor(model, seed);
    const { sha256, location } = await platform.artefacts.put(bytes);
    const made = { model: model.name, artefact: sha256, location, layout, as: 'auto' as const };
    await registerVersion(registry, made, { by: 'millrace train', reason: 'trained', evidence: { rows: 9 } });
  };
  for (const seed of [1, 2, 3]) await register(seed);
});

afterAll(async () => {
  const admin = await platform?.kafka.admin();
  await admin?.deleteTopics([topics.models(prefix)]);
  await admin?.close();
  await platform?.close();
  rmSync(data, { recursive: true, force: true });
});

function models(...parameters: string[]): Promise<{ code: number; out: string; err: string }> {
  const { kafka, redis, registry, clickhouse } = stack;
  return new Promise((done) => {
    execFile(
      join(root, 'millrace'),
      ['models', ...parameters, '--prefix', prefix, '--project', join(root, 'config')],
      {
        env: {
          ...process.env,
          MILLRACE_DATA: data,
          NO_COLOR: '1',
          USER: 'ann',
          KAFKA_BROKERS: kafka.join(','),
          REDIS_URL: redis,
          REGISTRY_URL: registry,
          CLICKHOUSE_URL: clickhouse,
        },
      },
      (error, out, err) => done({ code: error === null ? 0 : Number(error.code ?? 1), out, err }),
    );
  });
}

describe('millrace models', () => {
  it('lists, promotes, rolls back and retires by hand, each with its reason', {
    timeout: 120_000,
  }, async () => {
    const promoted = await models('promote', '2', '--reason', 'reviewed', '--effective-from', '2001-04-01');
    expect(promoted).toMatchObject({ code: 0, err: '' });
    expect(promoted.out).toBe(
      'Version 2 of late_arrival is champion, for requests from 2001-04-01T00:00:00Z on (change 4).\nVersion 1, the champion before, goes on in the shadow as its guard.\n',
    );
    const listed = await models();
    expect(listed.out).toMatch(/1 {2}guards version 2 .*2001-04-01T00:00:00Z .*ann, by hand/);
    expect(listed.out).toMatch(/3 {2}candidate +- .*millrace train +trained/);

    const [rolledBack, ...rest] = JSON.parse(
      (await models('rollback', '--json', '--reason', 'looks wrong', '--model', 'late_arrival')).out,
    );
    expect(rest).toEqual([]);
    expect(rolledBack).toMatchObject({
      version: 1,
      state: 'champion',
      former: 'retired',
      by: 'ann, by hand',
      change: 5,
    });
    expect((await models('retire', '3', '--reason', 'bad labels')).code).toBe(0);

    const shown = JSON.parse((await models('show', '2', '--json')).out);
    expect(shown).toMatchObject({ version: 2, state: 'retired', manifest: { model: 'late_arrival' } });
    expect(shown.changes.map(({ reason }: { reason: string }) => reason)).toEqual([
      'trained',
      'reviewed',
      'looks wrong',
    ]);
    expect(shown.registered.evidence).toEqual({ rows: 9 });
  });

  it('says in one sentence what cannot be done, and changes nothing', async () => {
    const before = (await models('--json')).out;
    const tries = await Promise.all([
      models('promote', '9', '--reason', 'x'),
      models('promote', '3', '--reason', 'x'),
      models('retire', '1', '--reason', 'x'),
      models('rollback', '--reason', 'x'),
    ]);
    expect(tries.map(({ code }) => code)).toEqual([1, 1, 1, 1]);
    expect(tries.map(({ err }) => err.trim().split('\n').length)).toEqual([1, 1, 1, 1]);
    const [unknown, retired, champion, first] = tries.map(({ err }) => err);
    expect(unknown).toContain('There is no version 9 of late_arrival: it has 1 to 3');
    expect(retired).toContain('Version 3 of late_arrival is retired since change 6 (bad labels)');
    expect(champion).toContain('is the champion of late_arrival, and there must be one');
    expect(first).toContain('there is none to go back to');
    const silent = await models('promote', '2', '--reason', '  ');
    expect(silent).toMatchObject({ code: 2, out: '' });
    expect(silent.err).toContain('Every change of a model says why');
    expect((await models('--json')).out).toBe(before);
  });

  it('names the champion before, not the guard that the same change retired', {
    timeout: 120_000,
  }, async () => {
    await register(4);
    await register(5);
    expect((await models('promote', '4', '--reason', 'x')).out).toContain('Version 1, the champion before,');
    expect((await models('promote', '5', '--reason', 'x')).out).toContain('Version 4, the champion before,');
    expect((await models('judge', '5', '--as-of', '2001-04-01')).out).toBe(
      'Version 5 is in no test: change 10 made it champion: x (as of 2001-04-01T00:00:00Z)\n',
    );
  });
});
