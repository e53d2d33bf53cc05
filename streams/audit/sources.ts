import { tables, topics } from '../../schemas/names.ts';
import type { Source } from '../../schemas/project.ts';
import { decodeProgress, progressKey } from '../ingest/progress.ts';
import { readClock } from '../runtime/clock-record.ts';
import { boundsOf, readTopic } from '../runtime/topic.ts';
import { type Books, Finding, type Found, lagging, Tally, tallyRows } from './books.ts';

export interface SourceAudit {
  readonly source: string;
  /** Records on the raw topic, clocks apart. */
  readonly raw: number;
  readonly clocks: number;
  /** Raw offsets on the validated topic, and on the dead-letter topic by ingest. */
  readonly accepted: number;
  readonly refused: number;
  /** Of the refused. */
  readonly late: number;
  readonly refusedByCode: Readonly<Record<string, number>>;
  /** Contributions that views refused, by code: their events were accepted. */
  readonly refusedByViews: Readonly<Record<string, number>>;
  /** Records beyond the first of the same raw offset: whoever reads on drops them. */
  readonly repeats: number;
  readonly acceptedRows: number;
  readonly refusedRows: number;
  /** Raw records that ingest has not come to. */
  readonly waiting: number;
  readonly unarchived: number;
  readonly missing: Found;
  readonly missingRows: Found;
  /** Both accepted and refused, several rows, or a row that no topic has. */
  readonly double: Found;
}

interface SourceBooks {
  readonly audit: SourceAudit;
  /** Accepted raw offsets, by type of event. */
  readonly accepted: ReadonlyMap<string, Tally>;
  /** Raw offsets that views refused, by writer. */
  readonly refusedBy: ReadonlyMap<string, Tally>;
}

/** raw records = accepted + refused = rows, clocks apart. */
export async function auditSource(books: Books, source: Source): Promise<SourceBooks> {
  const { project, kafka, warehouse, store, codecs, tick } = books;
  const { prefix } = project;
  const names = {
    raw: topics.raw(prefix, source.name),
    validated: topics.validated(prefix, source.name),
    letters: topics.deadLetters(prefix, source.name),
  };
  // Down the flow, then the rows: what moves on meanwhile is ahead of what is asked for, never behind it.
  const bounds = await boundsOf(kafka, names.raw);
  const progress = await store?.read(bounds.map((_, p) => [progressKey(prefix, source.name, p)]));
  const behind = {
    events: await lagging(books, names.validated),
    letters: await lagging(books, names.letters),
  };

  const accepted = new Tally();
  const byType = new Map<string, Tally>();
  let repeats = 0;
  const codec = codecs.validated(source.name);
  const takeEvent = ({ partition, value }: { partition: number; value: Uint8Array | null }): void => {
    if (value === null) return;
    const { offset, event } = codec.decode(value);
    if (accepted.add(partition, offset) > 0) {
      repeats += 1;
      return;
    }
    const tally = byType.get(event.type) ?? new Tally();
    tally.add(partition, offset);
    byType.set(event.type, tally);
  };
  await readTopic(kafka, names.validated, await boundsOf(kafka, names.validated), takeEvent, undefined, tick);

  const refused = new Tally();
  const views = new Map<string, Tally>();
  const refusedByCode: Record<string, number> = {};
  const refusedByViews: Record<string, number> = {};
  const takeLetter = ({ value }: { value: Uint8Array | null }): void => {
    if (value === null) return;
    const { writer, code, sourcePartition, sourceOffset } = codecs.deadLetters.decode(value);
    const own = writer === 'ingest';
    const tally = own ? refused : (views.get(writer) ?? new Tally());
    if (!own) views.set(writer, tally);
    if (tally.add(sourcePartition, sourceOffset) > 0) {
      if (own) repeats += 1;
      return;
    }
    const codes = own ? refusedByCode : refusedByViews;
    codes[code] = (codes[code] ?? 0) + 1;
  };
  await readTopic(kafka, names.letters, await boundsOf(kafka, names.letters), takeLetter, undefined, tick);

  const rows = {
    accepted: await tallyRows(warehouse, tables.events(prefix, source.name), "import_id = ''"),
    refused: await tallyRows(warehouse, tables.deadLetters(prefix, source.name), "writer = 'ingest'"),
  };
  const next = bounds.map((_, partition) => {
    const bytes = progress?.[partition]?.[0] ?? null;
    const written = Math.max(accepted.last(partition), refused.last(partition)) + 1;
    return bytes === null ? written : Math.max(written, decodeProgress(bytes).next);
  });

  let raw = 0;
  let clocks = 0;
  let waiting = 0;
  let unarchived = 0;
  const [missing, missingRows, double] = [new Finding(), new Finding(), new Finding()];
  await readTopic(
    kafka,
    names.raw,
    bounds,
    (record) => {
      const { partition, offset } = record;
      const taken = accepted.of(partition, offset) > 0;
      const left = refused.of(partition, offset) > 0;
      const kept = [rows.accepted.of(partition, offset), rows.refused.of(partition, offset)] as const;
      if (!taken && !left && kept[0] + kept[1] === 0 && readClock(record) !== null) {
        clocks += 1;
        return;
      }
      raw += 1;
      if ((taken && left) || kept[0] + kept[1] > 1) double.add(partition, offset);
      else if (kept[0] + kept[1] === 1) {
        if (!taken && !left) double.add(partition, offset);
      } else if (!taken && !left) {
        if (offset >= (next[partition] ?? 0)) waiting += 1;
        else missing.add(partition, offset);
      } else if ((taken ? behind.events : behind.letters).has(partition)) unarchived += 1;
      else missingRows.add(partition, offset);
    },
    undefined,
    tick,
  );
  const audit: SourceAudit = {
    source: source.name,
    raw,
    clocks,
    accepted: accepted.size,
    refused: refused.size,
    late: refusedByCode.late ?? 0,
    refusedByCode,
    refusedByViews,
    repeats,
    acceptedRows: rows.accepted.size,
    refusedRows: rows.refused.size,
    waiting,
    unarchived,
    missing,
    missingRows,
    double,
  };
  return { audit, accepted: byType, refusedBy: views };
}
