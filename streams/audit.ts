import type { Warehouse } from '../infrastructure/clickhouse/port.ts';
import type { Kafka } from '../infrastructure/kafka/port.ts';
import type { OnlineStore } from '../infrastructure/redis/port.ts';
import { tables, topics } from '../schemas/names.ts';
import type { Model, Project, Source } from '../schemas/project.ts';
import { type ArchiveTable, archiveTables } from './archive/tables.ts';
import {
  boundsOf,
  Finding,
  type Found,
  readTopic,
  Tally,
  tallyRows,
  unfinishedPartitions,
} from './audit/books.ts';
import { auditView, type ViewAudit } from './audit/views.ts';
import { readClock } from './clock-record.ts';
import type { Codecs } from './codecs.ts';
import { decodeProgress, progressKey } from './ingest/progress.ts';

/*
 * The books of a project, offset by offset:
 *
 *   raw records = accepted + refused (late ones among them) = rows         clocks apart, for each source
 *   requests    = predictions (refused ones among them)     = rows         for each model
 *   contributions = applied + refused                                      for each partition of a view
 *
 * What a stream has not come to is `waiting`, what stands in a topic that the archive has not read to its end
 * is `unarchived`: neither is wrong. What was passed and is nowhere is missing; what stands twice is double.
 */

export interface AuditDeps {
  readonly project: Project;
  readonly kafka: Kafka;
  readonly warehouse: Warehouse;
  readonly codecs: Codecs;
  /** Tells what ingest has worked (without it: what it has written last), and what views have taken (without it: nothing). */
  readonly store?: OnlineStore;
  readonly onProgress?: (records: number) => void;
}

export interface SourceAudit {
  readonly source: string;
  /** Records on the raw topic, clocks apart. */
  readonly raw: number;
  readonly clocks: number;
  /** Raw offsets on the validated topic, and on the dead-letter topic by ingest. */
  readonly accepted: number;
  readonly refused: number;
  /** Of the refused. */
  readonly late: number;
  readonly refusedByCode: Readonly<Record<string, number>>;
  /** Contributions that views refused, by code: their events were accepted. */
  readonly refusedByViews: Readonly<Record<string, number>>;
  /** Records beyond the first of the same raw offset: whoever reads on drops them. */
  readonly repeats: number;
  readonly acceptedRows: number;
  readonly refusedRows: number;
  /** Raw records that ingest has not come to. */
  readonly waiting: number;
  readonly unarchived: number;
  readonly missing: Found;
  readonly missingRows: Found;
  /** Both accepted and refused, several rows, or a row that no topic has. */
  readonly double: Found;
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
  /** Requests that inference has not come to. */
  readonly waiting: number;
  readonly unarchived: number;
  readonly missing: Found;
  readonly missingRows: Found;
  /** Several rows, or an answer that nobody asked for. */
  readonly double: Found;
}

export interface Audit {
  /** `behind`: nothing is wrong so far, and something still waits. */
  readonly status: 'holds' | 'behind' | 'broken';
  readonly sources: readonly SourceAudit[];
  readonly models: readonly ModelAudit[];
  /** Empty without a store. */
  readonly views: readonly ViewAudit[];
  /** What does not add up, each one sentence. Empty where all holds. */
  readonly findings: readonly string[];
}

interface Books extends AuditDeps {
  readonly kept: readonly ArchiveTable[];
  readonly tick: (records: number) => void;
}

/** Partitions of a topic that the archive has not read to its end. */
function lagging({ kafka, warehouse, kept }: Books, topic: string): Promise<Set<number>> {
  const table = kept.find((one) => one.topic === topic);
  return table === undefined
    ? Promise.resolve(new Set<number>())
    : unfinishedPartitions(kafka, warehouse, table);
}

interface SourceBooks {
  readonly audit: SourceAudit;
  /** Accepted raw offsets, by type of event. */
  readonly accepted: ReadonlyMap<string, Tally>;
  /** Raw offsets that views refused, by writer. */
  readonly refusedBy: ReadonlyMap<string, Tally>;
}

