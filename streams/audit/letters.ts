import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { tables } from '../../schemas/names.ts';
import type { Source } from '../../schemas/project.ts';
import type { Books, ViewLetters } from './books.ts';

/** Refused contributions on the dead-letter topic that have no row. */
export interface LettersKept {
  readonly unarchived: number;
  /** The archive has read past them. */
  readonly missing: number;
}

/** Refused contributions = rows, by writer and partition. */
export async function lettersKept(
  { project, warehouse }: Books,
  source: Source,
  views: ReadonlyMap<string, ViewLetters>,
  behind: ReadonlySet<number>,
): Promise<LettersKept> {
  if (views.size === 0) return { unarchived: 0, missing: 0 };
  const rows = await warehouse.query<{ writer: string; p: number; kept: number }>(
    `SELECT writer, source_partition AS p, count() AS kept
     FROM ${quoteName(tables.deadLetters(project.prefix, source.name))} FINAL
     WHERE archived_offset >= 0 AND writer != 'ingest' GROUP BY writer, p`,
  );
  const keptOf = new Map(rows.map(({ writer, p, kept }) => [`${writer} ${p}`, kept]));
  let unarchived = 0;
  let missing = 0;
  for (const [writer, { all }] of views)
    for (let p = 0; p < source.partitions; p += 1) {
      const lost = all.count(p) - (keptOf.get(`${writer} ${p}`) ?? 0);
      if (lost <= 0) continue;
      if (behind.has(p)) unarchived += lost;
      else missing += lost;
    }
  return { unarchived, missing };
}
