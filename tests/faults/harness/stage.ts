import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadProject } from '../../../config/load.ts';
import { ensureTables } from '../../../infrastructure/clickhouse/ensure-tables.ts';
import { openServers, type Platform } from '../../../platform/platform.ts';
import { topics } from '../../../schemas/names.ts';
import type { Model, Project, Source } from '../../../schemas/project.ts';
import { applyProject } from '../../../streams/apply/apply.ts';
import { type Audit, audit } from '../../../streams/audit/audit.ts';
import { seeded } from '../../simulation/random.ts';
import type { Bench } from './bench.ts';
import { lagOf, positionsOf } from './hand.ts';
import { SOURCE, writeProject } from './project.ts';
import { STREAMS, type StreamName, Streams } from './streams.ts';

export interface StageOptions {
  readonly seed: number;
  readonly outOfOrdernessMs: number;
  readonly maxWait: string;
  /** Streams reach Kafka and Redis through our proxies. */
  readonly proxied: boolean;
}

/** One project under a prefix of its own, with its streams as processes of their own, on the servers of the bench. */
export interface Stage {
  readonly bench: Bench;
  readonly options: StageOptions;
  readonly project: Project;
  readonly source: Source;
  readonly model: Model;
  /** Straight to the servers, past the proxies. */
  readonly platform: Platform;
  readonly streams: Streams;
  readonly positions: ReturnType<typeof positionsOf>;
  readonly rawTopic: string;
  /** Chance of the scenario: the same seed gives the same strikes. */
  readonly random: () => number;
  /** Resolves once no stream has anything to do. Throws after `withinMs`, with what each has. */
  caughtUp(withinMs: number): Promise<void>;
  /** The books, once the archive has kept what the topics hold. */
  audited(withinMs: number): Promise<Audit>;
  close(): Promise<void>;
}

export async function openStage(bench: Bench, options: StageOptions): Promise<Stage> {
  const prefix = `fault-${randomUUID().slice(0, 8)}`;
  const directory = join(bench.directory, prefix);
  mkdirSync(directory, { recursive: true });
  const declared = join(directory, 'project');
  const primary = bench.store?.connection.sentinel?.primary;
  writeProject(declared, { ...options, ...(primary === undefined ? {} : { primary }) });
  const { brokers, redis, clickhouse, registry } = bench;
  const direct = {
    KAFKA_BROKERS: brokers.direct.join(','),
    REDIS_URL: bench.store?.connection.url ?? redis.url,
    REGISTRY_URL: registry.url,
    CLICKHOUSE_URL: clickhouse.url,
  };
  const variables = options.proxied
    ? { ...direct, KAFKA_BROKERS: brokers.proxied.join(','), REDIS_URL: redis.proxied }
    : direct;
  const project = loadProject(declared, { environment: direct, prefix });
  const [source] = project.sources;
  const [model] = project.models;
  if (source === undefined || model === undefined) throw new Error('the project has a source and a model');
  const platform = openServers(project, { artefacts: join(directory, 'artefacts') });
  const streams = new Streams({
    project: declared,
    prefix,
    data: directory,
    variables,
    logDir: join(bench.directory, 'logs'),
  });
  await applyProject({ project, kafka: platform.kafka, declared: [] });
  await ensureTables(platform.warehouse, project);
  await platform.codecs();
  await Promise.all(STREAMS.map((name) => streams.start(name)));
  const positions = positionsOf(project, platform);
  return {
    bench,
    options,
    project,
    source,
    model,
    platform,
    streams,
    positions,
    rawTopic: topics.raw(prefix, SOURCE),
    random: seeded(options.seed),
    caughtUp: (withinMs) => untilCaughtUp(positions, withinMs),
    audited: (withinMs) => audited(project, platform, withinMs),
    async close() {
      await streams.killAll();
      await platform.close().catch(() => undefined);
    },
  };
}

async function untilCaughtUp(positions: Stage['positions'], withinMs: number): Promise<void> {
  for (const end = Date.now() + withinMs; ; await sleep(400)) {
    const lags = await Promise.all(
      STREAMS.map(async (name): Promise<[StreamName, number]> => [name, await lagOf(positions[name])]),
    );
    const behind = lags.filter(([, lag]) => lag > 0);
    if (behind.length === 0) return;
    if (Date.now() > end)
      throw new Error(
        `after ${withinMs / 1_000} s there is still work: ${behind.map(([name, lag]) => `${name} ${lag} records`).join(', ')}`,
      );
  }
}

/** What `audit` finds, once it finds nothing that is still under way or the time is up. */
export async function audited(project: Project, platform: Platform, withinMs: number): Promise<Audit> {
  const { kafka, store, warehouse } = platform;
  const deps = { project, kafka, store, warehouse, codecs: await platform.codecs() };
  for (const end = Date.now() + withinMs; ; await sleep(1_000)) {
    const books = await audit(deps);
    if (books.status !== 'behind' || Date.now() > end) return books;
  }
}
