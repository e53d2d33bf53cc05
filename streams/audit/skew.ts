import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { LETTERS_IMPORT, tables } from '../../schemas/names.ts';
import type { Source } from '../../schemas/project.ts';
import type { Books } from './books.ts';

/** Events of one source that live refused and that training takes all the same: the two see other features. */
export interface SkewAudit {
  readonly source: string;
  /** Refused as `late`, and imported since; or refused for whatever reason, and put into history as dead letters that were late by then. */
  readonly late: number;
  /** By id of a view as it is declared now: contributions that versions before it refused as `late_for_view`, and that it has. */
  readonly lateForView: Readonly<Record<string, number>>;
}

interface LetterRow {
  readonly writer: string;
  readonly p: number;
  readonly o: number;
}

/** A repeat of an accepted event is late too, and no skew: so the late ones are looked for among imported events alone. */
export async function auditSkew(books: Books, source: Source): Promise<SkewAudit> {
  const { project, warehouse } = books;
  const events = quoteName(tables.events(project.prefix, source.name));
  const letters = quoteName(tables.deadLetters(project.prefix, source.name));
  const [late] = await warehouse.query<{ n: number }>(
    `SELECT uniqExact(event_id) AS n FROM ${letters} FINAL
     WHERE writer = 'ingest' AND ((code = 'late' AND event_id IN (SELECT id FROM ${events} WHERE import_id != ''))
       OR event_id IN (SELECT id FROM ${events} WHERE import_id = {letters:String}))`,
    { letters: LETTERS_IMPORT },
  );
  const rows = await warehouse.query<LetterRow>(
    `SELECT DISTINCT writer, source_partition AS p, source_offset AS o FROM ${letters} FINAL WHERE code = 'late_for_view'`,
  );
  const placesOf = Map.groupBy(rows, ({ writer }) => writer.slice(0, writer.lastIndexOf(':')));
  const lateForView: Record<string, number> = {};
  for (const { id, name } of project.views.filter(({ sources }) => sources.includes(source.name))) {
    const place = ({ p, o }: LetterRow) => `${p}:${o}`;
    const own = new Set((placesOf.get(id) ?? []).map(place));
    const before = new Set<string>();
    for (const [version, refused] of placesOf)
      if (version !== id && version.startsWith(`${name}@`))
        for (const one of refused) if (!own.has(place(one))) before.add(place(one));
    if (before.size > 0) lateForView[id] = before.size;
  }
  return { source: source.name, late: late?.n ?? 0, lateForView };
}
