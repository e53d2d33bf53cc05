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
  addClock,
  endsWindow,
  type LastClock,
  noClocks,
  readLastClocks,
  type WaitingClocks,
  writeClocks,
} from './archive/clocks.ts';
import {
  type ArchiveTable,
  archiveTables,
  type Lineage,
  type Mark,
  markKey,
  readMarks,
} from './archive/tables.ts';
import { readClock } from './clock-record.ts';
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
/** What ends a window of monitoring waits this long for its neighbours of other partitions. */
const URGENT_WAIT_MS = 10;
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
  /** Event time of the last clock; minus infinity before the first. */
  clock: number;
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
  /** Repeats have moved a position that Kafka has not been told. */
  moved: boolean;
  clocks: WaitingClocks;
}

/**
 * Validated events, dead letters, predictions, those of the shadow, and alerts -> ClickHouse. The tables themselves
 * say how far each partition was archived: a row carries its place in the archived topic. So position and rows cannot
 * part. A record whose source offset is at or below what its writer had is a repeat and is dropped.
 * One insert a table takes all partitions, one after another; its token names their exact ranges.
 *
 * Clocks go to the table of progress once everything that this process has taken is stored, dead letters too. Where
 * a failure comes between, rows behind a clock may stand without it: while a replay is open a partition is read again
 * from its last written clock, and nothing behind a replay's first clock is taken before that clock is written.
 */
