import type { Warehouse } from '../infrastructure/clickhouse/port.ts';
import { quoteName } from '../infrastructure/clickhouse/tables.ts';
import type { Kafka, KafkaRecord } from '../infrastructure/kafka/port.ts';
import { tables, topics } from '../schemas/names.ts';
import type { Model, Project, Source } from '../schemas/project.ts';
import type { Codecs } from './codecs.ts';
import { readClock } from './requests.ts';

/** Counts of one source, and what does not add up. Clocks are apart from everything else. */
export interface SourceAudit {
  readonly source: string;
  /** Records on the raw topic. */
  readonly raw: number;
  readonly clocks: number;
  /** Raw offsets found on the validated topic, and on the dead-letter topic by ingest. */
  readonly accepted: number;
  readonly refused: number;
  /** Records beyond the first of the same raw offset: harmless, since whoever reads on drops them. */
  readonly repeats: number;
  /** Rows in the warehouse. */
  readonly acceptedRows: number;
  readonly refusedRows: number;
}

export interface ModelAudit {
  readonly model: string;
  /** Accepted events that ask. */
  readonly requests: number;
  /** Requests answered on the predictions topic; `refused` of them without a score. */
  readonly predictions: number;
  readonly refused: number;
  readonly repeats: number;
  readonly rows: number;
}

export interface Audit {
  readonly sources: readonly SourceAudit[];
  readonly models: readonly ModelAudit[];
  /** What is missing or double, each one sentence. Empty where all adds up. */
  readonly findings: readonly string[];
}

export interface AuditDeps {
  readonly project: Project;
  readonly kafka: Kafka;
  readonly warehouse: Warehouse;
  readonly codecs: Codecs;
  readonly onProgress?: (records: number) => void;
}

/** What is known of a raw offset. */
const SEEN = 1;
const CLOCK = 2;
const ACCEPTED = 4;
const REFUSED = 8;
const ANSWERED = 16;
/** One flag for each model of the source, since models may ask with other types of event. */
const requestFlag = (model: number) => 32 << model;
const MOST_MODELS = 11;

const MAX_NAMED = 3;

/**
 * Reads the topics of a project from start to end and follows every raw record: it is accepted or refused,
 * exactly one of them, and a request has exactly one answer, on the topic and in the warehouse. Meant for
 * when the streams have caught up. Retention must not have cut the topics yet.
 */
export async function audit(deps: AuditDeps): Promise<Audit> {
  const { project, onProgress } = deps;
  const sources: SourceAudit[] = [];
  const models: ModelAudit[] = [];
  const findings: string[] = [];
  let records = 0;
  const tick = (read: number) => {
    records += read;
    onProgress?.(records);
  };
  for (const source of project.sources) {
    const ledger = new Ledger(source.partitions);
    const asking = project.models
      .filter(({ request }) => request.source === source.name)
      .slice(0, MOST_MODELS);
    sources.push(await auditSource(deps, source, asking, ledger, findings, tick));
    for (const [index, model] of asking.entries())
      models.push(await auditModel(deps, source, model, requestFlag(index), ledger, findings, tick));
  }
  return { sources, models, findings };
}

/** Flags by raw partition and offset. */
class Ledger {
  readonly #flags: Uint16Array[];

  constructor(partitions: number) {
    this.#flags = Array.from({ length: partitions }, () => new Uint16Array(1 << 16));
  }

  /** Sets the flag and says whether it had been set. */
  add(partition: number, offset: number, flag: number): boolean {
    let flags = this.#flags[partition] ?? new Uint16Array(1 << 16);
    if (offset >= flags.length) {
      const larger = new Uint16Array(Math.max(flags.length * 2, offset + 1));
      larger.set(flags);
      flags = larger;
    }
    this.#flags[partition] = flags;
    const before = flags[offset] ?? 0;
    flags[offset] = before | flag;
    return (before & flag) !== 0;
  }

