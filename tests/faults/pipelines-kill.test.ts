import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadProject } from '../../config/load.ts';
import { ensureTables } from '../../infrastructure/clickhouse/ensure-tables.ts';
import { clickhouse as service } from '../../infrastructure/local/clickhouse.ts';
import { freePort } from '../../infrastructure/local/ports.ts';
import { inMemory } from '../../infrastructure/readers/events.ts';
import { createModelRegistry } from '../../infrastructure/registry/models.ts';
import type { EventRecord } from '../../schemas/event.ts';
import { tables } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import { DAY, HOUR, MINUTE } from '../../schemas/time.ts';
import { applyProject, removeProject } from '../../streams/apply.ts';
import { importHistory } from '../../streams/history/import.ts';
import { type PipelineRun, parseRun, stepOf } from '../../streams/pipelines/state.ts';
import { openServers, type Platform } from '../../streams/platform.ts';
import { type TestServer, testServer } from '../infrastructure/redis/server.ts';
import { testStack } from '../stack.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const BEGIN = Date.UTC(2026, 0, 1);
const TICK = BEGIN + 4 * DAY;

const PIPELINES = `pipelines:
  - pipeline: daily
    model: cost
    start: { every: 1d }
    steps:
      - { step: dataset, retries: 10, with: { last: 4d } }
      - { step: train, retries: 10 }
      - { step: evaluate, retries: 10 }
      - { step: gate, retries: 10 }
      - { step: register, retries: 10 }
`;

/** A trip a minute; the price follows the hour and the zone, with some noise. */
function* trips(): Generator<EventRecord> {
  let state = 7;
  const random = () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
  for (let time = BEGIN; time < TICK - HOUR; time += MINUTE) {
    const zone = `z${Math.floor(random() * 4)}`;
    const trip = { car: `car-${time}`, zone, to: `z${Math.floor(random() * 4)}` };
    const price = 20 + 10 * Number(zone.slice(1)) + 40 * random();
    const none = { price: null, started_at: null };
    yield { ...trip, ...none, id: `s-${time}`, type: 'trip.started', time };
    yield { ...trip, id: `e-${time}`, type: 'trip.ended', time: time + 10 * MINUTE, price, started_at: time };
  }
}

interface Struck {
  readonly url: string;
  start(): Promise<void>;
  kill(): Promise<void>;
}

/** A server of one test, which comes back at the same place with what it had. */
async function startClickHouse(dataDir: string): Promise<Struck> {
  mkdirSync(dataDir, { recursive: true });
  const ports = { main: await freePort([], new Set()) };
  const { signal } = new AbortController();
  const installed = await service.install({ cacheDir: dataDir, report: () => undefined, signal });
  const { command, args, env, cwd } = await service.launch({ installed, dataDir, ports, kafka: '', signal });
  let child: ChildProcess | undefined;
  const struck: Struck = {
    url: service.address(ports.main),
    async start() {
      child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: 'ignore' });
      for (let tries = 0; tries < 600; tries += 1) {
        if (await service.ready(ports).catch(() => false)) return;
        await sleep(50);
      }
      throw new Error('ClickHouse did not start');
    },
    async kill() {
      const dying = child;
      if (dying === undefined || dying.exitCode !== null || dying.signalCode !== null) return;
      const gone = new Promise((done) => dying.once('exit', done));
      dying.kill('SIGKILL');
      await gone;
    },
  };
  await struck.start();
  return struck;
}

