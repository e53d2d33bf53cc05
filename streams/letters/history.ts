import { createHash } from 'node:crypto';
import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { retrying } from '../../infrastructure/clickhouse/retry.ts';
import { eventEncoder } from '../../infrastructure/clickhouse/rows.ts';
import type { EventRecord } from '../../schemas/event.ts';
import { LETTERS_IMPORT, tables } from '../../schemas/names.ts';
import type { Project, Source } from '../../schemas/project.ts';
import { iso } from '../runtime/iso.ts';
import { placeOf } from './ledger.ts';
import type { Letter } from './letter.ts';

export interface PastLetter {
  readonly letter: Letter;
  readonly event: EventRecord;
}

/**
 * Puts events that are too late for live into history: they stand in the events table as imported ones do, so training, backfill and SQL
 * see them. A row is named by the place of its letter, so a repeat changes nothing. Throws WarehouseError.
 */
export async function writeHistory(
  { project, warehouse }: { readonly project: Project; readonly warehouse: Warehouse },
  source: Source,
  letters: readonly PastLetter[],
  now: number,
): Promise<void> {
  if (letters.length === 0) return;
  const places = letters.map(({ letter }) => placeOf(letter.place)).join(' ');
  const token = `letters ${createHash('sha256').update(`${source.name} ${places}`).digest('hex')}`;
  const times = letters.map(({ event }) => event.time);
  // First, since vectors that were made without these events are made anew because of it.
  const imported = {
    import_id: `${LETTERS_IMPORT}:${token.slice(-16)}`,
    source: source.name,
    file: 'dead letters',
    reader: 'dead-letters',
    from: iso(Math.min(...times)),
    to: iso(Math.max(...times) + 1),
    rows: letters.length,
    rejected: 0,
    state: 'done',
    detail: '{}',
    at: iso(now),
  };
  await retrying(() => warehouse.insert(tables.imports(project.prefix), [imported], { token }));
  const encoder = eventEncoder(source);
  const bytes = encoder.encode(
    letters.map(({ letter, event }) => ({
      event,
      importId: LETTERS_IMPORT,
      sourceTopic: '',
      sourcePartition: letter.place.partition,
      sourceOffset: letter.place.offset,
      appendTime: letter.appendTime,
      arrivedAt: letter.appendTime,
      archivedPartition: -1,
      archivedOffset: -1,
    })),
  );
  const table = tables.events(project.prefix, source.name);
  await retrying(() => warehouse.insertRaw(table, encoder.columns, encoder.format, bytes, { token }));
}
