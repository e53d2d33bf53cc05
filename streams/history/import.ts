import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { retrying } from '../../infrastructure/clickhouse/retry.ts';
import {
  type DeadLetterRow,
  deadLetterEncoder,
  type EventRow,
  eventEncoder,
} from '../../infrastructure/clickhouse/rows.ts';
import type { HistoryBatch, HistoryFile } from '../../infrastructure/readers/port.ts';
import { tables } from '../../schemas/names.ts';
import type { Project, Source } from '../../schemas/project.ts';
import type { RefusalCode } from '../../schemas/refusal.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import { NOT_CUT } from '../runtime/dead-letter-record.ts';
import { checkerFrom, type FileChecker } from './check-file.ts';

export interface ImportOptions {
  readonly project: Project;
  readonly warehouse: Warehouse;
  readonly source: Source;
  readonly file: HistoryFile;
  /** Event time, epoch ms: from <= time < to. Null = where the file begins or ends. */
  readonly from: number | null;
  readonly to: number | null;
  /** Wall time, epoch ms. */
  readonly now: number;
  /** Events an insert, 50,000 by default; a repeat of a broken import should keep it. */
  readonly batchSize?: number;
  readonly progress?: (done: ImportProgress) => void;
  readonly signal?: AbortSignal;
}

export interface ImportProgress {
  readonly events: number;
  readonly of: number;
}

export interface ImportReport {
  /** SHA-256 of the file: with the row, the lineage of an event. */
  readonly importId: string;
  /** `already` where an earlier import of the same file covers the range: nothing was written. */
  readonly status: 'done' | 'already';
  readonly from: number;
  readonly to: number;
  readonly rows: number;
  readonly duplicates: number;
  readonly accepted: number;
  readonly rejected: Readonly<Partial<Record<RefusalCode, number>>>;
  /** Ids that were forgotten before their time: their repeats count as other events. */
  readonly forgotten: number;
}

/** The range cannot be imported beside what the archive already holds. */
export class ImportOverlap extends MillraceError {
  readonly code = 'import_overlap';
  readonly retriable = false;
}

const EVENTS_AN_INSERT = 50_000;
const INSERTS_UNDER_WAY = 2;

/**
 * History into the warehouse alone, as the archive would have written it: validated by the same rules, refused
 * events and repeats of an id into the dead letters. An event's lineage is the file's hash and its row, so a repeat, or going on
 * after a crash, changes nothing. Refused where events from Kafka, or of another file, lie in the same time:
 * they could be the same events under another lineage. Throws ImportOverlap, HistoryFileError, WarehouseError.
 */
export async function importHistory(options: ImportOptions): Promise<ImportReport> {
  const { project, warehouse, source, file, now } = options;
  const importId = file.sha256;
  const { from, to } = await rangeOf(options);
  const range = { from, to };
  const covering = await findCovering(options, from, to);
  if (covering !== null)
    return { ...covering, importId, status: 'already', from, to, duplicates: file.duplicates, forgotten: 0 };
  await refuseOverlap(options, from, to);

  const record = (
    state: 'begun' | 'done',
    rows: number,
    rejected: ImportReport['rejected'],
  ): Promise<void> => {
    const total = Object.values(rejected).reduce((sum, count) => sum + count, 0);
    const row = {
      import_id: importId,
      source: source.name,
      file: file.path,
      reader: project.history.find((one) => one.source === source.name)?.reader ?? 'events',
      from,
      to,
      rows,
      rejected: total,
      state,
      detail: JSON.stringify({ rows: file.rows, duplicates: file.duplicates, rejected }),
      at: state === 'begun' ? now : now + 1,
    };
    const times = { from: iso(from), to: iso(to), at: iso(row.at) };
    const token = `${importId}:${from}:${to}:${state}:${now}`;
    return retrying(() =>
      warehouse.insert(tables.imports(project.prefix), [{ ...row, ...times }], { token }),
    );
  };

  await record('begun', 0, {});
  const of = file.count(range);
  const writer = createWriter(options, importId, await checkerFrom(file, source, from));
  let events = 0;
  for await (const batch of file.read({ ...range, batchSize: options.batchSize ?? EVENTS_AN_INSERT })) {
    options.signal?.throwIfAborted();
    await writer.write(batch);
    events += batch.events.length;
    options.progress?.({ events, of });
  }
  await writer.finish();
  await record('done', writer.counts().accepted, writer.counts().rejected);
  return {
    importId,
    status: 'done',
    from,
    to,
    rows: file.rows,
    duplicates: file.duplicates,
    ...writer.counts(),
  };
}

