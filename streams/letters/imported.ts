import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { tables } from '../../schemas/names.ts';
import type { Source } from '../../schemas/project.ts';
import type { LetterGroup } from './groups.ts';
import { type LetterSelection, parametersOf, SELECTED, type SelectDeps } from './select.ts';

/** Letters of a source that are rows of imported files, by reason: the file is there, and is imported again. */
export async function importedLetters(
  { project, warehouse }: Pick<SelectDeps, 'project' | 'warehouse'>,
  source: Source,
  selection: LetterSelection,
): Promise<LetterGroup[]> {
  const rows = await warehouse.query<{ reason: string; letters: number; example: string }>(
    `SELECT code AS reason, count() AS letters, ifNull(min(event_id), '') AS example
     FROM ${quoteName(tables.deadLetters(project.prefix, source.name))} FINAL
     WHERE source_topic = '' AND ${SELECTED} GROUP BY code ORDER BY code`,
    parametersOf(selection),
  );
  return rows.map((row) => ({ source: source.name, outcome: 'imported', code: null, ...row }));
}
