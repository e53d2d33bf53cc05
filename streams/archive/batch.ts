import type { KafkaRecord, TopicPartition } from '../../infrastructure/kafka/port.ts';
import { type LastClock, noClocks, type WaitingClocks } from './clocks.ts';
import { type ArchiveTable, type Lineage, type Mark, markKey } from './tables.ts';

/** A partition of an archived topic that this process holds. */
export interface Held extends TopicPartition {
  readonly batch: Batch;
  readonly mark: Mark;
  /** Next offset of the archived topic. */
  next: number;
  /** Event time of the last clock; minus infinity before the first. */
  clock: number;
}

/** Rows of one table that wait for their insert, of all its partitions that this process holds. */
export interface Batch {
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

export function emptyBatch(table: ArchiveTable): Batch {
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

/** When a batch is inserted: at so many rows or bytes, or when it has waited so long, ms. */
export interface Limits {
  readonly maxRows: number;
  readonly maxBytes: number;
  readonly maxWaitMs: number;
}

/** What ends a window of monitoring waits this long for its neighbours of other partitions. */
const URGENT_WAIT_MS = 10;

export const waits = ({ rows, clocks }: Batch) => rows > 0 || clocks.list.length > 0;

/** Offset to go on from. What is read twice is known by its lineage. */
export function resumeAt({ archived }: Mark, last: LastClock | undefined): number {
  if (last === undefined) return archived + 1;
  return last.open || last.offset > archived ? last.offset + 1 : archived + 1;
}

export function empty(batch: Batch): void {
  batch.table.take();
  batch.rows = 0;
  batch.bytes = 0;
  batch.ranges = new Map();
}

/** False for a repeat; else the mark is raised: the first record of a lineage counts. */
export function isNew(mark: Mark, lineage: Lineage): boolean {
  const key = markKey(lineage);
  if (lineage.sourceOffset <= (mark.sources.get(key) ?? -1)) return false;
  mark.sources.set(key, lineage.sourceOffset);
  return true;
}

export function addRow(batch: Batch, row: unknown, { partition, offset, value }: KafkaRecord): void {
  batch.table.add(row);
  batch.rows += 1;
  batch.bytes += value?.byteLength ?? 0;
  const range = batch.ranges.get(partition);
  if (range === undefined) batch.ranges.set(partition, { first: offset, last: offset });
  else range.last = offset;
}

/** The same token with other rows would drop them, so it names topic, every range, and the number of rows. */
export function tokenOf({ table, ranges, rows }: Batch): string {
  const parts = [...ranges]
    .sort(([a], [b]) => a - b)
    .map(([partition, { first, last }]) => `${partition}:${first}-${last}`);
  return `${table.topic} ${parts.join(' ')} (${rows})`;
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

/** Clocks take all with them; a batch of repeats alone is only told to Kafka. */
export function dueOf(batches: readonly Batch[], limits: Limits, now: number): readonly Batch[] {
  const due = batches.filter((batch) => dueAt(batch, limits) <= now || (batch.moved && !waits(batch)));
  return due.some(({ clocks }) => clocks.list.length > 0)
    ? batches.filter((batch) => waits(batch) || batch.moved)
    : due;
}
