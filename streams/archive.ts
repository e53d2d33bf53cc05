import type { Warehouse } from '../infrastructure/clickhouse/port.ts';
import type {
  Consumer,
  Kafka,
  KafkaRecord,
  PartitionBatch,
  Position,
  TopicPartition,
} from '../infrastructure/kafka/port.ts';
import type { Clock } from '../schemas/clock.ts';
import { groups } from '../schemas/names.ts';
import type { Project } from '../schemas/project.ts';
import { MillraceError } from '../schemas/refusal.ts';
import {
  type ArchiveTable,
  archiveTables,
  type Lineage,
  type Mark,
  markKey,
  readMarks,
} from './archive-tables.ts';
import type { Codecs } from './codecs.ts';
import { liveOn, type Stream } from './stream.ts';
import type { Telemetry } from './telemetry.ts';

export interface ArchiveDeps {
  readonly project: Project;
  readonly kafka: Kafka;
  readonly warehouse: Warehouse;
  readonly codecs: Codecs;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** A table's batch is inserted at this many rows, or when it has waited this long, ms. */
  readonly maxRows?: number;
  readonly maxBytes?: number;
  readonly maxWaitMs?: number;
}

const MAX_ROWS = 20_000;
/** Of the records as they came; encoded rows are about as large. */
const MAX_BYTES = 16 * 1024 * 1024;
const MAX_WAIT_MS = 500;
const MAX_POLL_RECORDS = 10_000;
/** A poll does not hear the signal to stop. */
const LONGEST_POLL_MS = 200;
const MAX_BUFFERED_BYTES = 8 * 1024 * 1024;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5_000;

interface Held extends TopicPartition {
  readonly batch: Batch;
  readonly mark: Mark;
  /** Next offset of the archived topic. */
  next: number;
}

/** Rows of one table that wait for their insert, of all its partitions that this process holds. */
interface Batch {
  readonly table: ArchiveTable;
  readonly held: Held[];
  /** Waiting in the table's encoder. */
  rows: number;
  bytes: number;
  /** First and last offset of each partition in `rows`. */
  ranges: Map<number, { first: number; last: number }>;
  /** When the first of `rows` came, ms. */
  since: number;
  /** Clocks and repeats have moved a position that Kafka has not been told. */
  moved: boolean;
}

/**
 * Validated events, dead letters and predictions -> ClickHouse. The tables themselves say how far each
 * partition was archived: a row carries its place in the archived topic. So position and rows cannot part.
 * A record whose source offset is at or below what its writer had is a repeat and is dropped; clocks are skipped.
 * One insert a table takes all partitions, one after another; its token names their exact ranges.
 */
