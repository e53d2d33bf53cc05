import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import type { Kafka } from '../../infrastructure/kafka/port.ts';
import type { OnlineStore } from '../../infrastructure/redis/port.ts';
import type { SourceState } from '../../processors/meta.ts';
import { LETTERS_IMPORT, rawTopic, tables, topics } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import type { View } from '../../schemas/view.ts';
import { archiveTables } from '../archive/tables.ts';
import { unfinishedPartitions } from '../audit/books.ts';
import { progressKey, wholeProgress } from '../ingest/progress.ts';
import type { Codecs } from '../runtime/codecs.ts';
import type { Marks } from './past.ts';

/** What the archive holds of the views' sources up to a moment of event time. */
interface ArchiveOptions {
  readonly project: Project;
  readonly warehouse: Warehouse;
  /** E: event time, epoch ms. */
  readonly to: number;
}

/** The last archived source offsets of events before E, by source: what the state will have applied of Kafka. */
export async function readMarks(
  { project, warehouse, to }: ArchiveOptions,
  views: readonly View[],
): Promise<ReadonlyMap<string, Marks>> {
  const marks = new Map<string, Marks>();
  for (const name of new Set(views.flatMap(({ sources }) => sources)))
    marks.set(
      name,
      await warehouse.query<{ partition: number; offset: number }>(
        `SELECT source_partition AS partition, max(source_offset) AS offset
        FROM ${quoteName(tables.events(project.prefix, name))}
        WHERE import_id = '' AND time < fromUnixTimestamp64Milli({to:Int64}) GROUP BY partition ORDER BY partition`,
        { to },
      ),
    );
  return marks;
}

/** The archive has not come to what the state must hold. */
export class ArchiveBehind extends MillraceError {
  readonly code = 'archive_behind';
  readonly retriable = true;
}

interface FeedingOptions extends ArchiveOptions {
  readonly kafka: Kafka;
  readonly store: OnlineStore;
  readonly codecs: Codecs;
}

/**
 * Marks no lower than the last offset before ingest began to feed these views: what lies below is in no log of
 * theirs, so all of it is taken from the archive, younger than E or not. Throws ArchiveBehind.
 */
export async function raiseToFeeding(
  options: FeedingOptions,
  views: readonly View[],
  marks: ReadonlyMap<string, Marks>,
): Promise<ReadonlyMap<string, Marks>> {
  const { project, warehouse, kafka, store, codecs } = options;
  const raised = new Map<string, Marks>();
  for (const source of project.sources) {
    const known = marks.get(source.name);
    if (known === undefined) continue;
    const ids = views.filter(({ sources }) => sources.includes(source.name)).map(({ id }) => id);
    const found = await store.read(
      Array.from({ length: source.partitions }, (_, p) => [progressKey(project.prefix, source.name, p)]),
    );
    const offsets = new Map(known.map(({ partition, offset }) => [partition, offset]));
    const lower: number[] = [];
    for (const [partition, [bytes = null]] of found.entries()) {
      const progress = wholeProgress(bytes);
      if (progress === null) continue;
      const { fed, next } = progress;
      const before = Math.max(...ids.map((id) => fed[id] ?? next)) - 1;
      if (before <= (offsets.get(partition) ?? -1)) continue;
      offsets.set(partition, before);
      lower.push(partition);
    }
    const table = archiveTables(project, codecs).find(
      ({ topic }) => topic === topics.validated(project.prefix, source.name),
    );
    if (lower.length > 0 && table !== undefined) {
      const open = await unfinishedPartitions(kafka, warehouse, table);
      const behind = lower.filter((partition) => open.has(partition));
      if (behind.length > 0)
        throw new ArchiveBehind(
          `The archive has not yet kept all events of ${source.name} partition ${behind.join(', ')} from before the views ${ids.join(', ')} were fed. Let 'millrace run archive' catch up, and run the backfill again.`,
        );
    }
    raised.set(
      source.name,
      [...offsets].map(([partition, offset]) => ({ partition, offset })),
    );
  }
  return raised;
}

/**
 * The least time that a request behind the marks reads as of, as far as the archive knows, and E at most: one whose producer's
 * clock was ahead reads as of its arrival. Epoch ms.
 */
export async function leastReadTime(
  { project, warehouse, to }: ArchiveOptions,
  marks: ReadonlyMap<string, Marks>,
): Promise<number> {
  let least = to;
  for (const [name, list] of marks) {
    const behind = list.map(
      ({ partition, offset }) => `(source_partition = ${partition} AND source_offset <= ${offset})`,
    );
    const [row] = await warehouse.query<{ n: number; least: number }>(
      `SELECT count() AS n, min(toUnixTimestamp64Milli(assumeNotNull(first_append_time))) AS least
      FROM ${quoteName(tables.events(project.prefix, name))}
      WHERE time >= fromUnixTimestamp64Milli({to:Int64}) AND first_append_time < fromUnixTimestamp64Milli({to:Int64})
        AND NOT (${behind.join(' OR ') || 'false'})`,
      { to },
    );
    if (row !== undefined && row.n > 0) least = Math.min(least, row.least);
  }
  return least;
}

/** Which imports the archive holds events of, and the first event of them all, epoch ms (null = none). */
export async function readImports(
  { project, warehouse, to }: ArchiveOptions,
  views: readonly View[],
): Promise<{ readonly ids: readonly string[]; readonly first: number | null }> {
  const ids = new Set<string>();
  let first: number | null = null;
  for (const name of new Set(views.flatMap(({ sources }) => sources))) {
    const rows = await warehouse.query<{ id: string; first: number }>(
      `SELECT import_id AS id, min(toUnixTimestamp64Milli(time)) AS first
      FROM ${quoteName(tables.events(project.prefix, name))}
      WHERE import_id != '' AND time < fromUnixTimestamp64Milli({to:Int64}) GROUP BY id ORDER BY id`,
      { to },
    );
    for (const row of rows) {
      ids.add(row.id);
      // What came late says nothing of when history begins.
      if (row.id === LETTERS_IMPORT) continue;
      first = first === null ? row.first : Math.min(first, row.first);
    }
  }
  return { ids: [...ids], first };
}

/** The marks as features would know them: repeats are skipped, and no header below a mark gives a frontier. */
export function sourceStates(
  project: Project,
  view: View,
  marks: ReadonlyMap<string, Marks>,
): Record<string, SourceState> {
  const states: Record<string, SourceState> = {};
  for (const source of project.sources) {
    if (!view.sources.includes(source.name)) continue;
    for (const { partition, offset } of marks.get(source.name) ?? [])
      states[`${rawTopic(project.prefix, source)}:${partition}`] = {
        partitions: source.partitions,
        mark: offset,
        begin: offset,
        runningMax: null,
        watermark: null,
        byClock: false,
        idle: false,
        turn: 0,
        appendTime: null,
        clockOpen: false,
      };
  }
  return states;
}
