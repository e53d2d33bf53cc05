import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { loadProject } from '../../config/load.ts';
import { ensureTables, removeTables } from '../../infrastructure/clickhouse/ensure-tables.ts';
import type { StackAddresses } from '../../infrastructure/local/stack.ts';
import { openHistory } from '../../infrastructure/readers/open.ts';
import { type PlantOptions, plant } from '../../infrastructure/readers/planted.ts';
import type { HistoryFile } from '../../infrastructure/readers/port.ts';
import { openServers, type Platform } from '../../platform/platform.ts';
import type { ValidatedEvent } from '../../schemas/event.ts';
import { tables, topics } from '../../schemas/names.ts';
import type { Model, Project, RedisConnection, Source } from '../../schemas/project.ts';
import type { DeadLetter } from '../../schemas/records/dead-letter.ts';
import type { Prediction } from '../../schemas/records/prediction.ts';
import { topicSpecs } from '../../streams/apply/apply.ts';
import { backfillState } from '../../streams/history/backfill.ts';
import { importHistory } from '../../streams/history/import.ts';
import { startFor } from '../../streams/history/past.ts';
import { type ReplayProgress, type ReplayResult, replay } from '../../streams/replay/replay.ts';
import { readTails } from '../../streams/runtime/tail.ts';
import { startStreams } from '../start-streams.ts';
import type { Logged } from './logged.ts';

const ROOT = resolve(import.meta.dirname, '../..');

/** The flights project under a prefix of its own, on the servers of the test stack. */
export class Flights {
  readonly project: Project;
  readonly source: Source;
  readonly model: Model;
  readonly platform: Platform;
  readonly #stack: StackAddresses;
  readonly #redis: RedisConnection;
  readonly #data = mkdtempSync(join(tmpdir(), 'millrace-flights-'));
  readonly #children = new Set<ChildProcess>();

  /** A directory of its own, so that its processes read the same number of partitions. */
  readonly #directory = join(this.#data, 'project');

