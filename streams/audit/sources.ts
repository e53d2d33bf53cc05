import type { KafkaRecord } from '../../infrastructure/kafka/port.ts';
import { headers, rawTopic, tables, topics } from '../../schemas/names.ts';
import type { Source } from '../../schemas/project.ts';
import { readClock, textOf } from '../runtime/clock-record.ts';
import { type Bounds, boundsOf, readTopic } from '../runtime/topic.ts';
import { type Books, Finding, type Found, lagging, Tally, tallyRows, ViewLetters } from './books.ts';
import { type Holes, holesOf } from './holes.ts';
import { type LettersKept, lettersKept } from './letters.ts';
import { countedLog } from './progress.ts';
import { type ArrivalFacts, ClockBook } from './refusals.ts';
import { StampBook, type Stamps } from './stamps.ts';

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
  /** In a topic and in no table, though the archive has passed them. */
  readonly missingRows: Found;
  /** Both accepted and refused, several rows, or a row that no topic has. */
  readonly double: Found;
  /** Refused contributions that are in no table. */
  readonly letters: LettersKept;
  readonly holes: Holes;
  readonly stamps: Stamps;
}

interface SourceBooks {
  readonly audit: SourceAudit;
  /** Accepted raw offsets, by type of event. */
  readonly accepted: ReadonlyMap<string, Tally>;
  /** Raw offsets that views refused, by writer. */
  readonly refusedBy: ReadonlyMap<string, ViewLetters>;
  readonly facts: ArrivalFacts;
  /** Largest raw offset of a partition that ingest is known to have worked; -1 for none. */
  readonly written: (partition: number) => number;
}

/** raw records = accepted + refused = rows, clocks apart. */
export async function auditSource(books: Books, source: Source): Promise<SourceBooks> {
  const { project, kafka, warehouse } = books;
  const { prefix } = project;
  const names = {
    raw: rawTopic(prefix, source),
    validated: topics.validated(prefix, source.name),
    letters: topics.deadLetters(prefix, source.name),
  };
  // Down the flow, then the rows: what moves on meanwhile is ahead of what is asked for, never behind it.
  const { bounds, progress, read } = await countedLog(books, source);
  const behind = {
    events: await lagging(books, names.validated),
    letters: await lagging(books, names.letters),
  };
  const events = await readAccepted(books, source, names.validated);
  const letters = await readRefused(books, names.letters);
  const rows = {
    accepted: await tallyRows(warehouse, tables.events(prefix, source.name), "import_id = ''"),
    refused: await tallyRows(warehouse, tables.deadLetters(prefix, source.name), "writer = 'ingest'"),
  };
  const next = bounds.map((_, partition) =>
    Math.max(
      events.accepted.last(partition) + 1,
      letters.refused.last(partition) + 1,
      progress?.[partition]?.next ?? 0,
    ),
  );
  const walk = new RawWalk({ events, letters, rows, behind, next });
  await read((record) => walk.see(record));
  const known = [events.accepted, letters.refused, rows.accepted, rows.refused, events.clocks];
  const audit: SourceAudit = {
    source: source.name,
    ...walk.found,
    accepted: events.accepted.size,
    refused: letters.refused.size,
    late: letters.byCode.late ?? 0,
    refusedByCode: letters.byCode,
    refusedByViews: letters.byViews,
    repeats: events.repeats + letters.repeats,
    acceptedRows: rows.accepted.size,
    refusedRows: rows.refused.size,
    letters: await lettersKept(books, source, letters.views, behind.letters),
    holes: await holesOf(books, source, {
      bounds,
      validated: events.bounds,
      known,
      transactional: walk.transactional,
    }),
    stamps: await walk.stamps.close(kafka, names.raw),
  };
  return {
    audit,
    accepted: events.byType,
    refusedBy: letters.views,
    written: (partition) => Math.max(...known.map((tally) => tally.last(partition))),
    facts: { clocks: walk.clocks.list, archivedUntil: walk.archivedUntil, rawFrom: walk.rawFrom(bounds) },
  };
}

interface Accepted {
  readonly bounds: Bounds;
  readonly accepted: Tally;
  readonly byType: ReadonlyMap<string, Tally>;
  /** Raw offsets of the clocks that ingest passed on. */
  readonly clocks: Tally;
  readonly repeats: number;
}

async function readAccepted(
  { kafka, codecs, tick }: Books,
  source: Source,
  topic: string,
): Promise<Accepted> {
  const [accepted, clocks] = [new Tally(), new Tally()];
  const byType = new Map<string, Tally>();
  const codec = codecs.validated(source.name);
  let repeats = 0;
  const take = (record: KafkaRecord): void => {
    const { partition, value } = record;
    if (value === null) {
      const offset = Number(textOf(record, headers.sourceOffset) ?? Number.NaN);
      if (Number.isSafeInteger(offset)) clocks.add(partition, offset);
      return;
    }
    const validated = codec.read(value);
    if (validated === null) return;
    const { offset, event } = validated;
    if (accepted.add(partition, offset) > 0) {
      repeats += 1;
      return;
    }
    const tally = byType.get(event.type) ?? new Tally();
    tally.add(partition, offset);
    byType.set(event.type, tally);
  };
  const bounds = await boundsOf(kafka, topic);
  await readTopic(kafka, topic, bounds, take, undefined, tick);
  return { bounds, accepted, byType, clocks, repeats };
}

