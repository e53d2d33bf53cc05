import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadProject } from '../../config/load.ts';
import { ensureTables } from '../../infrastructure/clickhouse/ensure-tables.ts';
import { inMemory } from '../../infrastructure/readers/events.ts';
import { plant } from '../../infrastructure/readers/planted.ts';
import type { HistoryFile } from '../../infrastructure/readers/port.ts';
import { createModelRegistry } from '../../infrastructure/registry/models.ts';
import { isTold } from '../../models/alerting/deliveries.ts';
import { AlertLog } from '../../monitoring/alerts/log.ts';
import { type PipelineRun, parseRun, stepOf } from '../../pipelines/runs/run.ts';
import { openServers, type Platform } from '../../platform/platform.ts';
import { tables } from '../../schemas/names.ts';
import { STEP_KINDS } from '../../schemas/pipeline.ts';
import type { Project } from '../../schemas/project.ts';
import type { Alert } from '../../schemas/records/alert.ts';
import { applyProject, removeProject } from '../../streams/apply/apply.ts';
import { type Audit, audit } from '../../streams/audit/audit.ts';
import { backfillState } from '../../streams/history/backfill.ts';
import { importHistory } from '../../streams/history/import.ts';
import { createLoopLimit } from '../../streams/replay/loop-limit.ts';
import { replay } from '../../streams/replay/replay.ts';
import { type TestServer, testServer } from '../infrastructure/redis/server.ts';
import { testStack } from '../stack.ts';
import { trainChampion } from '../trips/champion.ts';
import { Processes } from '../trips/processes.ts';
import { END, FIRED, TURN, trips, writeProject } from '../trips/project.ts';
import { type SlowLine, type Struck, slowLine, startClickHouse } from '../trips/servers.ts';

const RUN = `retrain@${new Date(FIRED).toISOString().replace('.000Z', 'Z').replaceAll(':', '')}`;
const LOOK_MS = 2;
/** Of all that a worker asks of ClickHouse: so even a short step is long enough to be struck. */
const LINE_MS = 30;

/**
 * The whole loop on real servers: prices turn round, the model's loss fires an alert, the alert starts `retrain`, and the
 * new version is promoted. Whoever has a step in hand is killed; Redis and ClickHouse are killed and started again.
 */
