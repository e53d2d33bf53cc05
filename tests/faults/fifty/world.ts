import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { applyDeps } from '../../../cli/commands/apply.ts';
import { ensureTables } from '../../../infrastructure/clickhouse/ensure-tables.ts';
import type { OutgoingRecord, Producer } from '../../../infrastructure/kafka/port.ts';
import type { MemoryWarehouse } from '../../../infrastructure/memory/warehouse.ts';
import { createModelRegistry } from '../../../infrastructure/registry/models.ts';
import { AlertLog } from '../../../monitoring/alerts/log.ts';
import { registerVersion } from '../../../pipelines/rollout/moves.ts';
import { fitModel } from '../../../pipelines/training/fit.ts';
import { composeStreams, STREAM_NAMES } from '../../../platform/compose.ts';
import { openTwins, type Platform } from '../../../platform/platform.ts';
import { partitionOf } from '../../../processors/partition.ts';
import { tables, topics } from '../../../schemas/names.ts';
import type { Project } from '../../../schemas/project.ts';
import type { Alert } from '../../../schemas/records/alert.ts';
import type { DeadLetter } from '../../../schemas/records/dead-letter.ts';
import type { Prediction } from '../../../schemas/records/prediction.ts';
import { applyProject } from '../../../streams/apply/apply.ts';
import { runStreams } from '../../../streams/runtime/supervise.ts';
import { readTails } from '../../../streams/runtime/tail.ts';
import { SILENT, type Telemetry } from '../../../streams/runtime/telemetry.ts';
import { fiftyProject } from './project.ts';

/** Which bad thing a record is, so that its dead letter can be found. */
const NAME = 'bad-thing';
const ALL = 1_000_000;

/** The project, running on the twins in this process, and all that it tells. */
export class World {
  readonly project: Project;
  readonly platform: Platform;
  readonly foreign: string[];
  /** Streams that failed in a way that was told as lasting, by stream. */
  readonly failing: Array<{ readonly stream: string; readonly reason: string }> = [];
  readonly notes: string[] = [];
  readonly asked: string[] = [];
  readonly #producer: Producer;
  readonly #directory: string;
  readonly #abort = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #close: () => Promise<void> = async () => {};

  private constructor(
    project: Project,
    platform: Platform,
    producer: Producer,
    directory: string,
    foreign: string[],
  ) {
    this.project = project;
    this.platform = platform;
    this.#producer = producer;
    this.#directory = directory;
    this.foreign = foreign;
  }

  /** `hook`: URL of the receiver of alerts. */
  static async open(hook: string): Promise<World> {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-fifty-'));
    const project = fiftyProject(join(directory, 'project'), hook);
    const foreign: string[] = [];
    const platform = await openTwins(project, {
      artefacts: join(directory, 'artefacts'),
      onForeign: (kind) => void foreign.push(kind),
    });
    await applyProject(applyDeps(project, platform));
    const world = new World(project, platform, await platform.kafka.producer(), directory, foreign);
    await world.#publishModel();
    return world;
  }

  get warehouse(): MemoryWarehouse {
    return this.platform.warehouse as MemoryWarehouse;
  }

  async start(): Promise<void> {
    const { kafka, store, warehouse, artefacts, clock, queue } = this.platform;
    const telemetry: Telemetry = {
      ...SILENT,
      failing: (stream, failure) => {
        if (failure !== null) this.failing.push({ stream, reason: failure.reason });
      },
      note: (_, message) => void this.notes.push(message),
    };
    const composed = await composeStreams(
      {
        project: this.project,
        kafka,
        store,
        warehouse,
        artefacts,
        clock,
        codecs: await this.platform.codecs(),
        telemetry,
        pipelines: { queue, execute: () => Promise.reject(new Error('there is no pipeline')) },
      },
      STREAM_NAMES,
    );
    this.#running = runStreams(composed.streams, this.#abort.signal, { telemetry });
    this.#running.catch(() => {});
    this.#close = () => composed.close();
  }

  async send(records: readonly OutgoingRecord[]): Promise<void> {
    await this.#producer.send(records);
  }

  /** A good payment of now; its answer is looked for at the end. */
  async ask(n: number): Promise<void> {
    const card = `card-${n % 16}`;
    const id = `good-${n}`;
    this.asked.push(id);
    await this.send([this.payment({ id, card, amount: 10 + (n % 90) })]);
  }

  payment(fields: Readonly<Record<string, unknown>>): OutgoingRecord {
    const card = String(fields.card ?? 'card-0');
    const value = {
      kind: 'payment',
      at: new Date().toISOString(),
      card,
      merchant: 'm',
      amount: 1,
      ...fields,
    };
    return this.raw('payments', Buffer.from(JSON.stringify(value)), card);
  }

