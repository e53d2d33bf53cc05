import { ensureTables } from '../../../infrastructure/clickhouse/ensure-tables.ts';
import type { Warehouse } from '../../../infrastructure/clickhouse/port.ts';
import type { Kafka, OutgoingRecord } from '../../../infrastructure/kafka/port.ts';
import { createMemoryRegistry } from '../../../infrastructure/memory/registry.ts';
import type { ClockMark } from '../../../processors/lateness.ts';
import type { Clock } from '../../../schemas/clock.ts';
import { tables, topics } from '../../../schemas/names.ts';
import type { Project, Source } from '../../../schemas/project.ts';
import type { Alert } from '../../../schemas/records/alert.ts';
import { topicSpecs } from '../../../streams/apply/apply.ts';
import { type ArchiveDeps, createArchive } from '../../../streams/archive/archive.ts';
import { clockRecord } from '../../../streams/runtime/clock-record.ts';
import { type Codecs, openCodecs } from '../../../streams/runtime/codecs.ts';
import { NOT_CUT } from '../../../streams/runtime/dead-letter-record.ts';
import { SILENT } from '../../../streams/runtime/telemetry.ts';
import { prediction } from '../../infrastructure/clickhouse/conformance.ts';
import { trips, tripsProject } from '../../infrastructure/clickhouse/project.ts';

export const wall: Clock = {
  now: Date.now,
  sleep: (ms) => new Promise((done) => setTimeout(done, ms)),
};

/** One record as a stream before the archive would write it. */
export type Sent =
  | { readonly kind: 'event'; readonly partition: number; readonly offset: number; readonly note: string }
  | {
      readonly kind: 'prediction';
      readonly partition: number;
      readonly offset: number;
      readonly note: string;
    }
  | {
      readonly kind: 'letter';
      readonly partition: number;
      readonly offset: number;
      readonly note: string;
      readonly writer: string;
      readonly code?: string;
    }
  | {
      readonly kind: 'clock';
      readonly partition: number;
      readonly topic: 'event' | 'prediction';
      /** Default: of a live producer. */
      readonly mark?: ClockMark;
    }
  | {
      readonly kind: 'shadow';
      readonly partition: number;
      readonly offset: number;
      readonly note: string;
      readonly version: number;
    }
  | { readonly kind: 'alert'; readonly fingerprint: string; readonly change: number; readonly note: string };

const alert: Alert = {
  format: 1,
  id: '',
  fingerprint: '',
  change: 1,
  rule: 'drifted',
  severity: 'warning',
  state: 'firing',
  kind: 'drift',
  statistic: 'psi',
  model: 'late',
  version: 1,
  subject: 'origin',
  slice: '',
  value: 0.5,
  threshold: null,
  summary: '',
  tick: 86_400_000,
  startedAt: 86_400_000,
  firedAt: 86_400_000,
  endedAt: null,
  at: 7,
};

function keyOf(one: Exclude<Sent, { readonly kind: 'clock' }>): string {
  const padded = (offset: number) => String(offset).padStart(6, '0');
  if (one.kind === 'alert') return `alert 0 ${padded(one.change)} ${one.fingerprint}`;
  const writer = one.kind === 'letter' ? one.writer : one.kind === 'shadow' ? one.version : '';
  return `${one.kind} ${one.partition} ${padded(one.offset)} ${writer}`;
}

/** What an archive works between, and what it should leave in the tables. */
export class Archived {
  readonly project: Project;
  readonly kafka: Kafka;
  readonly warehouse: Warehouse;
  readonly codecs: Codecs;
  readonly failures: Error[] = [];
  readonly #expected = new Map<string, string>();

  private constructor(project: Project, kafka: Kafka, warehouse: Warehouse, codecs: Codecs) {
    this.project = project;
    this.kafka = kafka;
    this.warehouse = warehouse;
    this.codecs = codecs;
  }

  static async create(kafka: Kafka, warehouse: Warehouse): Promise<Archived> {
    const fields = trips.fields.map((field) => ({ ...field, name: field.name.replace(' ', '_') }));
    const source: Source = { ...trips, fields };
    const project = tripsProject(source);
    const codecs = await openCodecs(project, createMemoryRegistry());
    const admin = await kafka.admin();
    await admin.createTopics(
      topicSpecs({
        ...project,
        retention: { ...project.retention, raw: -1, validated: -1, predictions: -1, deadLetters: -1 },
      }),
    );
    await admin.close();
    await ensureTables(warehouse, project);
    return new Archived(project, kafka, warehouse, codecs);
  }

