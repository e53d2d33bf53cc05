import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { tables, topics } from '../../schemas/names.ts';
import type { Source } from '../../schemas/project.ts';
import { readLastClocks } from '../archive/clocks.ts';
import type { Bounds } from '../runtime/topic.ts';
import { type Books, Finding, type Found, type Tally } from './books.ts';

/** Raw offsets that the raw topic no longer has and that left no trace in topics or tables. */
export interface Holes {
  /** Records were there: they were deleted before ingest came to them, or were lost. Places are where each hole begins. */
  readonly lost: Found;
  /** Offsets that may have been clocks, markers of transactions or what these aborted. */
  readonly unexplained: number;
}

interface RawPlaces {
  readonly bounds: Bounds;
  /** Of the validated topic: where it is whole it tells of every clock. */
  readonly validated: Bounds;
  /** All that is known of raw offsets. */
  readonly known: readonly Tally[];
  /** What can still be read of the raw topic has offsets without a record. */
  readonly transactional: boolean;
}

/**
 * Looks below the start of the raw topic, from the first offset that anybody knows. An offset without a trace is a lost record where
 * the topic's producers use no transactions (no offset that can still be read is empty) and every clock is known; it may be
 * anything otherwise.
 */
export async function holesOf(
  books: Books,
  source: Source,
  { bounds, validated, known, transactional }: RawPlaces,
): Promise<Holes> {
  const { project, warehouse } = books;
  const lost = new Finding();
  let unexplained = 0;
  if (bounds.every(({ start }) => start === 0)) return { lost, unexplained };
  const clocks = await readLastClocks(warehouse, project.prefix);
  const topic = topics.validated(project.prefix, source.name);
  for (const [partition, { start }] of bounds.entries()) {
    const clocksKnown = validated[partition]?.start === 0 || !clocks.has(`${topic}:${partition}`);
    const traced = (offset: number) => known.some((tally) => tally.of(partition, offset) > 0);
    let at = 0;
    while (at < start && !traced(at)) at += 1;
    for (; at < start; at += 1) {
      if (traced(at)) continue;
      const from = at;
      while (at < start && !traced(at)) at += 1;
      if (transactional || !clocksKnown) unexplained += at - from;
      else {
        lost.add(partition, from, await arrivalAfter(books, source, partition, from));
        lost.count += at - from - 1;
      }
    }
  }
  return { lost, unexplained };
}

/** When the next archived record of the partition arrived, epoch ms; null where there is none. */
async function arrivalAfter(
  { project, warehouse }: Books,
  { name }: Source,
  partition: number,
  offset: number,
): Promise<number | null> {
  const [row] = await warehouse.query<{ at: number; found: number }>(
    `SELECT toUnixTimestamp64Milli(min(append_time)) AS at, count() AS found FROM ${quoteName(tables.events(project.prefix, name))}
     WHERE archived_offset >= 0 AND source_partition = ${partition} AND source_offset > ${offset}`,
  );
  return row === undefined || row.found === 0 ? null : row.at;
}