export function createArchive(deps: ArchiveDeps): Stream {
  const { project, kafka, warehouse, codecs, clock, telemetry } = deps;
  const { maxRows = MAX_ROWS, maxBytes = MAX_BYTES, maxWaitMs = MAX_WAIT_MS } = deps;
  const tables = new Map(archiveTables(project, codecs).map((table) => [table.topic, table]));
  const windows = project.models.map(({ monitoring }) => monitoring.every);

  async function life(signal: AbortSignal, healthy: () => void): Promise<void> {
    let held = new Map<string, Held>();
    let batches: Batch[] = [];

    async function onAssigned(assigned: readonly TopicPartition[]): Promise<Position[]> {
      // What waits was of the assignment before: its partitions are read again from where the tables stand.
      // Clocks before marks: what a clock says is stored must be in the marks, and another process may still write both.
      const clocks = await readLastClocks(warehouse, project.prefix);
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
        const last = clocks.get(`${topic}:${partition}`);
        const from = resumeAt(mark, last);
        const clock = last?.clock ?? Number.NEGATIVE_INFINITY;
        const one: Held = { topic, partition, batch, mark, next: from, clock };
        batch.held.push(one);
        next.set(`${topic}:${partition}`, one);
        positions.push(from === 0 ? 'earliest' : from);
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

    /** Answers with what it left: the records behind the first clock of a replay. */
    function take(taken: PartitionBatch): PartitionBatch | null {
      const { topic, partition, records, highWatermark } = taken;
      const one = held.get(`${topic}:${partition}`);
      if (one === undefined) return null;
      const { batch } = one;
      for (const [i, record] of records.entries()) {
        if (record.offset < one.next) continue;
        one.next = record.offset + 1;
        batch.moved = true;
        if (record.value === null) {
          if (passClock(one, record)) return { ...taken, records: records.slice(i + 1) };
          continue;
        }
        const { lineage, row } = batch.table.decode(record, record.value);
        if (!isNew(one.mark, lineage)) continue;
        if (batch.rows === 0) batch.since = clock.now();
        batch.table.add(row);
        batch.rows += 1;
        batch.bytes += record.value.byteLength;
        widen(batch, record);
      }
      telemetry.lag('archive', topic, partition, highWatermark - one.next);
      return null;
    }

    /** True for the first clock of a replay. */
    function passClock(one: Held, record: KafkaRecord): boolean {
      const mark = readClock(record);
      if (mark === null || !Number.isSafeInteger(mark.time)) return false;
      const { clocks } = one.batch;
      if (clocks.list.length === 0) clocks.since = clock.now();
      clocks.urgent ||= mark.kind === 'end' || endsWindow(windows, one.clock, mark.time);
      addClock(clocks, { topic: one.topic, partition: one.partition, mark, offset: record.offset });
      one.clock = mark.time;
      return mark.kind === 'first';
    }

    /** What is behind the first clock of a replay is taken once that clock is written. */
    async function takeAll(taken: readonly PartitionBatch[]): Promise<void> {
      const mine = held;
      let left = taken;
      // An assignment that comes meanwhile reads them again.
      while (left.length > 0 && held === mine) {
        const barred = left.flatMap((one) => take(one) ?? []);
        if (barred.length === 0) return;
        const failed = await flushAll(batches.filter(waits));
        left = barred.filter(({ topic }) => !failed.some(({ table }) => table.topic === topic));
      }
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
      for (const batch of failed) {
        empty(batch);
        batch.clocks = noClocks();
      }
      let pause = FIRST_PAUSE_MS;
      while (!signal.aborted) {
        await clock.sleep(pause);
        pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
        try {
          const clocks = await readLastClocks(warehouse, project.prefix);
          for (const batch of failed) {
            const marks = await readMarks(warehouse, batch.table);
            for (const one of batch.held) {
              const mark = marks.get(one.partition);
              one.mark.archived = mark?.archived ?? -1;
              one.mark.sources.clear();
              for (const [key, offset] of mark?.sources ?? []) one.mark.sources.set(key, offset);
              one.next = resumeAt(one.mark, clocks.get(`${one.topic}:${one.partition}`));
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

    /** Rows first, then the clocks behind them. Answers with what failed and was forgotten. */
    async function flushAll(due: readonly Batch[]): Promise<readonly Batch[]> {
      const results = await Promise.allSettled(due.map(flush));
      const failed: Batch[] = [];
      let failure: MillraceError | undefined;
      for (const [i, result] of results.entries()) {
        if (result.status === 'fulfilled') continue;
        failure = mendable(result.reason);
        const batch = due[i];
        if (batch !== undefined) failed.push(batch);
      }
      const passed = due.filter((batch) => batch.clocks.list.length > 0 && !failed.includes(batch));
      // Monitoring takes a clock for the word that all of its topics have come so far.
      if (failure === undefined && passed.length > 0)
        try {
          const clocks = passed.flatMap((batch) => batch.clocks.list);
          await writeClocks(warehouse, project.prefix, clocks, clock.now());
          for (const batch of passed) batch.clocks = noClocks();
        } catch (error) {
          failure = mendable(error);
          failed.push(...passed);
        }
      if (failure !== undefined) await recover(failed, failure);
      return failed;
    }

    function dueAt({ rows, bytes, since, clocks }: Batch): number {
      if (rows >= maxRows || bytes >= maxBytes) return 0;
      const rowsAt = rows > 0 ? since + maxWaitMs : Number.POSITIVE_INFINITY;
      const wait = clocks.urgent ? Math.min(URGENT_WAIT_MS, maxWaitMs) : maxWaitMs;
      return clocks.list.length > 0 ? Math.min(rowsAt, clocks.since + wait) : rowsAt;
    }

    /** Clocks take all with them; a batch of repeats alone is only told to Kafka. */
    function dueOf(now: number): readonly Batch[] {
      const due = batches.filter((batch) => dueAt(batch) <= now || (batch.moved && !waits(batch)));
      return due.some(({ clocks }) => clocks.list.length > 0)
        ? batches.filter((batch) => waits(batch) || batch.moved)
        : due;
    }

    try {
      while (!signal.aborted) {
        const next = Math.min(...batches.map(dueAt), clock.now() + LONGEST_POLL_MS);
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
        for (const batch of poll.batches) records += batch.records.length;
        await takeAll(poll.batches);
        if (records > 0) telemetry.step('archive', 'decode', performance.now() - started, records);
        const due = dueOf(clock.now());
        if (due.length === 0 || (await flushAll(due)).length === 0) healthy();
      }
      // Drained; what fails now is still in the topics, and the tables say so.
      await flushAll(batches.filter(waits));
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
    clocks: noClocks(),
  };
}

const waits = ({ rows, clocks }: Batch) => rows > 0 || clocks.list.length > 0;

/** Offset to go on from. What is read twice is known by its lineage. */
function resumeAt({ archived }: Mark, last: LastClock | undefined): number {
  if (last === undefined) return archived + 1;
  return last.open || last.offset > archived ? last.offset + 1 : archived + 1;
}

/** @throws what is a bug, or cannot be mended by waiting. */
function mendable(error: unknown): MillraceError {
  if (!(error instanceof MillraceError) || !error.retriable) throw error;
  return error;
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