  raw(source: string, value: Uint8Array | null, key = 'card-0'): OutgoingRecord {
    const partitions = this.project.sources.find(({ name }) => name === source)?.partitions ?? 1;
    return {
      topic: topics.raw(this.project.prefix, source),
      partition: partitionOf(key, partitions),
      key: Buffer.from(key),
      value,
    };
  }

  /** Sends a bad record under the name of its thing. */
  async throwRecord(name: string, record: OutgoingRecord): Promise<void> {
    await this.send([{ ...record, headers: { ...record.headers, [NAME]: name } }]);
  }

  /** Codes of the dead letters of the records of each bad thing. */
  async letters(): Promise<ReadonlyMap<string, readonly string[]>> {
    const { kafka } = this.platform;
    const codecs = await this.platform.codecs();
    const found = new Map<string, string[]>();
    for (const { name } of this.project.sources) {
      const places = new Map<string, string>();
      for (const tail of await readTails(kafka, topics.raw(this.project.prefix, name), ALL))
        for (const { partition, offset, headers } of tail) {
          const thing = headers?.[NAME];
          if (thing !== undefined) places.set(`${partition}:${offset}`, Buffer.from(thing).toString());
        }
      for (const tail of await readTails(kafka, topics.deadLetters(this.project.prefix, name), ALL))
        for (const { value } of tail) {
          const letter: DeadLetter | null = value === null ? null : codecs.deadLetters.read(value);
          if (letter === null) continue;
          const thing = places.get(`${letter.sourcePartition}:${letter.sourceOffset}`) ?? 'good traffic';
          found.set(thing, [...(found.get(thing) ?? []), letter.code]);
        }
    }
    return found;
  }

  async predictions(): Promise<readonly Prediction[]> {
    const codecs = await this.platform.codecs();
    const tails = await readTails(this.platform.kafka, topics.predictions(this.project.prefix, 'fraud'), ALL);
    return tails
      .flat()
      .flatMap(({ value }) => (value === null ? [] : (codecs.predictions.read(value) ?? [])));
  }

  async alert(alert: Alert): Promise<void> {
    const { alerts: codec } = await this.platform.codecs();
    const log = new AlertLog({ kafka: this.platform.kafka, codec, prefix: this.project.prefix });
    await log.catchUp();
    await log.append([alert]);
    await log.close();
  }

  async deliveries(): Promise<
    ReadonlyArray<{ readonly status: string; readonly alerts: readonly string[] }>
  > {
    return this.warehouse.query(`SELECT status, alerts FROM ${tables.deliveries(this.project.prefix)} FINAL`);
  }

  /** Good requests in ClickHouse, and their answers. */
  async archived(): Promise<{ events: number; ids: number; answers: number }> {
    const { prefix } = this.project;
    const [events] = await this.warehouse.query<{ events: number; ids: number }>(
      `SELECT count() AS events, uniqExact(id) AS ids FROM ${tables.events(prefix, 'payments')} WHERE id LIKE 'good-%'`,
    );
    const [answers] = await this.warehouse.query<{ answers: number }>(
      `SELECT count() AS answers FROM ${tables.predictions(prefix, 'fraud')} FINAL WHERE request_id LIKE 'good-%'`,
    );
    return { events: events?.events ?? 0, ids: events?.ids ?? 0, answers: answers?.answers ?? 0 };
  }

  /** What `apply` does where a table is gone. */
  async mendTables(): Promise<void> {
    await ensureTables(this.warehouse, this.project);
  }

  /** Ends the streams; rejects with the first failure that was not got over. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#running.catch(() => {});
    await this.#close();
    await this.#producer.close();
    await this.platform.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #publishModel(): Promise<void> {
    const { project, platform } = this;
    const [model] = project.models;
    if (model === undefined) throw new Error('a model');
    const rows = 200;
    const { bytes, address } = await fitModel({
      project,
      model,
      training: {
        ids: Array.from({ length: rows }, (_, i) => String(i)),
        times: Float64Array.from({ length: rows }, (_, i) => i),
        rows: Float64Array.from({ length: rows * model.features.length }, (_, i) => (i * 7) % 13),
        labels: Uint8Array.from({ length: rows }, (_, i) => (i % 3 === 0 ? 1 : 0)),
        cells: new Int16Array(rows),
        logged: 0,
        backfilled: rows,
        untold: 0,
        query: '',
        from: 0,
        to: rows,
        hash: '0',
      },
      test: null,
      asOf: 0,
      codeVersion: 'test',
    });
    const { location } = await platform.artefacts.put(bytes);
    const { models: codec } = await platform.codecs();
    await registerVersion(
      createModelRegistry({ kafka: platform.kafka, codec, prefix: project.prefix }),
      { model: model.name, artefact: address, location, layout: model.layoutHash, as: 'champion' },
      { by: 'test', reason: 'test' },
    );
  }
}
