import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadProject } from '../../config/load.ts';
import { ensureTables, removeTables } from '../../infrastructure/clickhouse/ensure-tables.ts';
import { inMemory } from '../../infrastructure/readers/events.ts';
import { tell } from '../../pipelines/runs/changes.ts';
import { type PipelineRun, parseRun, stepOf } from '../../pipelines/runs/run.ts';
import { openServers, type Platform } from '../../platform/platform.ts';
import type { Project } from '../../schemas/project.ts';
import { applyProject, removeProject } from '../../streams/apply/apply.ts';
import { importHistory } from '../../streams/history/import.ts';
import { root } from '../architecture/sources.ts';
import { testStack } from '../stack.ts';
import { trainChampion } from '../trips/champion.ts';
import { FIRED, TURN, trips, writeProject } from '../trips/project.ts';

const directory = mkdtempSync(join(tmpdir(), 'millrace-pipelines-cli-'));
const declared = join(directory, 'project');
let project: Project;
let platform: Platform;
let variables: Record<string, string>;

beforeAll(async () => {
  const stack = await testStack();
  writeProject(declared);
  variables = {
    KAFKA_BROKERS: stack.kafka.join(','),
    REDIS_URL: stack.redis,
    REGISTRY_URL: stack.registry,
    CLICKHOUSE_URL: stack.clickhouse,
    HOOK_PORT: '9099',
    MILLRACE_DATA: directory,
  };
  project = loadProject(declared, { environment: variables, prefix: `test-${randomUUID().slice(0, 8)}` });
  platform = openServers(project, { artefacts: join(directory, 'artefacts') });
  await applyProject({ project, kafka: platform.kafka, declared: [] });
  await platform.codecs();
  await ensureTables(platform.warehouse, project);
  const [source = expect.fail('no source')] = project.sources;
  const file = inMemory('trips', 'b'.repeat(64), trips(), true);
  const { warehouse } = platform;
  await importHistory({ project, warehouse, source, file, from: null, to: FIRED, now: Date.now() });
});

afterAll(async () => {
  if (platform !== undefined) {
    const { kafka, store, warehouse } = platform;
    const removed = { kafka, store, removeSchemas: async () => 0, removeTables: async () => 0 };
    await removeProject(project.prefix, project.prefix, removed).catch(() => undefined);
    await removeTables(warehouse, project.prefix);
    await platform.close();
  }
  rmSync(directory, { recursive: true, force: true });
});

const words = (parameters: readonly string[]) => [
  join(root, 'cli/millrace.ts'),
  'pipelines',
  ...parameters,
  ...['--project', declared, '--prefix', project.prefix],
];
const environment = () => ({ ...process.env, ...variables });

function pipelines(...parameters: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((done) => {
    execFile(process.execPath, words(parameters), { env: environment() }, (error, out, err) => {
      const code = error === null ? 0 : Number(error.code);
      done({ code, out, err });
    });
  });
}

async function look(id: string): Promise<PipelineRun> {
  return parseRun((await platform.queue.documents.get(id)) ?? expect.fail(`no run ${id}`));
}

const begin = async (at: number): Promise<string> => {
  const { out } = await pipelines('run', '--at', new Date(at).toISOString(), '--outside', '--json');
  return (JSON.parse(out) as PipelineRun).id;
};

describe('steps that a scheduler of somebody else commands', () => {
  it('goes on after a process that was killed, once it is told that this one is dead', async () => {
    const id = await begin(TURN);
    const killed = spawn(process.execPath, words(['step', 'dataset', '--run', id]), {
      env: environment(),
      stdio: 'ignore',
    });
    const gone = new Promise((done) => killed.once('exit', done));
    while (stepOf(await look(id), 'dataset')?.state !== 'running') await sleep(2);
    killed.kill('SIGKILL');
    await gone;

    const refused = await pipelines('step', 'dataset', '--run', id);
    expect(refused).toMatchObject({ code: 2 });
    expect(refused.err).toMatch(/is in the hands of .*: ?\d+; if that process is dead, .*--take-over/);
    const taken = await pipelines('step', 'dataset', '--run', id, '--take-over');
    expect(taken).toMatchObject({ code: 0 });
    expect(stepOf(await look(id), 'dataset')).toMatchObject({ state: 'done', attempt: 2 });
  });

  it('says with its exit code whether it did its step, has to be asked again, or was asked too early', async () => {
    await trainChampion(project, platform);
    const run = await begin(FIRED);
    const tooEarly = await pipelines('step', 'train', '--run', run.slice(0, -1));
    expect(tooEarly.code, 'too early').toBe(2);
    expect(tooEarly.err, 'the beginning of an id will do').toContain(`${run} comes after tune`);
    const codes: Record<string, number> = {};
    for (const step of ['dataset', 'tune', 'train', 'evaluate', 'gate', 'register', 'shadow'])
      codes[step] = (await pipelines('step', step, '--run', run)).code;
    expect(codes).toEqual({ dataset: 0, tune: 0, train: 0, evaluate: 0, gate: 0, register: 0, shadow: 75 });
    const early = await pipelines('step', 'shadow', '--run', run);
    expect(early.code, 'nothing happened since').toBe(75);
    expect(early.err).toMatch(/waits in event time .* run it again after the next tick/);
    expect(stepOf(await look(run), 'shadow')?.attempt).toBe(1);
    // What the stream `pipelines` does at a tick.
    const before = JSON.stringify(await look(run));
    const told = tell(JSON.parse(before), FIRED + 3 * 3_600_000, Date.now());
    await platform.queue.documents.set(run, before, JSON.stringify(told));
    expect((await pipelines('step', 'shadow', '--run', run)).code, 'still nobody scored').toBe(75);
    expect(stepOf(await look(run), 'shadow')?.attempt).toBe(2);
  });

  it('says of a run that was ended that it was, not what a step of it lacks', async () => {
    const run = await begin(TURN);
    expect((await pipelines('cancel', run, '--reason', 'enough')).code).toBe(0);
    const { code, err } = await pipelines('step', 'train', '--run', run);
    expect(code).toBe(2);
    expect(err).toContain('cannot begin: the run is cancelled');
  });

  it('remarks that nobody works on a run for workers', async () => {
    const { code, err } = await pipelines('run', '--at', new Date(TURN).toISOString());
    expect(code).toBe(0);
    expect(err).toMatch(/no worker takes steps: start one with `millrace run pipelines`/);
  });
});
