import type { KafkaRecord, TopicPartition } from '../../infrastructure/kafka/port.ts';
import { noClocks, type WaitingClocks } from './clocks.ts';
import type { Mark } from './marks.ts';
import type { ArchiveTable } from './tables.ts';

/** A partition of an archived topic that this process owns. */
export interface ArchivedPartition extends TopicPartition {
  readonly batch: Batch;
  readonly mark: Mark;
  /** Next offset of the archived topic. */
  next: number;
  /** Event time of the last clock; minus infinity before the first. */
  clock: number;
}

/** Rows of one table that wait for their insert, of all its partitions that this process owns. */
export interface Batch {
  readonly table: ArchiveTable;
  readonly partitions: ArchivedPartition[];
  /** Waiting in the table's encoder. */
  rows: number;
  bytes: number;
  /** First and last offset of each partition in `rows`. */
  ranges: Map<number, { first: number; last: number }>;
  /** When the first of `rows` came, ms. */
  since: number;
  /** Repeats have moved a position that Kafka has not been told. */
  moved: boolean;
  /** Clocks behind `rows`. */
  clocks: WaitingClocks;
}

export function emptyBatch(table: ArchiveTable): Batch {
  // The encoder may still hold rows of the assignment before.
  table.drain();
  return {
    table,
    partitions: [],
    rows: 0,
    bytes: 0,
    ranges: new Map(),
    since: 0,
    moved: false,
    clocks: noClocks(),
  };
}

/** When a batch is inserted: at so many rows or bytes, or when it has waited so long, ms. */
export interface Limits {
  readonly maxRows: number;
  readonly maxBytes: number;
  readonly maxWaitMs: number;
}

/** What ends a window of monitoring waits this long for its neighbours of other partitions. */
const URGENT_WAIT_MS = 10;

/** Something of the batch is not stored yet. */
export const isPending = ({ rows, clocks }: Batch) => rows > 0 || clocks.list.length > 0;

/** Counts a row that was added to the encoder of the table. */
export function countRow(batch: Batch, { partition, offset, value }: KafkaRecord): void {
  batch.rows += 1;
  batch.bytes += value?.byteLength ?? 0;
  const range = batch.ranges.get(partition);
  if (range === undefined) batch.ranges.set(partition, { first: offset, last: offset });
  else range.last = offset;
}

export interface EncodedRows {
  readonly bytes: Uint8Array;
  readonly rows: number;
  /** Names the topic, every range and the number of rows: the same token with other rows would drop them. */
  readonly token: string;
}

/** Takes the rows out of a batch, encoded. Its clocks stay. */
export function drainRows(batch: Batch): EncodedRows {
  const { table, ranges, rows } = batch;
  const parts = [...ranges]
    .sort(([a], [b]) => a - b)
    .map(([partition, { first, last }]) => `${partition}:${first}-${last}`);
  const bytes = table.drain();
  batch.rows = 0;
  batch.bytes = 0;
  batch.ranges = new Map();
  return { bytes, rows, token: `${table.topic} ${parts.join(' ')} (${rows})` };
}

/** When a batch is to be stored, epoch ms; 0 = at once. */
export function dueAt(
  { rows, bytes, since, clocks }: Batch,
  { maxRows, maxBytes, maxWaitMs }: Limits,
): number {
  if (rows >= maxRows || bytes >= maxBytes) return 0;
  const rowsAt = rows > 0 ? since + maxWaitMs : Number.POSITIVE_INFINITY;
  const wait = clocks.urgent ? Math.min(URGENT_WAIT_MS, maxWaitMs) : maxWaitMs;
  return clocks.list.length > 0 ? Math.min(rowsAt, clocks.since + wait) : rowsAt;
}

/** If a due batch contains clocks, every pending batch is due. A batch with only repeats is due at once: its offset is told to Kafka. */
export function dueOf(batches: readonly Batch[], limits: Limits, now: number): readonly Batch[] {
  const due = batches.filter((batch) => dueAt(batch, limits) <= now || (batch.moved && !isPending(batch)));
  return due.some(({ clocks }) => clocks.list.length > 0)
    ? batches.filter((batch) => isPending(batch) || batch.moved)
    : due;
}