async function auditSource(books: Books, source: Source): Promise<SourceBooks> {
  const { project, kafka, warehouse, store, codecs, tick } = books;
  const { prefix } = project;
  const names = {
    raw: topics.raw(prefix, source.name),
    validated: topics.validated(prefix, source.name),
    letters: topics.deadLetters(prefix, source.name),
  };
  // Down the flow, then the rows: what moves on meanwhile is ahead of what is asked for, never behind it.
  const bounds = await boundsOf(kafka, names.raw);
  const progress = await store?.read(bounds.map((_, p) => [progressKey(prefix, source.name, p)]));
  const behind = {
    events: await lagging(books, names.validated),
    letters: await lagging(books, names.letters),
  };

  const accepted = new Tally();
  const byType = new Map<string, Tally>();
  let repeats = 0;
  const codec = codecs.validated(source.name);
  const takeEvent = ({ partition, value }: { partition: number; value: Uint8Array | null }): void => {
    if (value === null) return;
    const { offset, event } = codec.decode(value);
    if (accepted.add(partition, offset) > 0) {
      repeats += 1;
      return;
    }
    const tally = byType.get(event.type) ?? new Tally();
    tally.add(partition, offset);
    byType.set(event.type, tally);
  };
  await readTopic(kafka, names.validated, await boundsOf(kafka, names.validated), takeEvent, undefined, tick);

  const refused = new Tally();
  const views = new Map<string, Tally>();
  const refusedByCode: Record<string, number> = {};
  const refusedByViews: Record<string, number> = {};
  const takeLetter = ({ value }: { value: Uint8Array | null }): void => {
    if (value === null) return;
    const { writer, code, sourcePartition, sourceOffset } = codecs.deadLetters.decode(value);
    const own = writer === 'ingest';
    const tally = own ? refused : (views.get(writer) ?? new Tally());
    if (!own) views.set(writer, tally);
    if (tally.add(sourcePartition, sourceOffset) > 0) {
      if (own) repeats += 1;
      return;
    }
    const codes = own ? refusedByCode : refusedByViews;
    codes[code] = (codes[code] ?? 0) + 1;
  };
  await readTopic(kafka, names.letters, await boundsOf(kafka, names.letters), takeLetter, undefined, tick);

  const rows = {
    accepted: await tallyRows(warehouse, tables.events(prefix, source.name), "import_id = ''"),
    refused: await tallyRows(warehouse, tables.deadLetters(prefix, source.name), "writer = 'ingest'"),
  };
  const next = bounds.map((_, partition) => {
    const bytes = progress?.[partition]?.[0] ?? null;
    const written = Math.max(accepted.last(partition), refused.last(partition)) + 1;
    return bytes === null ? written : Math.max(written, decodeProgress(bytes).next);
  });

  let raw = 0;
  let clocks = 0;
  let waiting = 0;
  let unarchived = 0;
  const [missing, missingRows, double] = [new Finding(), new Finding(), new Finding()];
  await readTopic(
    kafka,
    names.raw,
    bounds,
    (record) => {
      const { partition, offset } = record;
      const taken = accepted.of(partition, offset) > 0;
      const left = refused.of(partition, offset) > 0;
      const kept = [rows.accepted.of(partition, offset), rows.refused.of(partition, offset)] as const;
      if (!taken && !left && kept[0] + kept[1] === 0 && readClock(record) !== null) {
        clocks += 1;
        return;
      }
      raw += 1;
      if ((taken && left) || kept[0] + kept[1] > 1) double.add(partition, offset);
      else if (kept[0] + kept[1] === 1) {
        if (!taken && !left) double.add(partition, offset);
      } else if (!taken && !left) {
        if (offset >= (next[partition] ?? 0)) waiting += 1;
        else missing.add(partition, offset);
      } else if ((taken ? behind.events : behind.letters).has(partition)) unarchived += 1;
      else missingRows.add(partition, offset);
    },
    undefined,
    tick,
  );
  const audit: SourceAudit = {
    source: source.name,
    raw,
    clocks,
    accepted: accepted.size,
    refused: refused.size,
    late: refusedByCode.late ?? 0,
    refusedByCode,
    refusedByViews,
    repeats,
    acceptedRows: rows.accepted.size,
    refusedRows: rows.refused.size,
    waiting,
    unarchived,
    missing,
    missingRows,
    double,
  };
  return { audit, accepted: byType, refusedBy: views };
}