  /** The first of a lineage counts. */
  async send(all: readonly Sent[]): Promise<void> {
    const producer = await this.kafka.producer();
    await producer.send(all.map((one) => this.#record(one)));
    await producer.close();
    for (const one of all) {
      if (one.kind === 'clock') continue;
      const key = keyOf(one);
      if (!this.#expected.has(key)) this.#expected.set(key, one.note);
    }
  }

  #record(one: Sent): OutgoingRecord {
    const { prefix } = this.project;
    const partition = one.kind === 'alert' ? 0 : one.partition;
    const at = (topic: string, value: Uint8Array): OutgoingRecord => ({ topic, partition, key: null, value });
    if (one.kind === 'clock') {
      const topic =
        one.topic === 'event' ? topics.validated(prefix, 'trips') : topics.predictions(prefix, 'late');
      return clockRecord(topic, partition, one.mark ?? { time: 5, kind: 'tick', replay: null });
    }
    if (one.kind === 'alert') {
      const { fingerprint, change, note } = one;
      const value = { ...alert, id: `${fingerprint}:${change}`, fingerprint, change, summary: note };
      return at(topics.alerts(prefix), this.codecs.alerts.encode(value));
    }
    if (one.kind === 'shadow') {
      const { offset, note, version } = one;
      const lineage = { sourcePartition: partition, sourceOffset: offset, modelVersion: version };
      return at(
        topics.shadow(prefix, 'late'),
        this.codecs.predictions.encode({ ...prediction, ...lineage, id: note }),
      );
    }
    const { offset, note } = one;
    if (one.kind === 'event') {
      const event = {
        id: note,
        type: 'trip',
        time: 1_000 + offset,
        place: null,
        count: offset,
        amount: 0.5,
        good: true,
        begun_at: 7,
      };
      return at(
        topics.validated(prefix, 'trips'),
        this.codecs.validated('trips').encode({ event, offset, appendTime: 9, arrivedAt: 9 }),
      );
    }
    if (one.kind === 'prediction') {
      const value = {
        ...prediction,
        id: note,
        sourcePartition: partition,
        sourceOffset: offset,
        reads: prediction.reads.map((read) => ({ ...read, asOf: read.head })),
      };
      return at(topics.predictions(prefix, 'late'), this.codecs.predictions.encode(value));
    }
    const letter = {
      format: 1,
      stage: 'validate',
      code: one.code ?? 'rule_failed',
      detail: note,
      sourceTopic: topics.raw(prefix, 'trips'),
      sourcePartition: partition,
      sourceOffset: offset,
      appendTime: 3,
      arrivedAt: null,
      eventId: note,
      eventTime: null,
      writer: one.writer,
      key: null,
      value: Buffer.from(note),
      ...NOT_CUT,
    };
    return at(topics.deadLetters(prefix, 'trips'), this.codecs.deadLetters.encode(letter));
  }

  start(options: Partial<ArchiveDeps> = {}) {
    const { project, kafka, warehouse, codecs } = this;
    const telemetry = { ...SILENT, failure: (_: string, error: Error) => void this.failures.push(error) };
    const deps = { project, kafka, warehouse, codecs, clock: wall, telemetry, maxWaitMs: 20, ...options };
    const controller = new AbortController();
    const done = createArchive(deps).run(controller.signal);
    done.catch(() => {});
    return {
      abort: () => controller.abort(),
      done,
      stop: async () => {
        controller.abort();
        await done;
      },
    };
  }

  expected(): string[] {
    return [...this.#expected].map(([key, note]) => `${key} ${note}`).sort();
  }

  /** What the tables hold, one line a row, in the words of `expected`. */
  async rows(): Promise<string[]> {
    const { prefix } = this.project;
    const line = (kind: string, table: string, note: string, writer = "''") =>
      `SELECT concat('${kind} ', toString(source_partition), ' ', leftPad(toString(source_offset), 6, '0'), ' ', ${writer}, ' ', ${note}) AS line FROM ${table} FINAL`;
    const lines: string[] = [];
    for (const sql of [
      line('event', tables.events(prefix, 'trips'), 'id'),
      line('prediction', tables.predictions(prefix, 'late'), 'id'),
      line('letter', tables.deadLetters(prefix, 'trips'), 'assumeNotNull(value)', 'writer'),
      line('shadow', tables.shadow(prefix, 'late'), 'id', 'toString(model_version)'),
      `SELECT concat('alert 0 ', leftPad(toString(change), 6, '0'), ' ', fingerprint, ' ', summary) AS line FROM ${tables.alerts(prefix)} FINAL`,
    ]) {
      for (const row of await this.warehouse.query<{ line: string }>(sql)) lines.push(row.line);
    }
    return lines.sort();
  }

  /** Waits until the tables hold as many rows as were sent, then a little for what should not come. */
  async settle(withinMs = 20_000): Promise<string[]> {
    const deadline = Date.now() + withinMs;
    for (;;) {
      const rows = await this.rows().catch(() => []);
      if (rows.length >= this.#expected.size || Date.now() > deadline) return rows;
      await wall.sleep(20);
    }
  }
}
