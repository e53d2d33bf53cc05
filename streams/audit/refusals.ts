import { quoteName, quoteText } from '../../infrastructure/clickhouse/tables.ts';
import type { ClockMark } from '../../processors/lateness.ts';
import { tables } from '../../schemas/names.ts';
import type { Source } from '../../schemas/project.ts';
import type { View } from '../../schemas/view.ts';
import { STRETCH_MS, type Stretch, stretchesOf } from './arrivals.ts';
import { type Books, Finding, type Found } from './books.ts';
import { type ClockArrival, FrontierBound } from './frontier-bound.ts';

/** Contributions of one source that one view refused as `late_for_view`, against what the archive says should have been. */
export interface RefusalAudit {
  readonly view: string;
  readonly source: string;
  readonly lateForView: number;
  /** Events that came within outOfOrderness of their time: never refused rightly. */
  readonly prompt: Found;
  /** Others that were not below any frontier that an undisturbed ingest can have had. */
  readonly inTime: Found;
  /** Not judged yet: their events, or others that arrived before them, are not archived. */
  readonly unjudged: number;
  /** Not judged beyond the first law: the raw topic has lost the clocks that came before them. */
  readonly unknown: number;
}

/** What the books of a source know that the tables do not. */
export interface ArrivalFacts {
  readonly clocks: readonly ClockArrival[];
  /** The tables hold all that arrived before, epoch ms. */
  readonly archivedUntil: number;
  /** The raw topic still has what arrived from here on, epoch ms; minus infinity where it has all. */
  readonly rawFrom: number;
}

interface LetterRow {
  readonly writer: string;
  readonly p: number;
  readonly o: number;
  readonly time: number;
  readonly appended: number;
  readonly refused: number;
}

interface Letter extends LetterRow {
  readonly source: Source;
}

/**
 * Judges every `late_for_view` of the archive's dead letters. Two laws:
 *
 * - An event that came within outOfOrderness of its time (the largest of all sources of the view) is never refused: what others
 *   bring before it arrived cannot have moved the frontier beyond its arrival less that. It supposes brokers whose clocks agree.
 * - Nor is one whose time is not below the highest frontier that an undisturbed ingest can have had: see FrontierBound.
 *
 * All by the sources' outOfOrderness and idleAfter as they are declared now.
 */
export async function auditRefusals(
  books: Books,
  factsOf: ReadonlyMap<string, ArrivalFacts>,
): Promise<RefusalAudit[]> {
  const { project } = books;
  const audits: RefusalAudit[] = [];
  const bySources = Map.groupBy(project.views, ({ sources }) => [...sources].sort().join(' '));
  for (const views of bySources.values()) {
    const sources = project.sources.filter(({ name }) => views[0]?.sources.includes(name));
    audits.push(...(await auditViewsOf(books, views, sources, factsOf)));
  }
  return audits;
}

async function auditViewsOf(
  books: Books,
  views: readonly View[],
  sources: readonly Source[],
  factsOf: ReadonlyMap<string, ArrivalFacts>,
): Promise<RefusalAudit[]> {
  const letters: Letter[] = [];
  for (const source of sources)
    for (const row of await readLetters(books, source, views)) letters.push({ ...row, source });
  const facts = sources.map(({ name }) => factsOf.get(name));
  const until = Math.min(...facts.map((one) => one?.archivedUntil ?? Number.POSITIVE_INFINITY));
  const from = Math.max(...facts.map((one) => one?.rawFrom ?? Number.NEGATIVE_INFINITY));
  const patience = largestDisorder(sources);
  const audits = new Map(
    views.flatMap(({ id }) => sources.map(({ name }) => [`${id} ${name}`, emptyAudit(id, name)] as const)),
  );
  const auditOf = ({ writer, source }: Letter) =>
    audits.get(`${writer.slice(0, writer.lastIndexOf(':'))} ${source.name}`);
  const open: Letter[] = [];
  for (const letter of letters) {
    const audit = auditOf(letter);
    if (audit === undefined) continue;
    audit.lateForView += 1;
    const { p, o, time, appended, refused } = letter;
    if (appended < 0) audit.unjudged += 1;
    else if (appended - time <= patience) audit.prompt.add(p, o, refused);
    else if (appended < from) audit.unknown += 1;
    else if (appended >= until) audit.unjudged += 1;
    else open.push(letter);
  }
  const clocks = clocksOf(sources, factsOf);
  for (const letter of await aboveBound(books, sources, clocks, open))
    auditOf(letter)?.inTime.add(letter.p, letter.o, letter.refused);
  return [...audits.values()];
}

function emptyAudit(view: string, source: string) {
  const [prompt, inTime] = [new Finding(), new Finding()];
  return { view, source, lateForView: 0, prompt, inTime, unjudged: 0, unknown: 0 };
}

