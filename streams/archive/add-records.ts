import type { KafkaRecord, PartitionBatch } from '../../infrastructure/kafka/port.ts';
import { readClock } from '../runtime/clock-record.ts';
import { type ArchivedPartition, countRow, isPending } from './batch.ts';
import { addClock, endsWindow } from './clocks.ts';
import type { ArchiveContext } from './context.ts';
import { flushBatches } from './flush.ts';
import { isNew } from './marks.ts';

/**
 * Adds what a poll brought to the batches of its tables. Records behind the first clock of a replay are added once that clock is
 * stored: until then nothing in the tables says that a replay is open.
 */
export async function addRecords(context: ArchiveContext, polled: readonly PartitionBatch[]): Promise<void> {
  const { owned, telemetry } = context;
  const records = polled.reduce((count, one) => count + one.records.length, 0);
  let decodeMs = 0;
  let left = polled;
  // After another assignment the rest is read again by its owner.
  while (left.length > 0 && context.owned === owned) {
    const started = performance.now();
    const behindClock = left.flatMap((one) => addUntilFirstClock(context, one) ?? []);
    decodeMs += performance.now() - started;
    if (behindClock.length === 0) break;
    const failed = await flushBatches(context, context.batches.filter(isPending));
    left = behindClock.filter(({ topic }) => !failed.some(({ table }) => table.topic === topic));
  }
  if (records > 0) telemetry.step('archive', 'decode', decodeMs, records);
}

/** Adds the records of one partition. Answers with those behind the first clock of a replay, if there is one. */
function addUntilFirstClock(context: ArchiveContext, polled: PartitionBatch): PartitionBatch | null {
  const { topic, partition, records, highWatermark } = polled;
  const one = context.owned.get(`${topic}:${partition}`);
  if (one === undefined) return null;
  for (const [i, record] of records.entries()) {
    if (record.offset < one.next) continue;
    one.next = record.offset + 1;
    one.batch.moved = true;
    if (record.value !== null) addEvent(context, one, record, record.value);
    else if (addClockOf(context, one, record) === 'first')
      return { ...polled, records: records.slice(i + 1) };
  }
  context.telemetry.lag('archive', topic, partition, highWatermark - one.next);
  return null;
}

/** Adds a row unless its writer has written it before. */
function addEvent(
  { clock }: ArchiveContext,
  { batch, mark }: ArchivedPartition,
  record: KafkaRecord,
  value: Uint8Array,
): void {
  const copied = batch.table.copy?.(record, value, mark) ?? 'other';
  if (copied === 'repeat') return;
  if (copied === 'other') {
    const decoded = batch.table.decode(record, value);
    if (decoded === null) return;
    const { lineage, row } = decoded;
    if (!isNew(mark, lineage)) return;
    batch.table.add(row);
  }
  if (batch.rows === 0) batch.since = clock.now();
  countRow(batch, record);
}

/** Adds the clock that a record without a value is, and answers with its kind; null where it is none. */
function addClockOf(
  { clock, windows }: ArchiveContext,
  one: ArchivedPartition,
  record: KafkaRecord,
): 'first' | 'tick' | 'end' | null {
  const mark = readClock(record);
  if (mark === null || !Number.isSafeInteger(mark.time)) return null;
  const { clocks } = one.batch;
  if (clocks.list.length === 0) clocks.since = clock.now();
  clocks.urgent ||= mark.kind === 'end' || endsWindow(windows, one.clock, mark.time);
  addClock(clocks, { topic: one.topic, partition: one.partition, mark, offset: record.offset });
  one.clock = mark.time;
  return mark.kind;
}
