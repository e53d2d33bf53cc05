import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import type { Kafka, Poll } from '../../infrastructure/kafka/port.ts';
import type { Clock } from '../../schemas/clock.ts';
import { groups } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import { Checkpoint } from '../runtime/checkpoint.ts';
import type { Codecs } from '../runtime/codecs.ts';
import { Failing } from '../runtime/failing.ts';
import { restartOnFailure, type Stream } from '../runtime/stream.ts';
import type { Telemetry } from '../runtime/telemetry.ts';
import { addRecords } from './add-records.ts';
import { assign } from './assign.ts';
import { dueAt, isPending } from './batch.ts';
import type { ArchiveContext } from './context.ts';
import { flushBatches, flushDue } from './flush.ts';
import { createInsertStore } from './insert-store.ts';
import { archiveTables } from './tables.ts';

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
  const { clock, telemetry } = deps;
  return {
    name: 'archive',
    run: (signal, healthy) =>
      restartOnFailure('archive', clock, telemetry, signal, (done) => runLoop(deps, signal, done), healthy),
  };
}

async function runLoop(deps: ArchiveDeps, signal: AbortSignal, healthy: () => void): Promise<void> {
  const context = await openContext(deps, signal);
  try {
    while (!signal.aborted) {
      const poll = await pollNext(context);
      await skipCut(context, poll);
      await addRecords(context, poll.batches);
      const failed = await flushDue(context);
      context.checkpoint.report();
      if (failed.length === 0) healthy();
    }
    // What fails now is still in the topics, and the tables say so.
    await flushBatches(context, context.batches.filter(isPending));
  } finally {
    await context.checkpoint.close();
  }
}

async function openContext(deps: ArchiveDeps, signal: AbortSignal): Promise<ArchiveContext> {
  const { project, kafka, warehouse, codecs, clock, telemetry } = deps;
  const { prefix } = project;
  const tables = new Map(archiveTables(project, codecs).map((table) => [table.topic, table]));
  const consumer = await kafka.consumer({
    group: groups.archive(prefix),
    topics: [...tables.keys()],
    onAssigned: (assigned) => assign(context, assigned),
    maxPollRecords: MAX_POLL_RECORDS,
    maxBufferedBytes: MAX_BUFFERED_BYTES,
  });
  const store = createInsertStore({ warehouse, prefix, clock, telemetry });
  const context: ArchiveContext = {
    prefix,
    warehouse,
    clock,
    telemetry,
    failing: new Failing('archive', clock, telemetry),
    signal,
    consumer,
    checkpoint: new Checkpoint({ kafka, store, consumer, now: () => clock.now() }),
    tables,
    limits: {
      maxRows: deps.maxRows ?? MAX_ROWS,
      maxBytes: deps.maxBytes ?? MAX_BYTES,
      maxWaitMs: deps.maxWaitMs ?? MAX_WAIT_MS,
    },
    windows: project.models.map(({ monitoring }) => monitoring.every),
    owned: new Map(),
    batches: [],
  };
  return context;
}

/** Waits for records, until a batch is due at the latest. */
function pollNext({ batches, clock, consumer, limits }: ArchiveContext): Promise<Poll> {
  const now = clock.now();
  const until = Math.min(...batches.map((batch) => dueAt(batch, limits)), now + LONGEST_POLL_MS);
  return consumer.poll(Math.max(0, until - now));
}

/** Where the log was cut before it was archived, the archive goes on from the log's start, and says so. */
async function skipCut({ consumer, owned, telemetry }: ArchiveContext, { cut }: Poll): Promise<void> {
  for (const { topic, partition, start } of cut) {
    const one = owned.get(`${topic}:${partition}`);
    if (one === undefined) continue;
    const from = one.next;
    telemetry.note('archive', 'log cut before it was archived', { topic, partition, from, start });
    one.next = start;
    await consumer.seek({ topic, partition }, start);
  }
}
