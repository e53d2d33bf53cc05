import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import type { OnlineStore } from '../../infrastructure/redis/port.ts';
import { tables, topics } from '../../schemas/names.ts';
import type { Project, Source } from '../../schemas/project.ts';
import { decodeProgress, isLost, progressKey } from '../ingest/progress.ts';
import type { Codecs } from '../runtime/codecs.ts';
import { type Judged, judgeLetters, type ReadLetter } from './judge.ts';

export interface LookDeps {
  readonly project: Project;
  readonly warehouse: Warehouse;
  readonly store: Pick<OnlineStore, 'read'>;
  readonly codecs: Pick<Codecs, 'raw'>;
  /** Wall time, epoch ms. */
  readonly now: number;
}

/** Which dead letters of a source. */
export interface LetterSelection {
  /** Code of refusal; null = all. */
  readonly reason: string | null;
  /** Refused from here, wall time, epoch ms; null = all. */
  readonly since: number | null;
  /** Id of an event; null = all. */
  readonly event: string | null;
  readonly limit: number;
}

export interface Letter extends ReadLetter {
  readonly code: string;
  readonly offset: number;
}

/** What dead letters of a source would become if their records came again now. Changes nothing. */
export async function lookAtLetters(
  deps: LookDeps,
  source: Source,
  selection: LetterSelection,
): Promise<Judged<Letter>[]> {
  const { project, store, now } = deps;
  const letters = await readLetters(deps, source, selection);
  const found = await store.read(
    Array.from({ length: source.partitions }, (_, p) => [progressKey(project.prefix, source.name, p)]),
  );
  const progress = found.map(([bytes = null]) => (isLost(bytes) ? null : decodeProgress(bytes)));
  const ids = new Set(letters.flatMap(({ decoded }) => decoded?.event?.id ?? []));
  return judgeLetters(letters, { source, progress, accepted: await acceptedOf(deps, source, [...ids]), now });
}

interface Row {
  readonly code: string;
  readonly source_topic: string;
  readonly source_partition: number;
  readonly source_offset: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly is_cut: number;
  readonly appended: number;
}

/** Rows of imports are left out: the file is there, and is imported again. */
async function readLetters(
  { project, warehouse, codecs }: LookDeps,
  source: Source,
  { reason, since, event, limit }: LetterSelection,
): Promise<Letter[]> {
  const rows = await warehouse.query<Row>(
    `SELECT code, source_topic, source_partition, source_offset, base64Encode(key) AS key, base64Encode(value) AS value,
       toUnixTimestamp64Milli(append_time) AS appended,
       toUInt8(value_bytes IS NOT NULL OR key_bytes IS NOT NULL) AS is_cut
     FROM ${quoteName(tables.deadLetters(project.prefix, source.name))} FINAL
     WHERE source_topic != '' AND ({reason:String} = '' OR code = {reason:String}) AND ({event:String} = '' OR event_id = {event:String})
       AND refused_time >= fromUnixTimestamp64Milli({since:Int64})
     ORDER BY refused_time, source_partition, source_offset LIMIT {limit:UInt32}`,
    { reason: reason ?? '', event: event ?? '', since: since ?? 0, limit },
  );
  const decoder = codecs.raw(source.name);
  const bytes = (text: string | null) => (text === null ? null : Buffer.from(text, 'base64'));
  const records = rows.map((row) => ({
    topic: topics.raw(project.prefix, source.name),
    partition: row.source_partition,
    offset: row.source_offset,
    key: bytes(row.key),
    value: row.is_cut === 1 ? null : bytes(row.value),
    headers: null,
    appendTime: row.appended,
  }));
  await decoder.prepare(records);
  return rows.map((row, i) => {
    const record = records[i];
    const whole = record !== undefined && record.value !== null;
    return {
      code: row.code,
      partition: row.source_partition,
      offset: row.source_offset,
      decoded: whole ? decoder.decode(record) : null,
    };
  });
}

const IDS_A_QUERY = 1_000;

async function acceptedOf(
  { project, warehouse }: LookDeps,
  source: Source,
  ids: readonly string[],
): Promise<ReadonlySet<string>> {
  const accepted = new Set<string>();
  for (let at = 0; at < ids.length; at += IDS_A_QUERY) {
    const some = ids.slice(at, at + IDS_A_QUERY);
    const rows = await warehouse.query<{ id: string }>(
      `SELECT DISTINCT id FROM ${quoteName(tables.events(project.prefix, source.name))} WHERE id IN {some:Array(String)}`,
      { some },
    );
    for (const { id } of rows) accepted.add(id);
  }
  return accepted;
}