  clear(flag: number): void {
    for (const flags of this.#flags)
      for (let i = 0; i < flags.length; i += 1) flags[i] = (flags[i] ?? 0) & ~flag;
  }

  count(test: (flags: number) => boolean): number {
    let found = 0;
    for (const flags of this.#flags) for (const one of flags) if (test(one)) found += 1;
    return found;
  }

  /** The first places that meet the test, for a sentence. */
  name(test: (flags: number) => boolean): string {
    const places: string[] = [];
    for (const [partition, flags] of this.#flags.entries())
      for (let offset = 0; offset < flags.length && places.length < MAX_NAMED; offset += 1)
        if (test(flags[offset] ?? 0)) places.push(`${partition}:${offset}`);
    return places.join(', ');
  }
}

async function auditSource(
  deps: AuditDeps,
  source: Source,
  asking: readonly Model[],
  ledger: Ledger,
  findings: string[],
  tick: (records: number) => void,
): Promise<SourceAudit> {
  const { project, kafka, codecs, warehouse } = deps;
  const { prefix } = project;
  let repeats = 0;
  await readTopic(kafka, topics.raw(prefix, source.name), tick, ({ partition, offset, ...record }) => {
    ledger.add(partition, offset, readClock({ ...record, partition, offset }) === null ? SEEN : SEEN | CLOCK);
  });
  const validated = codecs.validated(source.name);
  await readTopic(kafka, topics.validated(prefix, source.name), tick, ({ partition, value }) => {
    if (value === null) return;
    const { offset, event } = validated.decode(value);
    if (ledger.add(partition, offset, ACCEPTED)) repeats += 1;
    for (const [index, { request }] of asking.entries())
      if (request.eventType === event.type) ledger.add(partition, offset, requestFlag(index));
  });
  await readTopic(kafka, topics.deadLetters(prefix, source.name), tick, ({ value }) => {
    if (value === null) return;
    const { writer, sourcePartition, sourceOffset } = codecs.deadLetters.decode(value);
    if (writer === 'ingest' && ledger.add(sourcePartition, sourceOffset, REFUSED)) repeats += 1;
  });

  const isEvent = (flags: number) => (flags & SEEN) !== 0 && (flags & CLOCK) === 0;
  const lost = (flags: number) => isEvent(flags) && (flags & (ACCEPTED | REFUSED)) === 0;
  const both = (flags: number) => (flags & ACCEPTED) !== 0 && (flags & REFUSED) !== 0;
  const result: SourceAudit = {
    source: source.name,
    raw: ledger.count(isEvent),
    clocks: ledger.count((flags) => (flags & CLOCK) !== 0),
    accepted: ledger.count((flags) => (flags & ACCEPTED) !== 0),
    refused: ledger.count((flags) => (flags & REFUSED) !== 0),
    repeats,
    acceptedRows: await rowsOf(warehouse, tables.events(prefix, source.name), "import_id = ''"),
    refusedRows: await rowsOf(warehouse, tables.deadLetters(prefix, source.name), "writer = 'ingest'"),
  };
  const missing = ledger.count(lost);
  const twice = ledger.count(both);
  if (missing > 0)
    findings.push(
      `${missing} raw records of ${source.name} are neither accepted nor refused (${ledger.name(lost)}).`,
    );
  if (twice > 0)
    findings.push(
      `${twice} raw records of ${source.name} are both accepted and refused (${ledger.name(both)}).`,
    );
  if (result.acceptedRows !== result.accepted)
    findings.push(
      `${source.name}: ${result.accepted} accepted events, ${result.acceptedRows} rows in the warehouse.`,
    );
  if (result.refusedRows !== result.refused)
    findings.push(
      `${source.name}: ${result.refused} refused records, ${result.refusedRows} rows in the warehouse.`,
    );
  return result;
}

async function auditModel(
  { project, kafka, codecs, warehouse }: AuditDeps,
  source: Source,
  model: Model,
  asked: number,
  ledger: Ledger,
  findings: string[],
  tick: (records: number) => void,
): Promise<ModelAudit> {
  ledger.clear(ANSWERED);
  let repeats = 0;
  let refused = 0;
  await readTopic(kafka, topics.predictions(project.prefix, model.name), tick, ({ value }) => {
    if (value === null) return;
    const { sourcePartition, sourceOffset, status } = codecs.predictions.decode(value);
    if (ledger.add(sourcePartition, sourceOffset, ANSWERED)) repeats += 1;
    else if (status === 'refused') refused += 1;
  });
  const asks = (flags: number) => (flags & asked) !== 0;
  const unanswered = (flags: number) => asks(flags) && (flags & ANSWERED) === 0;
  const unasked = (flags: number) => !asks(flags) && (flags & ANSWERED) !== 0;
  const rows = await rowsOf(warehouse, tables.predictions(project.prefix, model.name), '1');
  const result: ModelAudit = {
    model: model.name,
    requests: ledger.count(asks),
    predictions: ledger.count((flags) => (flags & ANSWERED) !== 0),
    refused,
    repeats,
    rows,
  };
  const missing = ledger.count(unanswered);
  const extra = ledger.count(unasked);
  if (missing > 0)
    findings.push(
      `${missing} requests of ${source.name} have no answer of ${model.name} (${ledger.name(unanswered)}).`,
    );
  if (extra > 0)
    findings.push(`${extra} answers of ${model.name} have no request (${ledger.name(unasked)}).`);
  if (rows !== result.predictions)
    findings.push(
      `${model.name}: ${result.predictions} predictions on the topic, ${rows} rows in the warehouse.`,
    );
  return result;
}

async function rowsOf(warehouse: Warehouse, table: string, where: string): Promise<number> {
  const [found] = await warehouse.query<{ rows: number }>(
    `SELECT count() AS rows FROM ${quoteName(table)} FINAL WHERE ${where}`,
  );
  return found?.rows ?? 0;
}

/** Every record of a topic as it stands now. */
async function readTopic(
  kafka: Kafka,
  topic: string,
  tick: (records: number) => void,
  take: (record: KafkaRecord) => void,
): Promise<void> {
  const admin = await kafka.admin();
  const bounds = await admin.offsets(topic).finally(() => admin.close());
  const wanted = bounds.flatMap(({ start, end }, partition) =>
    end > start ? [{ topic, partition, position: start }] : [],
  );
  if (wanted.length === 0) return;
  const open = new Set(wanted.map(({ partition }) => partition));
  const reader = await kafka.reader(wanted);
  try {
    while (open.size > 0)
      for (const { partition, records } of await reader.poll(1_000)) {
        const end = bounds[partition]?.end ?? 0;
        for (const record of records) if (record.offset < end) take(record);
        tick(records.length);
        if ((records.at(-1)?.offset ?? -1) >= end - 1) open.delete(partition);
      }
  } finally {
    await reader.close();
  }
}
