import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import type { LastClock } from './clocks.ts';
import type { ArchiveTable, Lineage, Mark } from './table.ts';

export type { Mark } from './table.ts';

export const markKey = ({ sourcePartition, writer }: Pick<Lineage, 'sourcePartition' | 'writer'>) =>
  `${sourcePartition}:${writer}`;

/** False for a repeat; else the mark is raised: the first record of a lineage counts. */
export function isNew(mark: Mark, { sourcePartition, sourceOffset, writer }: Lineage): boolean {
  return isNewAt(mark, sourcePartition, sourceOffset, writer);
}

/** The same without an object. */
export function isNewAt(
  { sources }: Mark,
  sourcePartition: number,
  sourceOffset: number,
  writer: string,
): boolean {
  const key = keyOf(sourcePartition, writer);
  if (sourceOffset <= (sources.get(key) ?? -1)) return false;
  sources.set(key, sourceOffset);
  return true;
}

/** Keys by writer and partition: one is asked for with every row. */
const keys = new Map<string, string[]>();

function keyOf(sourcePartition: number, writer: string): string {
  let list = keys.get(writer);
  if (list === undefined) {
    // A record may name any writer.
    if (keys.size >= MAX_WRITERS) keys.clear();
    list = [];
    keys.set(writer, list);
  }
  const known = list[sourcePartition];
  if (known !== undefined) return known;
  const key = markKey({ sourcePartition, writer });
  if (sourcePartition >= 0 && sourcePartition < MAX_PARTITIONS) list[sourcePartition] = key;
  return key;
}

const MAX_WRITERS = 1_000;
const MAX_PARTITIONS = 10_000;

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