/** Dead letters of views with the arrival of their events; -1 where that is not archived. */
async function readLetters(
  { project, warehouse }: Books,
  source: Source,
  views: readonly View[],
): Promise<LetterRow[]> {
  const { prefix } = project;
  const writers = views.map(({ id }) => `startsWith(writer, ${quoteText(`${id}:`)})`).join(' OR ');
  const letters = `SELECT writer, source_partition AS p, source_offset AS o, toUnixTimestamp64Milli(event_time) AS time,
      toUnixTimestamp64Milli(refused_time) AS refused
    FROM ${quoteName(tables.deadLetters(prefix, source.name))} FINAL
    WHERE code = 'late_for_view' AND event_time IS NOT NULL AND (${writers})`;
  return warehouse.query<LetterRow>(
    `WITH letters AS (${letters})
     SELECT writer, p, o, assumeNotNull(time) AS time, refused, if(known = 0, -1, arrived) AS appended
     FROM letters LEFT JOIN (
       SELECT source_partition AS p, source_offset AS o, min(toUnixTimestamp64Milli(append_time)) AS arrived, 1 AS known
       FROM ${quoteName(tables.events(prefix, source.name))}
       WHERE archived_offset >= 0 AND import_id = '' AND (source_partition, source_offset) IN (SELECT p, o FROM letters)
       GROUP BY p, o
     ) AS events USING (p, o)
     ORDER BY refused, p, o`,
  );
}

/** Clocks of sources in the order of their arrival, their partitions counted through. */
function clocksOf(sources: readonly Source[], factsOf: ReadonlyMap<string, ArrivalFacts>): ClockArrival[] {
  let base = 0;
  const clocks: ClockArrival[] = [];
  for (const { name, partitions } of sources) {
    for (const clock of factsOf.get(name)?.clocks ?? []) clocks.push({ ...clock, of: base + clock.of });
    base += partitions;
  }
  return clocks.sort((a, b) => a.appendTime - b.appendTime);
}

/** Views hear of watermarks as if each source allowed the most that any of theirs does: see RawPartition.toldTo. */
const largestDisorder = (sources: readonly Source[]) =>
  Math.max(...sources.map(({ outOfOrderness }) => outOfOrderness));

/** The letters whose events are at or above the bound of the frontier as of their arrival. */
async function aboveBound(
  { project, warehouse, tick }: Books,
  sources: readonly Source[],
  clocks: readonly ClockArrival[],
  letters: readonly Letter[],
): Promise<Letter[]> {
  if (letters.length === 0) return [];
  const ordered = [...letters].sort((a, b) => a.appended - b.appended);
  const until = ordered.at(-1)?.appended ?? 0;
  const bound = new FrontierBound(
    sources.flatMap(({ partitions, idleAfter }) =>
      Array.from({ length: partitions }, () => ({ outOfOrderness: largestDisorder(sources), idleAfter })),
    ),
  );
  const above: Letter[] = [];
  let at = 0;
  const stretches = stretchesOf(warehouse, project, sources, until, tick);
  for await (const { end, arrivals, clocks: passed } of withClocks(stretches, clocks)) {
    bound.take(end, arrivals, passed);
    for (let letter = ordered[at]; letter !== undefined && letter.appended < end; letter = ordered[at]) {
      at += 1;
      if (letter.time >= bound.frontier) above.push(letter);
    }
  }
  return above;
}

/** Stretches with their clocks, and those where nothing but clocks arrived. */
async function* withClocks(
  stretches: AsyncIterable<Stretch>,
  clocks: readonly ClockArrival[],
): AsyncGenerator<Stretch & { readonly clocks: readonly ClockArrival[] }> {
  let at = 0;
  const nextEnd = () => {
    const clock = clocks[at];
    return clock === undefined
      ? Number.POSITIVE_INFINITY
      : (Math.floor(clock.appendTime / STRETCH_MS) + 1) * STRETCH_MS;
  };
  const before = (end: number) => {
    const from = at;
    while ((clocks[at]?.appendTime ?? Number.POSITIVE_INFINITY) < end) at += 1;
    return clocks.slice(from, at);
  };
  for await (const stretch of stretches) {
    for (let end = nextEnd(); end < stretch.end; end = nextEnd())
      yield { end, arrivals: [], clocks: before(end) };
    yield { ...stretch, clocks: before(stretch.end) };
  }
}

/** Clocks of the partitions of a raw topic; what came together in one partition is one. */
export class ClockBook {
  readonly list: Array<ClockArrival & { time: number }> = [];
  readonly #last: Array<ClockArrival & { time: number }> = [];

  add(partition: number, { time, kind, replay }: ClockMark, appendTime: number): void {
    const open = replay === null ? (this.#last[partition]?.open ?? false) : kind !== 'end';
    const counted = replay === null ? Math.min(time, appendTime) : time;
    const last = this.#last[partition];
    const sameStretch =
      last !== undefined &&
      last.open === open &&
      Math.floor(last.appendTime / STRETCH_MS) === Math.floor(appendTime / STRETCH_MS);
    if (sameStretch) last.time = Math.max(last.time, counted);
    else {
      const clock = { of: partition, time: counted, appendTime, open };
      this.#last[partition] = clock;
      this.list.push(clock);
    }
  }
}