async function auditModel(books: Books, model: Model, asked: Tally, partitions: number): Promise<ModelAudit> {
  const { project, kafka, warehouse, codecs, tick } = books;
  const { prefix } = project;
  const topic = topics.predictions(prefix, model.name);
  const behind = await lagging(books, topic);
  const answered = new Tally();
  let repeats = 0;
  let refused = 0;
  const take = ({ value }: { value: Uint8Array | null }): void => {
    if (value === null) return;
    const { sourcePartition, sourceOffset, status } = codecs.predictions.decode(value);
    if (answered.add(sourcePartition, sourceOffset) > 0) repeats += 1;
    else if (status === 'refused') refused += 1;
  };
  await readTopic(kafka, topic, await boundsOf(kafka, topic), take, undefined, tick);
  const stored = await tallyRows(warehouse, tables.predictions(prefix, model.name), '1');

  let waiting = 0;
  let unarchived = 0;
  const [missing, missingRows, double] = [new Finding(), new Finding(), new Finding()];
  for (let partition = 0; partition < partitions; partition++) {
    const last = answered.last(partition);
    const end = Math.max(asked.last(partition), last, stored.last(partition));
    for (let offset = 0; offset <= end; offset++) {
      const request = asked.of(partition, offset) > 0;
      const answer = answered.of(partition, offset) > 0;
      const kept = stored.of(partition, offset);
      // An event that was accepted after its topic was read asks as well: only what lies behind is unasked.
      const unasked = !request && (answer || kept > 0) && offset <= asked.last(partition);
      if (unasked || kept > 1 || (request && kept === 1 && !answer && offset <= last)) {
        double.add(partition, offset);
      } else if (request && !answer && kept === 0) {
        if (offset > last) waiting += 1;
        else missing.add(partition, offset);
      } else if (answer && kept === 0) {
        if (behind.has(partition)) unarchived += 1;
        else missingRows.add(partition, offset);
      }
    }
  }
  return {
    model: model.name,
    requests: asked.size,
    predictions: answered.size,
    refused,
    repeats,
    rows: stored.size,
    waiting,
    unarchived,
    missing,
    missingRows,
    double,
  };
}

/** First places of a finding, `partition:offset`. */
function named({ count, places }: Found): string {
  const first = places.slice(0, 3).map(({ partition, offset }) => `${partition}:${offset}`);
  return `${first.join(', ')}${count > first.length ? ', …' : ''}`;
}

function findingsOf({ sources, models, views }: Pick<Audit, 'sources' | 'models' | 'views'>) {
  const wrong: string[] = [];
  const open: string[] = [];
  const say = (found: Found, sentence: string) => {
    if (found.count > 0) wrong.push(`${found.count} ${sentence} (raw ${named(found)}).`);
  };
  for (const { source, missing, missingRows, double, waiting, unarchived } of sources) {
    say(missing, `raw records of ${source} are neither accepted nor refused`);
    say(missingRows, `records of ${source} stand in a topic and in no table`);
    say(double, `raw records of ${source} stand twice: accepted and refused, or in several rows`);
    if (waiting > 0) open.push(`${waiting} raw records of ${source} wait for ingest.`);
    if (unarchived > 0) open.push(`${unarchived} records of ${source} wait for the archive.`);
  }
  for (const { model, missing, missingRows, double, waiting, unarchived } of models) {
    say(missing, `requests have no answer of ${model}`);
    say(missingRows, `answers of ${model} stand in the topic and in no table`);
    say(double, `answers of ${model} stand in several rows, or have no request`);
    if (waiting > 0) open.push(`${waiting} requests wait for ${model}.`);
    if (unarchived > 0) open.push(`${unarchived} answers of ${model} wait for the archive.`);
  }
  for (const { view, contributions, applied, refused, letters, off, without, waiting } of views) {
    if (off.length > 0)
      wrong.push(
        `View ${view} does not add up in partition ${off.join(', ')}: ${contributions} contributions on its topic, ${applied} applied and ${refused} refused by its state, ${letters} of them in dead letters.`,
      );
    if (without.length > 0)
      open.push(`View ${view} has no state that can be read in partition ${without.join(', ')}.`);
    if (waiting > 0) open.push(`${waiting} contributions wait for the state of ${view}.`);
  }
  return { wrong, open };
}

/**
 * Reads the topics of a project from start to end and follows every raw record through topics and tables: a
 * tool, not a stream. Retention must not have cut the topics yet. Throws KafkaError, WarehouseError, StoreError.
 */
export async function audit(deps: AuditDeps): Promise<Audit> {
  const { project, onProgress } = deps;
  let records = 0;
  const tick = (read: number): void => {
    records += read;
    onProgress?.(records);
  };
  const books: Books = { ...deps, kept: archiveTables(project, deps.codecs), tick };
  const sources: SourceAudit[] = [];
  const models: ModelAudit[] = [];
  const letters = new Map<string, ReadonlyMap<string, Tally>>();
  for (const source of project.sources) {
    const { audit: one, accepted, refusedBy } = await auditSource(books, source);
    sources.push(one);
    letters.set(topics.raw(project.prefix, source.name), refusedBy);
    for (const model of project.models.filter(({ request }) => request.source === source.name)) {
      const asked = accepted.get(model.request.eventType) ?? new Tally();
      models.push(await auditModel(books, model, asked, source.partitions));
    }
  }
  const views: ViewAudit[] = [];
  const { store } = deps;
  if (store !== undefined)
    for (const view of project.views) views.push(await auditView({ ...deps, store, tick, letters }, view));
  const { wrong, open } = findingsOf({ sources, models, views });
  const status = wrong.length > 0 ? 'broken' : open.length > 0 ? 'behind' : 'holds';
  return { status, sources, models, views, findings: [...wrong, ...open] };
}