export function createArchive(deps: ArchiveDeps): Stream {
  const { project, kafka, warehouse, codecs, clock, telemetry } = deps;
  const { maxRows = MAX_ROWS, maxBytes = MAX_BYTES, maxWaitMs = MAX_WAIT_MS } = deps;
  const tables = new Map(archiveTables(project, codecs).map((table) => [table.topic, table]));

  async function life(signal: AbortSignal, healthy: () => void): Promise<void> {
    let held = new Map<string, Held>();
    let batches: Batch[] = [];

    async function onAssigned(assigned: readonly TopicPartition[]): Promise<Position[]> {
      // What waits was of the assignment before: its partitions are read again from where the tables stand.
      const byTopic = new Map<string, Batch>();
      const marks = new Map<string, Map<number, Mark>>();
      for (const topic of new Set(assigned.map((one) => one.topic))) {
        const table = tables.get(topic);
        if (table === undefined)
          throw new Error(`archive was assigned ${topic}, which is no topic of ${project.name}`);
        byTopic.set(topic, emptyBatch(table));
        marks.set(topic, await readMarks(warehouse, table));
      }
      const next = new Map<string, Held>();
      const positions: Position[] = [];
      for (const { topic, partition } of assigned) {
        const batch = byTopic.get(topic);
        if (batch === undefined) continue;
        const mark = marks.get(topic)?.get(partition) ?? { archived: -1, sources: new Map() };
        const one: Held = { topic, partition, batch, mark, next: mark.archived + 1 };
        batch.held.push(one);
        next.set(`${topic}:${partition}`, one);
        positions.push(mark.archived < 0 ? 'earliest' : one.next);
        telemetry.note('archive', 'assigned', { topic, partition, next: one.next });
      }
      held = next;
      batches = [...byTopic.values()];
      return positions;
    }

    const consumer = await kafka.consumer({
      group: groups.archive(project.prefix),
      topics: [...tables.keys()],
      onAssigned,
      maxPollRecords: MAX_POLL_RECORDS,
      maxBufferedBytes: MAX_BUFFERED_BYTES,
    });

    function take({ topic, partition, records, highWatermark }: PartitionBatch): void {
      const one = held.get(`${topic}:${partition}`);
      if (one === undefined) return;
      const { batch } = one;
      for (const record of records) {
        if (record.offset < one.next) continue;
        one.next = record.offset + 1;
        batch.moved = true;
        if (record.value === null) continue;
        const { lineage, row } = batch.table.decode(record, record.value);
        if (!isNew(one.mark, lineage)) continue;
        if (batch.rows === 0) batch.since = clock.now();
        batch.table.add(row);
        batch.rows += 1;
        batch.bytes += record.value.byteLength;
        widen(batch, record);
      }
      telemetry.lag('archive', topic, partition, highWatermark - one.next);
    }

    async function flush(batch: Batch): Promise<void> {
      const offsets = batch.held.map(({ topic, partition, next }) => ({ topic, partition, offset: next }));
      if (batch.rows > 0) {
        const { table, rows } = batch;
        const started = performance.now();
        const bytes = table.take();
        const encoded = performance.now();
        await warehouse.insertRaw(table.table, table.columns, table.format, bytes, { token: tokenOf(batch) });
        telemetry.step('archive', 'encode', encoded - started, rows);
        telemetry.step('archive', 'insert', performance.now() - encoded, rows);
        for (const one of batch.held) one.mark.archived = one.next - 1;
        empty(batch);
      }
      batch.moved = false;
      await report(consumer, offsets);
    }

    /**
     * A failed insert may have been stored. Its rows are forgotten, and when the warehouse answers again its
     * tables say what it has; until then nothing more is fetched, so that memory stays as it is.
     */
    async function recover(failed: readonly Batch[], error: MillraceError): Promise<void> {
      telemetry.failure('archive', error);
      for (const batch of failed) empty(batch);
      let pause = FIRST_PAUSE_MS;
      while (!signal.aborted) {
        await clock.sleep(pause);
        pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
        try {
          for (const batch of failed) {
            const marks = await readMarks(warehouse, batch.table);
            for (const one of batch.held) {
              const mark = marks.get(one.partition);
              one.mark.archived = mark?.archived ?? -1;
              one.mark.sources.clear();
              for (const [key, offset] of mark?.sources ?? []) one.mark.sources.set(key, offset);
              one.next = one.mark.archived + 1;
              await consumer.seek({ topic: one.topic, partition: one.partition }, one.next);
            }
          }
          return;
        } catch (again) {
          if (!(again instanceof MillraceError) || !again.retriable) throw again;
          telemetry.failure('archive', again);
        }
      }
    }

    async function flushAll(due: readonly Batch[]): Promise<boolean> {
      const results = await Promise.allSettled(due.map(flush));
      const failed: Batch[] = [];
      let failure: MillraceError | undefined;
      for (const [i, result] of results.entries()) {
        if (result.status === 'fulfilled') continue;
        const error: unknown = result.reason;
        if (!(error instanceof MillraceError) || !error.retriable) throw error;
        failure = error;
        const batch = due[i];
        if (batch !== undefined) failed.push(batch);
      }
      if (failure !== undefined) await recover(failed, failure);
      return failure === undefined;
    }

    const dueAt = (batch: Batch) =>
      batch.rows >= maxRows || batch.bytes >= maxBytes ? 0 : batch.since + maxWaitMs;

    try {
      while (!signal.aborted) {
        const waiting = batches.filter(({ rows }) => rows > 0);
        const next = Math.min(...waiting.map(dueAt), clock.now() + LONGEST_POLL_MS);
        const poll = await consumer.poll(Math.max(0, next - clock.now()));
        for (const { topic, partition, start } of poll.cut) {
          const one = held.get(`${topic}:${partition}`);
          if (one === undefined) continue;
          telemetry.note('archive', 'log cut before it was archived', {
            topic,
            partition,
            from: one.next,
            start,
          });
          one.next = start;
          await consumer.seek({ topic, partition }, start);
        }
        const started = performance.now();
        let records = 0;
        for (const batch of poll.batches) {
          take(batch);
          records += batch.records.length;
        }
        if (records > 0) telemetry.step('archive', 'decode', performance.now() - started, records);
        const now = clock.now();
        const due = batches.filter(
          (batch) => (batch.rows > 0 && dueAt(batch) <= now) || (batch.rows === 0 && batch.moved),
        );
        if (due.length === 0 || (await flushAll(due))) healthy();
      }
      // Drained; what fails now is still in the topics, and the tables say so.
      await flushAll(batches.filter(({ rows }) => rows > 0));
    } finally {
      await consumer.close().catch(() => {});
    }
  }

  return {
    name: 'archive',
    run: (signal) => liveOn('archive', clock, telemetry, signal, (healthy) => life(signal, healthy)),
  };
}

function emptyBatch(table: ArchiveTable): Batch {
  // Rows of an assignment or a life before.
  table.take();
  return {
    table,
    held: [],
    rows: 0,
    bytes: 0,
    ranges: new Map(),
    since: 0,
    moved: false,
  };
}

function empty(batch: Batch): void {
  batch.table.take();
  batch.rows = 0;
  batch.bytes = 0;
  batch.ranges = new Map();
}

/** False for a repeat; else the mark is raised: the first record of a lineage counts. */
function isNew(mark: Mark, lineage: Lineage): boolean {
  const key = markKey(lineage);
  if (lineage.sourceOffset <= (mark.sources.get(key) ?? -1)) return false;
  mark.sources.set(key, lineage.sourceOffset);
  return true;
}

function widen(batch: Batch, { partition, offset }: KafkaRecord): void {
  const range = batch.ranges.get(partition);
  if (range === undefined) batch.ranges.set(partition, { first: offset, last: offset });
  else range.last = offset;
}

/** The same token with other rows would drop them, so it names topic, every range, and the number of rows. */
function tokenOf({ table, ranges, rows }: Batch): string {
  const parts = [...ranges]
    .sort(([a], [b]) => a - b)
    .map(([partition, { first, last }]) => `${partition}:${first}-${last}`);
  return `${table.topic} ${parts.join(' ')} (${rows})`;
}

/** Only for lag: nobody resumes from it, so a failure loses nothing. */
async function report(
  consumer: Consumer,
  offsets: ReadonlyArray<TopicPartition & { readonly offset: number }>,
): Promise<void> {
  await consumer.commit(offsets).catch(() => {});
}