describe('kill -9 of a worker in each step of a pipeline that an alert started', () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-loop-'));
  let redis: TestServer;
  let clickhouse: Struck;
  let line: SlowLine;
  let file: HistoryFile;
  let project: Project;
  let platform: Platform;
  let processes: Processes;
  let variables: Record<string, string>;

  /** Drops repeats by delivery id, as a receiver should; the first that it hears of it does not answer, but kills. */
  const heard = { taken: [] as string[], deliveries: new Set<string>(), requests: 0 };
  let telling = 0;
  const receiver = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const id = String(request.headers['millrace-delivery']);
      const { alerts } = JSON.parse(Buffer.concat(chunks).toString()) as { alerts: Alert[] };
      heard.requests += 1;
      if (!heard.deliveries.has(id)) heard.taken.push(...alerts.map((one) => `${one.id} ${one.state}`));
      heard.deliveries.add(id);
      if (heard.requests > 1) return void response.writeHead(200).end();
      processes.kill(telling);
      void startWatching();
    });
  });

  const startWatching = async () => {
    telling = await processes.start(['monitoring', 'delivery'], variables);
  };
  const startWorker = () => processes.start(['pipelines'], { ...variables, CLICKHOUSE_URL: line.url });

  beforeAll(async () => {
    const shared = await testStack(['kafka', 'registry']);
    // Servers of its own, as they are struck too.
    redis = await testServer({ extra: ['--appendonly', 'yes', '--maxmemory-policy', 'noeviction'] });
    clickhouse = await startClickHouse(join(directory, 'clickhouse'));
    line = await slowLine(clickhouse.url, LINE_MS);
    await new Promise<void>((done) => receiver.listen(0, '127.0.0.1', done));
    variables = {
      KAFKA_BROKERS: shared.kafka.join(','),
      REDIS_URL: redis.url,
      REGISTRY_URL: shared.registry,
      CLICKHOUSE_URL: clickhouse.url,
      HOOK_PORT: String((receiver.address() as AddressInfo).port),
    };
    const declared = join(directory, 'project');
    writeProject(declared);
    project = loadProject(declared, { environment: variables, prefix: `test-${randomUUID().slice(0, 8)}` });
    platform = openServers(project, { artefacts: join(directory, 'artefacts') });
    processes = new Processes({ project: declared, prefix: project.prefix, data: directory });
    await learnFromHistory();
    await Promise.all([
      processes.start(['ingest', 'features', 'inference', 'archive'], variables),
      startWatching(),
      startWorker(),
      startWorker(),
    ]);
  });

  afterAll(async () => {
    processes?.killAll();
    receiver.closeAllConnections();
    receiver.close();
    if (platform !== undefined) {
      await removeProject(project.prefix, project.prefix, {
        kafka: platform.kafka,
        store: platform.store,
        removeSchemas: async () => 0,
        removeTables: async () => 0,
      }).catch(() => undefined);
      await platform.close().catch(() => undefined);
    }
    await line?.close();
    await redis?.stop();
    await clickhouse?.kill();
    rmSync(directory, { recursive: true, force: true });
  });

  /** Topics, tables, the state as of `TURN`, and the first champion. */
  async function learnFromHistory(): Promise<void> {
    const { kafka, store, warehouse } = platform;
    const [source] = project.sources;
    if (source === undefined) throw new Error('the project has a source');
    file = inMemory('trips', 'b'.repeat(64), trips(), true);
    await applyProject({ project, kafka, declared: [] });
    const codecs = await platform.codecs();
    await ensureTables(warehouse, project);
    await importHistory({ project, warehouse, source, file, from: null, to: TURN, now: Date.now() });
    await backfillState({ project, warehouse, store, kafka, codecs, to: TURN, whole: true });
    await trainChampion(project, platform);
  }

  const look = async (): Promise<PipelineRun | null> => {
    const text = await platform.queue.documents.get(RUN).catch(() => null);
    return text === null ? null : parseRun(text);
  };

  /** Kills who has the step in hand; false where it went through before it was seen. */
  async function strike(step: string): Promise<boolean> {
    for (const end = Date.now() + 90_000; Date.now() < end; await sleep(LOOK_MS)) {
      const run = await look();
      const record = run === null ? undefined : stepOf(run, step);
      if (record?.state === 'done') return false;
      if (record?.state !== 'running') continue;
      if (processes.kill(Number(record.worker.split(':').at(-1)))) return true;
    }
    throw new Error(`${step} was not reached: ${JSON.stringify(await look())}`);
  }

  async function strikeAll(): Promise<readonly string[]> {
    const struck: string[] = [];
    const starting: Promise<unknown>[] = [];
    for (const step of STEP_KINDS) {
      // The next step may begin at once, at the other worker: nothing is waited for here.
      if (await strike(step)) {
        struck.push(step);
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
    return struck;
  }

  async function replayTrips() {
    const { kafka, store, warehouse, clock } = platform;
    const [source] = project.sources;
    if (source === undefined) throw new Error('the project has a source');
    const keyOf = (event: { readonly [field: string]: unknown }) => String(event[source.key]);
    return replay(
      { project, kafka, store, codecs: await platform.codecs(), clock },
      {
        source: source.name,
        name: 'test',
        items: plant(file, { from: TURN, to: END }, { source, seed: 1, each: 0, keyOf }),
        speed: Number.POSITIVE_INFINITY,
        signal: new AbortController().signal,
        loop: createLoopLimit({ warehouse, project }),
      },
    );
  }

  /** The books, once the archive has kept what the topics hold. */
  async function audited(): Promise<Audit> {
    const { kafka, store, warehouse } = platform;
    const deps = { project, kafka, store, warehouse, codecs: await platform.codecs() };
    for (const end = Date.now() + 30_000; ; await sleep(200)) {
      const books = await audit(deps);
      if (books.status !== 'behind' || Date.now() > end) return books;
    }
  }

  it('resumes, registers one model, promotes it, and tells each change of an alert once', async () => {
    const [struck, replayed] = await Promise.all([strikeAll(), replayTrips()]);
    expect(struck, 'each step was in hand when its worker died').toEqual(STEP_KINDS);
    expect(replayed.complete).toBe(true);

    const run = await look();
    expect(run?.cause).toMatch(/^alert /);
    expect(run?.steps.map(({ step, state, error }) => [step.name, state, error])).toEqual(
      STEP_KINDS.map((name) => [name, 'done', '']),
    );
    for (const { step, attempt } of run?.steps ?? []) expect(attempt, step.name).toBeGreaterThan(1);

    const codecs = await platform.codecs();
    const { kafka, warehouse } = platform;
    const registry = createModelRegistry({ kafka, codec: codecs.models, prefix: project.prefix });
    expect((await registry.log()).map(({ version, state, by, run: of }) => [version, state, by, of])).toEqual(
      [
        [1, 'champion', 'test', null],
        [2, 'challenger', 'pipeline retrain', RUN],
        [2, 'champion', 'pipeline retrain', null],
      ],
    );
    const trained = await warehouse.query<{ artefacts: number; datasets: number }>(
      `SELECT uniqExact(artefact) AS artefacts, uniqExact(dataset) AS datasets FROM ${tables.runs(project.prefix)}
       WHERE kind = 'train' AND state = 'done' AND parent = '${RUN}'`,
    );
    expect(trained, 'every try made the same').toEqual([{ artefacts: 1, datasets: 1 }]);

    const log = new AlertLog({ kafka, codec: codecs.alerts, prefix: project.prefix });
    await log.catchUp();
    const told = log.changes().filter(isTold);
    expect(told.map(({ rule, state }) => `${rule} ${state}`)).toEqual([
      'model_worse firing',
      'model_worse resolved',
    ]);
    expect(heard.taken).toEqual(told.map(({ id, state }) => `${id} ${state}`));
    expect(heard.requests, 'what was not answered came again').toBeGreaterThan(heard.deliveries.size);

    const requests = trips().filter(({ type, time }) => type === 'trip.started' && time >= TURN).length;
    const books = await audited();
    expect(books.findings).toEqual([]);
    expect(books.models).toMatchObject([{ requests, predictions: requests, refused: 0, rows: requests }]);
    // Version 1 goes on as the guard of version 2, which took over before the end.
    const [second, first] = [2, 1].map((version) =>
      books.models[0]?.shadows.find((one) => one.version === version),
    );
    expect(second?.answers).toBeGreaterThan(1_000);
    expect(first?.answers).toBeGreaterThan(100);
    const open = await warehouse.query(
      `SELECT tick FROM ${tables.ticks(project.prefix)} FINAL WHERE state <> 'finished'`,
    );
    expect(open).toEqual([]);
  }, 240_000);
});