  /** @param redis what holds its keys instead of the stack's Redis. */
  constructor(stack: StackAddresses, partitions = 3, redis: RedisConnection = { url: stack.redis }) {
    this.#stack = stack;
    this.#redis = redis;
    cpSync(join(ROOT, 'config'), this.#directory, { recursive: true });
    this.#edit('project.yaml', /partitions: \d+/, `partitions: ${partitions}`);
    if (redis.sentinel !== undefined)
      this.#edit(
        'connections.yaml',
        /url: \$\{env:REDIS_URL.*/,
        `$&\n  sentinel: { primary: ${redis.sentinel.primary} }`,
      );
    this.project = loadProject(this.#directory, {
      environment: {},
      prefix: `test-${randomUUID().slice(0, 8)}`,
      connections: {
        kafka: { brokers: stack.kafka, tls: false, sasl: null },
        redis,
        registry: { url: stack.registry },
        clickhouse: { url: stack.clickhouse, database: 'default' },
      },
    });
    const [source] = this.project.sources;
    const [model] = this.project.models;
    if (source === undefined || model === undefined)
      throw new Error('the flights project has a source and a model');
    this.source = source;
    this.model = model;
    this.platform = openServers(this.project, { artefacts: join(this.#data, 'artefacts') });
  }

  #edit(name: string, text: RegExp, by: string): void {
    const path = join(this.#directory, name);
    writeFileSync(path, readFileSync(path, 'utf8').replace(text, by));
  }

  async createTables(): Promise<void> {
    await ensureTables(this.platform.warehouse, this.project);
  }

  /** History into ClickHouse, and the state that it makes into the online store. */
  async backfill(file: HistoryFile, to: number): Promise<void> {
    const { project, source } = this;
    const { warehouse, store, kafka } = this.platform;
    const from = startFor(project.views, to);
    await importHistory({ project, warehouse, source, file, from, to, now: Date.now() });
    await backfillState({ project, warehouse, store, kafka, codecs: await this.platform.codecs(), to });
  }

  async createTopics(): Promise<void> {
    const admin = await this.platform.kafka.admin();
    await admin.createTopics(topicSpecs(this.project)).finally(() => admin.close());
  }

  /** `millrace run <streams>` as a process of its own; resolves once its streams are composed. */
  async start(streams: readonly string[]): Promise<ChildProcess> {
    const child = await startStreams(streams, {
      project: this.#directory,
      prefix: this.project.prefix,
      data: this.#data,
      variables: this.#variables,
      log: 'inherit',
    });
    this.#children.add(child);
    return child;
  }

  get #variables() {
    const { kafka, registry, clickhouse } = this.#stack;
    return {
      KAFKA_BROKERS: kafka.join(','),
      REDIS_URL: this.#redis.url,
      REGISTRY_URL: registry,
      CLICKHOUSE_URL: clickhouse,
    };
  }

  /** `millrace <parameters>` of this project as a process of its own, with whatever Node itself is given. */
  command(parameters: readonly string[], node: readonly string[] = []): ChildProcess {
    const own = ['--project', this.#directory, '--prefix', this.project.prefix];
    return spawn(process.execPath, [...node, join(ROOT, 'cli/millrace.ts'), ...parameters, ...own], {
      cwd: this.#data,
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: { ...process.env, ...this.#variables, MILLRACE_DATA: this.#data },
    });
  }

  async replay(
    file: HistoryFile,
    range: { readonly from: number; readonly to: number },
    options: {
      readonly planted?: number;
      readonly speed?: number;
      /** A second replay of the same project needs another name. */
      readonly name?: string;
      readonly onProgress?: (progress: ReplayProgress) => void;
    } = {},
  ): Promise<ReplayResult> {
    const planting: PlantOptions = {
      source: this.source,
      seed: 1,
      each: options.planted ?? 0,
      keyOf: (event) => String(event[this.source.key]),
    };
    const { kafka, store, clock } = this.platform;
    return replay(
      { project: this.project, kafka, store, codecs: await this.platform.codecs(), clock },
      {
        source: this.source.name,
        name: options.name ?? 'test',
        items: plant(file, range, planting),
        speed: options.speed ?? Number.POSITIVE_INFINITY,
        signal: new AbortController().signal,
        waitLimitMs: 60_000,
        ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
      },
    );
  }

  /** What counts of what the streams wrote: repeats dropped by lineage. */
  async outcome(): Promise<Outcome> {
    const codecs = await this.platform.codecs();
    const { prefix } = this.project;
    const validated = codecs.validated(this.source.name);
    const read = async <T>(topic: string, decode: (bytes: Uint8Array) => T): Promise<T[]> =>
      (await readTails(this.platform.kafka, topic, 1e9)).flatMap((tail) =>
        tail.flatMap(({ value }) => (value === null ? [] : [decode(value)])),
      );
    const accepted = await read(topics.validated(prefix, this.source.name), (bytes) =>
      validated.decode(bytes),
    );
    const predictions = await read(topics.predictions(prefix, this.model.name), (bytes) =>
      codecs.predictions.decode(bytes),
    );
    const letters = await read(topics.deadLetters(prefix, this.source.name), (bytes) =>
      codecs.deadLetters.decode(bytes),
    );
    const first = firstOf(predictions, ({ id }) => id);
    return {
      accepted: firstOf(accepted, ({ event }) => event.id),
      predictions: first,
      letters: firstOf(letters, (l) => `${l.sourcePartition}:${l.sourceOffset}:${l.writer}`),
      repeats: predictions.length - first.length,
    };
  }

  /** What inference logged of a replayed stretch, once the archive has caught up with it. */
  async logged(file: HistoryFile, range: Logged['range']): Promise<Logged> {
    const { project, model, source } = this;
    const { accepted, predictions } = await this.outcome();
    await this.archived(accepted.length);
    const within = ({ time }: { readonly time: number }) => time >= range.from && time < range.to;
    return {
      project,
      model,
      source,
      warehouse: this.platform.warehouse,
      file,
      range,
      predictions: predictions.filter(({ requestTime }) => within({ time: requestTime })),
      accepted: new Map(accepted.filter(({ event }) => within(event)).map(({ event }) => [event.id, event])),
    };
  }

  /** Resolves once the archive holds so many events from Kafka. */
  async archived(events: number): Promise<void> {
    const table = tables.events(this.project.prefix, this.source.name);
    const deadline = Date.now() + 60_000;
    for (;;) {
      const [row] = await this.platform.warehouse.query<{ n: number }>(
        `SELECT count() AS n FROM \`${table}\` FINAL WHERE import_id = ''`,
      );
      if ((row?.n ?? 0) >= events) return;
      if (Date.now() > deadline)
        throw new Error(`the archive holds ${row?.n} of ${events} events after a minute`);
      await this.platform.clock.sleep(200);
    }
  }

  /** Stops every process and removes what this project made. */
  async remove(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    const { kafka, store } = this.platform;
    const admin = await kafka.admin();
    await admin.deleteTopics(topicSpecs(this.project).map(({ name }) => name)).finally(() => admin.close());
    const keys: string[] = [];
    for await (const key of store.scan(`mr:{${this.project.prefix}.`)) keys.push(key);
    await store.remove(keys);
    await removeTables(this.platform.warehouse, this.project.prefix);
    await this.platform.close();
    rmSync(this.#data, { recursive: true, force: true });
  }
}

export interface Outcome {
  readonly accepted: readonly ValidatedEvent[];
  readonly predictions: readonly Prediction[];
  readonly letters: readonly DeadLetter[];
  readonly repeats: number;
}

export function openFlightsFile(): Promise<HistoryFile> {
  const { sources } = loadProject(join(ROOT, 'config'), { environment: {} });
  const [source] = sources;
  if (source === undefined) throw new Error('the flights project has a source');
  return openHistory({ reader: 'flights' }, source, null);
}

/** One line a prediction, of everything that may not differ between two runs, in order of request. */
export function fingerprint(predictions: readonly Prediction[]): Map<string, string> {
  return new Map(
    predictions.map((p) => [
      p.requestId,
      createHash('sha256')
        .update(JSON.stringify([p.status, p.reason, p.score, p.vector.map(String), p.reads]))
        .digest('hex'),
    ]),
  );
}

function firstOf<T>(items: readonly T[], key: (item: T) => string): T[] {
  const seen = new Map<string, T>();
  for (const item of items) if (!seen.has(key(item))) seen.set(key(item), item);
  return [...seen.values()];
}
