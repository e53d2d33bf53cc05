import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { boundsOf } from '../../infrastructure/kafka/bounds.ts';
import { createKafka } from '../../infrastructure/kafka/driver.ts';
import type { Kafka, KafkaRecord } from '../../infrastructure/kafka/port.ts';
import { inMemory } from '../../infrastructure/readers/events.ts';
import { openHistory } from '../../infrastructure/readers/open.ts';
import type { HistoryFile } from '../../infrastructure/readers/port.ts';
import { createRegistry } from '../../infrastructure/registry/client.ts';
import type { SchemaRegistry } from '../../infrastructure/registry/port.ts';
import { DecodeFailure } from '../../schemas/codec.ts';
import type { EventRecord } from '../../schemas/event.ts';
import { createEventDecoder } from '../../schemas/event-decoder.ts';
import { rawTopic } from '../../schemas/names.ts';
import type { Project, Source } from '../../schemas/project.ts';
import { readClock } from '../../streams/runtime/clock-record.ts';
import { envelopeOf } from '../../streams/runtime/envelope.ts';
import { ofAnybody, readTopic } from '../../streams/runtime/topic.ts';
import { UsageError } from '../errors.ts';
import { sourceOf } from '../histories.ts';
import { Refusals, type RefusedRows } from './refused.ts';

export interface TriedHistory {
  readonly source: Source;
  readonly file: HistoryFile;
  /** Records that are no events at all. A file with such a row is refused whole. */
  readonly unread: readonly RefusedRows[];
  /** Where the n-th row of the file stands, for a person. */
  readonly whereOf: (row: number) => string;
}

const inFile = { unread: [], whereOf: (row: number) => `row ${row + 1}` };

/**
 * The histories that `--on` names (`FILE`, `TOPIC`, or `SOURCE=…` of either), and beside them those that the project
 * declares for its other sources and whose files are there: labels often come from another source.
 */
export async function openHistories(project: Project, given: readonly string[]): Promise<TriedHistory[]> {
  const named = new Map<Source, string>();
  for (const text of given) {
    const { source, place } = placeOf(project, text, given.length);
    named.set(source, place);
  }
  for (const { source, reader, file } of project.history) {
    const own = sourceOf(project, source);
    if (reader === 'events' && file !== null && existsSync(file) && !named.has(own)) named.set(own, file);
  }
  if (named.size === 0)
    throw new UsageError(
      'Name the history to try it on: --on FILE or --on TOPIC; or add `history:` to project.yaml.',
    );
  const opened: TriedHistory[] = [];
  for (const [source, place] of named)
    opened.push(
      existsSync(place)
        ? { source, file: await openHistory({ reader: 'events' }, source, place), ...inFile }
        : await openTopic(project, source, place),
    );
  return opened;
}

function placeOf(
  project: Project,
  text: string,
  of: number,
): { readonly source: Source; readonly place: string } {
  const [, name, rest] = /^([a-z][a-z0-9_]*)=(.+)$/.exec(text) ?? [];
  if (name !== undefined && rest !== undefined) return { source: sourceOf(project, name), place: rest };
  const byTopic = project.sources.find((source) => rawTopic(project.prefix, source) === text);
  const byFile = project.sources.filter(({ name: own }) => text.includes(own));
  const declared = project.history.find(({ file }) => file !== null && text !== '' && file.endsWith(text));
  const [only] = project.sources.length === 1 ? project.sources : byFile.length === 1 ? byFile : [];
  const source = byTopic ?? (declared === undefined ? only : sourceOf(project, declared.source));
  if (source === undefined)
    throw new UsageError(
      `Say whose events ${text} holds: --on SOURCE=${text}, with one of ${project.sources.map((one) => one.name).join(', ')}.`,
    );
  if (of > 1 && byTopic === undefined && project.sources.length > 1 && declared === undefined)
    throw new UsageError(`Of several histories, say whose events each holds: --on ${source.name}=${text}.`);
  return { source, place: text };
}

/** Reads a topic's records once, as they stand; nothing is written anywhere. */
async function openTopic(project: Project, source: Source, topic: string): Promise<TriedHistory> {
  const kafka = createKafka(project.connections, { clientId: 'millrace-try' });
  const registry = createRegistry(project.connections.registry);
  try {
    return await readEventsOf(kafka, registry, { prefix: project.prefix, source, topic });
  } finally {
    await registry.close();
    await kafka.close();
  }
}

export async function readEventsOf(
  kafka: Kafka,
  registry: Pick<SchemaRegistry, 'schemasById'>,
  { prefix, source, topic }: { readonly prefix: string; readonly source: Source; readonly topic: string },
): Promise<TriedHistory> {
  const records: KafkaRecord[] = [];
  await readTopic(
    ofAnybody(kafka),
    topic,
    await boundsOf(kafka, topic),
    (record) => void records.push(record),
  );
  const decoder = createEventDecoder(source, prefix);
  const values = records.map(({ value }) => value);
  for (const [id, schema] of await registry.schemasById(decoder.unknownIds(values)))
    if (schema !== null) decoder.learn(id, schema);
  const hash = createHash('sha256').update(topic);
  const events: EventRecord[] = [];
  const places: string[] = [];
  const refusals = new Refusals(source.name);
  let ordered = true;
  for (const record of records) {
    // A clock of a replay is no event, and nobody refuses it.
    if (readClock(record) !== null) continue;
    const { partition, offset } = record;
    const where = `partition ${partition} offset ${offset}`;
    if (record.unreadable !== undefined) {
      refusals.add('unreadable_batch', { where, id: null, detail: record.unreadable.detail });
      continue;
    }
    const event = decoder.decode(record.value, envelopeOf(record));
    if (event instanceof DecodeFailure) {
      refusals.add(event.code, { where, id: null, detail: event.detail });
      continue;
    }
    places.push(where);
    hash.update(`${partition}:${offset} `);
    if (events.length > 0 && event.time < (events.at(-1)?.time ?? 0)) ordered = false;
    events.push(event);
  }
  const unread = refusals.all();
  if (events.length === 0) {
    const why = unread.map(({ rows, example }) => `${rows} like ${example.where}: ${example.detail}`);
    throw new UsageError(
      `Topic ${topic} holds no event of ${source.name}: ${records.length} records were read.${why.length === 0 ? '' : ` Refused: ${why.join('; ')}`}`,
    );
  }
  return {
    source,
    file: inMemory(topic, hash.digest('hex'), events, ordered),
    unread,
    whereOf: (row) => places[row] ?? `row ${row + 1}`,
  };
}