interface Refused {
  readonly bounds: Bounds;
  readonly refused: Tally;
  readonly views: ReadonlyMap<string, ViewLetters>;
  readonly byCode: Readonly<Record<string, number>>;
  readonly byViews: Readonly<Record<string, number>>;
  readonly repeats: number;
}

async function readRefused({ kafka, codecs, tick }: Books, topic: string): Promise<Refused> {
  const refused = new Tally();
  const views = new Map<string, ViewLetters>();
  const byCode: Record<string, number> = {};
  const byViews: Record<string, number> = {};
  let repeats = 0;
  const take = ({ value }: KafkaRecord): void => {
    if (value === null) return;
    const letter = codecs.deadLetters.read(value);
    if (letter === null) return;
    const { writer, code, sourcePartition, sourceOffset } = letter;
    const own = writer === 'ingest';
    let before: number;
    if (own) before = refused.add(sourcePartition, sourceOffset);
    else {
      const letters = views.get(writer) ?? new ViewLetters();
      views.set(writer, letters);
      before = letters.add(code, sourcePartition, sourceOffset);
    }
    if (before > 0) {
      if (own) repeats += 1;
      return;
    }
    const codes = own ? byCode : byViews;
    codes[code] = (codes[code] ?? 0) + 1;
  };
  const bounds = await boundsOf(kafka, topic);
  await readTopic(kafka, topic, bounds, take, undefined, tick);
  return { bounds, refused, views, byCode, byViews, repeats };
}

interface RawFacts {
  readonly events: Accepted;
  readonly letters: Refused;
  readonly rows: { readonly accepted: Tally; readonly refused: Tally };
  /** Partitions that the archive has not read to their end. */
  readonly behind: { readonly events: ReadonlySet<number>; readonly letters: ReadonlySet<number> };
  /** What ingest has not come to begins here, by partition. */
  readonly next: readonly number[];
}

/** Follows raw records, in order within a partition, to where they ended. */
class RawWalk {
  readonly #facts: RawFacts;
  readonly clocks = new ClockBook();
  readonly stamps = new StampBook();
  readonly found = {
    raw: 0,
    clocks: 0,
    waiting: 0,
    unarchived: 0,
    missing: new Finding(),
    missingRows: new Finding(),
    double: new Finding(),
  };
  /** What arrived from here on is not all in the tables yet, epoch ms. */
  archivedUntil = Number.POSITIVE_INFINITY;
  /** Some offset has no record that can be read: the marker of a transaction, or what one aborted. */
  transactional = false;
  readonly #places: Array<{ firstAppend: number; last: number }> = [];

  constructor(facts: RawFacts) {
    this.#facts = facts;
  }

  /** When the first records of partitions arrived that no longer begin at 0, the latest of them; minus infinity where all do. */
  rawFrom(bounds: Bounds): number {
    return bounds.reduce(
      (from, { start }, p) =>
        start === 0 ? from : Math.max(from, this.#places[p]?.firstAppend ?? Number.POSITIVE_INFINITY),
      Number.NEGATIVE_INFINITY,
    );
  }

  see(record: KafkaRecord): void {
    const { partition, offset, appendTime } = record;
    const { events, letters, rows, behind, next } = this.#facts;
    const { found } = this;
    this.#place(partition, offset, appendTime);
    this.stamps.see(record);
    const taken = events.accepted.of(partition, offset) > 0;
    const left = letters.refused.of(partition, offset) > 0;
    const kept = rows.accepted.of(partition, offset) + rows.refused.of(partition, offset);
    const clock = !taken && !left && kept === 0 ? readClock(record) : null;
    if (clock !== null) {
      found.clocks += 1;
      this.clocks.add(partition, clock, appendTime);
      return;
    }
    found.raw += 1;
    if ((taken && left) || kept > 1) found.double.add(partition, offset, appendTime);
    else if (kept === 1) {
      // A topic that was cut may have had it.
      const whole = events.bounds[partition]?.start === 0 && letters.bounds[partition]?.start === 0;
      if (!taken && !left && whole) found.double.add(partition, offset, appendTime);
    } else if (!taken && !left) {
      if (offset < (next[partition] ?? 0)) found.missing.add(partition, offset, appendTime);
      else {
        found.waiting += 1;
        this.#wait(appendTime);
      }
    } else {
      const table = taken ? rows.accepted : rows.refused;
      const lags = (taken ? behind.events : behind.letters).has(partition);
      // Rows are stored in the order of their offsets: what lies below the last one was passed over.
      if (!lags || offset < table.last(partition)) found.missingRows.add(partition, offset, appendTime);
      else {
        found.unarchived += 1;
        this.#wait(appendTime);
      }
    }
  }

  #wait(appendTime: number): void {
    this.archivedUntil = Math.min(this.archivedUntil, appendTime);
  }

  #place(partition: number, offset: number, appendTime: number): void {
    const place = this.#places[partition];
    if (place === undefined) this.#places[partition] = { firstAppend: appendTime, last: offset };
    else {
      if (offset > place.last + 1) this.transactional = true;
      place.last = offset;
    }
  }
}
