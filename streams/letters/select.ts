import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import type { KafkaRecord } from '../../infrastructure/kafka/port.ts';
import { headers, rawTopic, tables } from '../../schemas/names.ts';
import type { Project, Source } from '../../schemas/project.ts';
import { readAgain } from '../runtime/again-record.ts';
import { textOf } from '../runtime/clock-record.ts';
import type { Codecs } from '../runtime/codecs.ts';
import type { Fix, Letter } from './letter.ts';

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

export interface SelectDeps {
  readonly project: Project;
  readonly warehouse: Warehouse;
  readonly codecs: Pick<Codecs, 'raw'>;
}

interface Row {
  readonly code: string;
  readonly source_partition: number;
  readonly source_offset: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly names: readonly string[];
  readonly values: readonly string[];
  readonly appended: number;
  readonly is_cut: number;
  readonly came_back: number;
}

/** The condition of a selection, for letters of ingest and of imports. */
export const SELECTED = `({reason:String} = '' OR code = {reason:String}) AND ({event:String} = '' OR event_id = {event:String})
       AND refused_time >= fromUnixTimestamp64Milli({since:Int64})`;

export const parametersOf = ({ reason, since, event }: LetterSelection) => ({
  reason: reason ?? '',
  event: event ?? '',
  since: since ?? 0,
});

/** Letters of a source, those that have not come back before the others, then those refused first. Rows of imports are left out: see imported.ts. */
export async function selectLetters(
  { project, warehouse, codecs }: SelectDeps,
  source: Source,
  selection: LetterSelection,
  fix: Fix | null,
): Promise<Letter[]> {
  const rows = await warehouse.query<Row>(
    `SELECT code, source_partition, source_offset, base64Encode(key) AS key, base64Encode(value) AS value,
       arrayMap(h -> h.1, headers) AS names, arrayMap(h -> base64Encode(h.2), headers) AS values,
       toUnixTimestamp64Milli(append_time) AS appended,
       toUInt8(value_bytes IS NOT NULL OR key_bytes IS NOT NULL OR headers_bytes IS NOT NULL OR writer != 'ingest') AS is_cut,
       toUInt8((source_partition, source_offset) IN (
         SELECT source_partition, source_offset FROM ${quoteName(tables.letterReplays(project.prefix))} FINAL
         WHERE source = {source:String} AND state != 'begun')) AS came_back
     FROM ${quoteName(tables.deadLetters(project.prefix, source.name))} FINAL
     WHERE source_topic != '' AND ${SELECTED}
     ORDER BY came_back, refused_time, source_partition, source_offset LIMIT {limit:UInt32}`,
    { source: source.name, limit: selection.limit, ...parametersOf(selection) },
  );
  const topic = rawTopic(project.prefix, source);
  const records = rows.map((row) => recordOf(topic, row));
  const decoder = codecs.raw(source.name);
  await decoder.prepare(records);
  return rows.map((row, i) => {
    const record = records[i] as KafkaRecord;
    const whole = row.is_cut === 0 && record.value !== null;
    const decoded = whole ? decoder.decode(record) : null;
    const again = readAgain(record);
    const place = { partition: row.source_partition, offset: row.source_offset };
    const replayed = textOf(record, headers.replay) !== null;
    const letter: Letter = {
      partition: place.partition,
      place,
      code: row.code,
      decoded,
      record: whole ? record : null,
      arrivedAt: replayed ? (decoded?.arrivedAt ?? null) : null,
      appendTime: again?.appendTime ?? row.appended,
      mended: null,
      fix: '',
      tries: again?.tries ?? 0,
      done: row.came_back === 1,
    };
    return fix === null ? letter : fix.apply(letter);
  });
}

function recordOf(topic: string, row: Row): KafkaRecord {
  const bytes = (text: string | null) => (text === null ? null : Buffer.from(text, 'base64'));
  return {
    topic,
    partition: row.source_partition,
    offset: row.source_offset,
    key: bytes(row.key),
    value: row.is_cut === 1 ? null : bytes(row.value),
    headers: Object.fromEntries(
      row.names.map((name, i) => [name, Buffer.from(row.values[i] ?? '', 'base64')]),
    ),
    appendTime: row.appended,
  };
}