function createWriter(
  { project, warehouse, source, now }: ImportOptions,
  importId: string,
  checker: FileChecker,
) {
  const events = eventEncoder(source);
  const letters = deadLetterEncoder();
  const eventsTable = tables.events(project.prefix, source.name);
  const lettersTable = tables.deadLetters(project.prefix, source.name);
  const rejected: Partial<Record<RefusalCode, number>> = {};
  const underWay = new Set<Promise<void>>();
  let accepted = 0;
  let failure: unknown = null;

  async function start(insert: () => Promise<void>): Promise<void> {
    const watched = retrying(insert).catch((error: unknown) => {
      failure ??= error;
    });
    underWay.add(watched);
    void watched.then(() => underWay.delete(watched));
    if (underWay.size >= INSERTS_UNDER_WAY) await Promise.race(underWay);
    if (failure !== null) throw failure;
  }

  return {
    counts: () => ({ accepted, rejected, forgotten: checker.forgotten() }),
    async write(batch: HistoryBatch): Promise<void> {
      const { good, bad } = sort(batch, checker, importId, now);
      accepted += good.length;
      for (const { letter } of bad) {
        const code = letter.code as RefusalCode;
        rejected[code] = (rejected[code] ?? 0) + 1;
      }
      // A token names its exact rows: places say which stretch of the file, counts how it was sorted.
      const token = `${importId}:${batch.places[0]}:${batch.places.at(-1)}:${good.length}`;
      if (good.length > 0) {
        const bytes = events.encode(good);
        await start(() => warehouse.insertRaw(eventsTable, events.columns, events.format, bytes, { token }));
      }
      if (bad.length > 0) {
        const bytes = letters.encode(bad);
        const own = { token: `${token}:bad` };
        await start(() => warehouse.insertRaw(lettersTable, letters.columns, letters.format, bytes, own));
      }
    },
    async finish(): Promise<void> {
      await Promise.all(underWay);
      if (failure !== null) throw failure;
    },
  };
}

function sort(
  batch: HistoryBatch,
  checker: FileChecker,
  importId: string,
  now: number,
): { good: EventRow[]; bad: DeadLetterRow[] } {
  const good: EventRow[] = [];
  const bad: DeadLetterRow[] = [];
  for (let i = 0; i < batch.events.length; i += 1) {
    const event = batch.events[i];
    if (event === undefined) continue;
    const row = batch.rows[i] ?? -1;
    const refusal = checker.check(event, row);
    if (refusal === null)
      good.push({
        event,
        importId,
        sourceTopic: '',
        sourcePartition: 0,
        sourceOffset: row,
        appendTime: now,
        arrivedAt: null,
        archivedPartition: -1,
        archivedOffset: -1,
      });
    else
      bad.push({
        letter: {
          format: 1,
          stage: refusal.stage,
          code: refusal.code,
          detail: refusal.detail,
          sourceTopic: '',
          sourcePartition: 0,
          sourceOffset: row,
          // In the table's sorting key: the two events of one row of the file are told apart by their time.
          appendTime: event.time,
          arrivedAt: null,
          eventId: event.id,
          eventTime: event.time,
          writer: `import:${importId.slice(0, 16)}`,
          key: null,
          value: Buffer.from(JSON.stringify(event)),
          ...NOT_CUT,
        },
        refusedTime: now,
        archivedPartition: -1,
        archivedOffset: -1,
      });
  }
  return { good, bad };
}

/** Open ends become those of the file. */
async function rangeOf({ file, from, to }: ImportOptions): Promise<{ from: number; to: number }> {
  const edge = async (after: number): Promise<number> => {
    for await (const { events } of file.read({ from: null, to: null, after, batchSize: 1 }))
      return events[0]?.time ?? 0;
    return 0;
  };
  return { from: from ?? (await edge(-1)), to: to ?? (await edge(file.events - 2)) + 1 };
}

async function findCovering(
  { project, warehouse, source, file }: ImportOptions,
  from: number,
  to: number,
): Promise<Pick<ImportReport, 'rows' | 'accepted' | 'rejected'> | null> {
  const sql = `SELECT rows, detail FROM ${tables.imports(project.prefix)} FINAL
    WHERE source = {source:String} AND import_id = {id:String} AND state = 'done'
      AND toUnixTimestamp64Milli(\`from\`) <= {from:Int64} AND toUnixTimestamp64Milli(\`to\`) >= {to:Int64} LIMIT 1`;
  const parameters = { source: source.name, id: file.sha256, from, to };
  const [done] = await retrying(() => warehouse.query<{ rows: number; detail: string }>(sql, parameters));
  if (done === undefined) return null;
  const { rejected } = JSON.parse(done.detail) as { rejected: ImportReport['rejected'] };
  return { rows: file.rows, accepted: done.rows, rejected };
}

async function refuseOverlap(
  { project, warehouse, source, file }: ImportOptions,
  from: number,
  to: number,
): Promise<void> {
  const sql = `SELECT import_id, count() AS count, min(toUnixTimestamp64Milli(time)) AS first
    FROM ${tables.events(project.prefix, source.name)}
    WHERE time >= fromUnixTimestamp64Milli({from:Int64}) AND time < fromUnixTimestamp64Milli({to:Int64})
      AND import_id != {id:String}
    GROUP BY import_id ORDER BY import_id LIMIT 1`;
  const [other] = await retrying(() =>
    warehouse.query<{ import_id: string; first: number }>(sql, { from, to, id: file.sha256 }),
  );
  if (other === undefined) return;
  const what =
    other.import_id === ''
      ? 'events archived from Kafka'
      : `events of another file (${other.import_id.slice(0, 12)})`;
  throw new ImportOverlap(
    `Nothing was imported: between ${iso(from)} and ${iso(to)} the archive of ${source.name} holds ${what}, the first at ${iso(other.first)}; the same events could count twice. Choose --from and --to beside them, or another prefix.`,
  );
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