describe('kill -9 of a worker in each step of a pipeline', () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-pipelines-'));
  const workers = new Map<number, ChildProcess>();
  let redis: TestServer;
  let clickhouse: Struck;
  let project: Project;
  let platform: Platform;
  let variables: Record<string, string>;

  beforeAll(async () => {
    const shared = await testStack(['kafka', 'registry']);
    // Servers of its own, as they are struck too.
    redis = await testServer(['--appendonly', 'yes', '--maxmemory-policy', 'noeviction']);
    clickhouse = await startClickHouse(join(directory, 'clickhouse'));
    const own = join(directory, 'project');
    cpSync(join(ROOT, 'tests/simulation/project'), own, { recursive: true });
    const model = join(own, 'models/cost.yaml');
    writeFileSync(
      model,
      `${readFileSync(model, 'utf8').replace(/^trainer:.*$/m, 'trainer: { name: logistic, epochs: 20 }')}rollout: { gate: { test_last: 1d, min_rows: 100, max_loss: 1, max_calibration_error: 0.5 } }\n`,
    );
    writeFileSync(join(own, 'pipelines.yaml'), PIPELINES);
    variables = {
      KAFKA_BROKERS: shared.kafka.join(','),
      REDIS_URL: redis.url,
      REGISTRY_URL: shared.registry,
      CLICKHOUSE_URL: clickhouse.url,
    };
    project = loadProject(own, { environment: variables, prefix: `test-${randomUUID().slice(0, 8)}` });
    platform = openServers(project, { artefacts: join(directory, 'artefacts') });
    const { kafka, warehouse } = platform;
    await applyProject({ project, kafka, declared: [] });
    await platform.codecs();
    await ensureTables(warehouse, project);
    const [source] = project.sources;
    if (source === undefined) throw new Error('the project has a source');
    const events = [...trips()].sort((a, b) => a.time - b.time);
    const file = inMemory('trips', 'b'.repeat(64), events, true);
    await importHistory({ project, warehouse, source, file, from: null, to: null, now: Date.now() });
    await Promise.all([startWorker(), startWorker()]);
  }, 180_000);

  afterAll(async () => {
    for (const worker of workers.values()) worker.kill('SIGKILL');
    if (platform !== undefined) {
      await removeProject(project.prefix, project.prefix, {
        kafka: platform.kafka,
        store: platform.store,
        removeSchemas: async () => 0,
        removeTables: async () => 0,
      }).catch(() => undefined);
      await platform.close().catch(() => undefined);
    }
    await redis?.stop();
    await clickhouse?.kill();
    rmSync(directory, { recursive: true, force: true });
  });

  async function startWorker(): Promise<void> {
    const child = spawn(
      process.execPath,
      [
        join(ROOT, 'cli/millrace.ts'),
        'run',
        'pipelines',
        '--prefix',
        project.prefix,
        '--project',
        project.directory,
      ],
      {
        cwd: directory,
        stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
        env: { ...process.env, ...variables, MILLRACE_DATA: directory },
      },
    );
    await new Promise((ready, fail) => {
      child.once('message', ready);
      child.once('exit', (code) => fail(new Error(`a worker ended with ${code} before it was ready`)));
    });
    workers.set(child.pid ?? 0, child);
  }

  async function look(id: string): Promise<PipelineRun | null> {
    const text = await platform.queue.documents.get(id).catch(() => null);
    return text === null ? null : parseRun(text);
  }

  /** Kills the worker that holds the step; answers whether one did. */
  async function strike(id: string, step: string): Promise<boolean> {
    const run = await look(id);
    const record = run === null ? undefined : stepOf(run, step);
    if (record?.state !== 'running') return false;
    const pid = Number(record.worker.split(':').at(-1));
    const worker = workers.get(pid);
    if (worker === undefined) return false;
    worker.kill('SIGKILL');
    workers.delete(pid);
    return true;
  }

  async function until<T>(what: () => Promise<T | false | null | undefined>, withinMs = 60_000): Promise<T> {
    for (const end = Date.now() + withinMs; ; ) {
      const found = await what();
      if (found) return found;
      if (Date.now() > end) throw new Error(`not in time: ${JSON.stringify(await look(ID))}`);
      await sleep(2);
    }
  }
  const ID = 'daily@2026-01-05T000000Z';

  it('resumes, with the servers restarted in the middle, and registers one model', async () => {
    const iso = (time: number) => new Date(time).toISOString();
    const row = { tick: iso(TICK), state: 'measured', detail: '{}', at: iso(Date.now()) };
    await platform.warehouse.insert(tables.ticks(project.prefix), [row], { token: 'measured' });
    const killed: string[] = [];
    const starting: Promise<void>[] = [];
    for (const step of ['dataset', 'train', 'evaluate', 'gate', 'register']) {
      const struck = await until(async () => {
        if (await strike(ID, step)) return 'killed';
        const run = await look(ID);
        return run !== null && stepOf(run, step)?.state === 'done' ? 'through' : null;
      });
      if (struck === 'killed') {
        killed.push(step);
        // The next step may begin at once, at the other worker: nothing is waited for here.
        starting.push(startWorker());
      }
      if (step === 'dataset') {
        await redis.kill();
        await redis.start();
      }
      if (step === 'train') {
        await clickhouse.kill();
        await clickhouse.start();
      }
    }
    await Promise.all(starting);
    const run = await until(async () => {
      const found = await look(ID);
      return found !== null && !['waiting', 'running'].includes(found.state) ? found : null;
    });
    expect(run.steps.map(({ step, state, error }) => [step.name, state, error])).toEqual(
      ['dataset', 'train', 'evaluate', 'gate', 'register'].map((name) => [name, 'done', '']),
    );
    expect(killed, 'each step was in hand when its worker died').toEqual([
      'dataset',
      'train',
      'evaluate',
      'gate',
      'register',
    ]);
    for (const { step, attempt } of run.steps) expect(attempt, step.name).toBeGreaterThan(1);

    const { models } = await platform.codecs();
    const registry = createModelRegistry({ kafka: platform.kafka, codec: models, prefix: project.prefix });
    const log = await registry.log();
    expect(log.map(({ version, state, run: of }) => [version, state, of])).toEqual([[1, 'champion', ID]]);
    await until(async () => {
      const [tick] = await platform.warehouse.query<{ state: string }>(
        `SELECT state FROM ${tables.ticks(project.prefix)} FINAL`,
      );
      return tick?.state === 'finished';
    });
    const kept = await platform.warehouse.query<{ step: string; state: string }>(
      `SELECT step, argMax(state, attempt) AS state FROM ${tables.pipelineSteps(project.prefix)} FINAL GROUP BY step ORDER BY step`,
    );
    expect(kept).toEqual(
      ['dataset', 'evaluate', 'gate', 'register', 'train'].map((step) => ({ step, state: 'done' })),
    );
    const trained = await platform.warehouse.query<{ artefacts: number; datasets: number }>(
      `SELECT uniqExact(artefact) AS artefacts, uniqExact(dataset) AS datasets FROM ${tables.runs(project.prefix)} WHERE kind = 'train' AND state = 'done'`,
    );
    expect(trained, 'every try made the same').toEqual([{ artefacts: 1, datasets: 1 }]);
  }, 150_000);
});
