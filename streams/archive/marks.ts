import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import type { LastClock } from './clocks.ts';
import type { ArchiveTable, Lineage } from './tables.ts';

/** What a table holds of one partition of its topic. */
export interface Mark {
  /** Largest offset of the archived topic; -1 where the table has nothing of it. */
  archived: number;
  /** Largest source offset by source partition and writer: what is at or below it is a repeat. */
  readonly sources: Map<string, number>;
}

export const markKey = ({ sourcePartition, writer }: Pick<Lineage, 'sourcePartition' | 'writer'>) =>
  `${sourcePartition}:${writer}`;

/** False for a repeat; else the mark is raised: the first record of a lineage counts. */
export function isNew(mark: Mark, lineage: Lineage): boolean {
  const key = markKey(lineage);
  if (lineage.sourceOffset <= (mark.sources.get(key) ?? -1)) return false;
  mark.sources.set(key, lineage.sourceOffset);
  return true;
}

/** Offset to go on from. What is read twice is known by its lineage. */
export function resumeAt({ archived }: Mark, last: LastClock | undefined): number {
  if (last === undefined) return archived + 1;
  return last.open || last.offset > archived ? last.offset + 1 : archived + 1;
}

/** Reads the marks of a table back, by partition of its topic. Rows of imports have none. */
export async function readMarks(warehouse: Warehouse, table: ArchiveTable): Promise<Map<number, Mark>> {
  const { writer, partition, offset } = table.lineageSql;
  const rows = await warehouse.query<{ p: number; s: number; w: string; source: number; archived: number }>(
    `SELECT archived_partition AS p, ${partition} AS s, ${writer} AS w,
       max(${offset}) AS source, max(archived_offset) AS archived
     FROM ${quoteName(table.table)} WHERE archived_offset >= 0 GROUP BY p, s, w`,
  );
  const marks = new Map<number, Mark>();
  for (const { p, s, w, source, archived } of rows) {
    const mark = marks.get(p) ?? { archived: -1, sources: new Map() };
    mark.archived = Math.max(mark.archived, archived);
    mark.sources.set(markKey({ sourcePartition: s, writer: w }), source);
    marks.set(p, mark);
  }
  return marks;
}
