import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import type {
  Kafka,
  KafkaRecord,
  PartitionBatch,
  Position,
  TopicPartition,
} from '../../infrastructure/kafka/port.ts';
import type { Clock } from '../../schemas/clock.ts';
import { groups } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import { readClock } from '../runtime/clock-record.ts';
import type { Codecs } from '../runtime/codecs.ts';
import { liveOn, type Stream } from '../runtime/stream.ts';
import type { Telemetry } from '../runtime/telemetry.ts';
import {
  addRow,
  type Batch,
  dueAt,
  dueOf,
  empty,
  emptyBatch,
  type Held,
  isNew,
  resumeAt,
  tokenOf,
  waits,
} from './batch.ts';
import { addClock, endsWindow, noClocks, readLastClocks, writeClocks } from './clocks.ts';
import { archiveTables, type Mark, readMarks } from './tables.ts';

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
  const limits = {
    maxRows: deps.maxRows ?? MAX_ROWS,
    maxBytes: deps.maxBytes ?? MAX_BYTES,
    maxWaitMs: deps.maxWaitMs ?? MAX_WAIT_MS,
  };
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
        addRow(batch, row, record);
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
      // Only for lag: nobody resumes from it, so a failure loses nothing.
      await consumer.commit(offsets).catch(() => {});
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
          telemetry.failure('archive', mendable(again));
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

    try {
      while (!signal.aborted) {
        const next = Math.min(...batches.map((batch) => dueAt(batch, limits)), clock.now() + LONGEST_POLL_MS);
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
        const due = dueOf(batches, limits, clock.now());
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

/** @throws what is a bug, or cannot be mended by waiting. */
function mendable(error: unknown): MillraceError {
  if (!(error instanceof MillraceError) || !error.retriable) throw error;
  return error;
}
