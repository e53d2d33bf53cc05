import type { Warehouse } from '../infrastructure/clickhouse/port.ts';
import { quoteName } from '../infrastructure/clickhouse/tables.ts';
import type { SourceState } from '../processors/meta.ts';
import { tables, topics } from '../schemas/names.ts';
import type { Project } from '../schemas/project.ts';
import type { View } from '../schemas/view.ts';
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
      states[`${topics.raw(project.prefix, source.name)}:${partition}`] = {
        partitions: source.partitions,
        mark: offset,
        runningMax: null,
        watermark: null,
        byClock: false,
        idle: false,
        clockOpen: false,
      };
  }
  return states;
}
