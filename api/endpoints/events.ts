import { z } from 'zod';
import type { OutgoingRecord } from '../../infrastructure/kafka/port.ts';
import { partitionOf } from '../../processors/partition.ts';
import { createValidator } from '../../processors/validate.ts';
import type { EventRecord } from '../../schemas/event.ts';
import { rawTopic } from '../../schemas/names.ts';
import type { Project, Source } from '../../schemas/project.ts';
import type { ApiDeps } from '../deps.ts';
import { createEventReader, type EventFault } from '../event-input.ts';
import { sourceOf } from '../find.ts';
import { Problem } from '../problem.ts';
import { SEND } from '../roles.ts';
import { Reply, type Route, route } from '../route.ts';
import { nameSchema, scalarSchema } from '../schemas.ts';
import { mustBeUtf8 } from '../utf8.ts';

const NDJSON = 'application/x-ndjson';
const MAX_BODY_BYTES = 16 * 1024 * 1024;
const MAX_ROWS = 100_000;
/** What Kafka takes of one record, less what surrounds the event. */
const MAX_EVENT_BYTES = 900_000;

const placedSchema = z.object({
  id: z.string().describe('Of the event; drawn where it had none.'),
  topic: z.string(),
  partition: z.number().int(),
  offset: z.number().int().nullable().describe('Null where Kafka stored it and its answer was lost.'),
});

const rowSchema = z.object({
  row: z.number().int().describe('From 1, empty lines counted.'),
  status: z.enum(['accepted', 'refused']),
  id: z.string().nullable(),
  partition: z.number().int().nullable(),
  offset: z.number().int().nullable(),
  code: z.string().nullable(),
  detail: z.string().nullable(),
});

const bulkSchema = z.object({
  topic: z.string(),
  accepted: z.number().int(),
  refused: z.number().int(),
  rows: z.array(rowSchema),
});

/** A record of a team's own form, which Kafka takes, is the first thing that somebody tries here. */
const fieldSchema = z.union(scalarSchema.options, {
  error:
    'is an object or a list: an event is flat here, by the names that its source declares (GET /v1/project shows them); records in the form of their team go to Kafka',
});

interface Refusal {
  readonly code: string;
  readonly detail: string;
}

/** What came of one event: the record to send, or why there is none. */
type Read = { readonly event: EventRecord; readonly record: OutgoingRecord } | { readonly refusal: Refusal };

export function eventRoutes({
  project,
  codecs,
  clock,
  outbox,
}: Pick<ApiDeps, 'project' | 'codecs' | 'clock' | 'outbox'>): Route[] {
  const readers = new Map<string, (input: unknown) => Read>();
  const readerOf = (source: Source) => {
    let reader = readers.get(source.name);
    if (reader === undefined) {
      reader = createRecordReader(project, source, codecs, () => clock.now());
      readers.set(source.name, reader);
    }
    return reader;
  };
  return [
    route({
      method: 'POST',
      path: '/v1/events/{source}',
      name: 'sendEvents',
      tag: 'events',
      summary: 'Send one event, or many as lines of JSON',
      description:
        'An event is checked as ingest checks it: what ingest would refuse is refused here, and does not reach Kafka. Accepted means that all replicas of the raw topic have it. Sent again under the same id it counts once where its source deduplicates.',
      access: SEND,
      params: z.strictObject({ source: nameSchema }),
      body: {
        json: z
          .record(z.string(), fieldSchema)
          .describe('`id`, `type`, `time` (ms or ISO 8601) and the fields of the source.'),
        types: { [NDJSON]: `One event a line, at most ${MAX_ROWS}.` },
        example: {
          id: 'o-1',
          type: 'order.placed',
          time: '2026-01-31T12:00:00Z',
          customer: 'c-7',
          amount: 12.5,
        },
      },
      bodyLimit: MAX_BODY_BYTES,
      answers: [
        {
          status: 202,
          description: 'Stored. Of lines: an answer for each, in their order.',
          schema: z.union([placedSchema, bulkSchema]),
        },
      ],
      problems: {
        422: 'The event does not fit its source; of lines: none does.',
        409: 'The source is written by a producer of its own.',
      },
      handle: async ({ params, body, raw }) => {
        const source = sourceOf(project, params.source);
        if (source.format.kind === 'registry')
          throw new Problem(
            409,
            'not_ours',
            `The records of ${source.name} are written in the schema ${source.format.subject}, which is not ours: send them with the producer that owns it.`,
          );
        const read = readerOf(source);
        if (raw !== null) return bulk(rawTopic(project.prefix, source), readLines(raw.bytes, read));
        const one = read(body);
        if ('refusal' in one) throw new Problem(422, one.refusal.code, one.refusal.detail);
        const [placed] = await outbox.send([one.record]);
        return new Reply(202, { id: one.event.id, ...placed });
      },
    }),
  ];

  async function bulk(topic: string, lines: ReadonlyArray<{ row: number; read: Read }>): Promise<Reply> {
    const records = lines.flatMap(({ read }) => ('record' in read ? [read.record] : []));
    if (records.length === 0) throw noneFits(lines);
    const placed = await outbox.send(records);
    let at = 0;
    const rows = lines.map(({ row, read }) => {
      if ('refusal' in read)
        return { row, status: 'refused', id: null, partition: null, offset: null, ...read.refusal };
      const { partition, offset } = placed[at++] ?? { partition: null, offset: null };
      return { row, status: 'accepted', id: read.event.id, partition, offset, code: null, detail: null };
    });
    return new Reply(202, { topic, accepted: records.length, refused: lines.length - records.length, rows });
  }
}

/** Turns the JSON of an event into a record of its source's raw topic. */
function createRecordReader(
  project: Project,
  source: Source,
  codecs: ApiDeps['codecs'],
  now: () => number,
): (input: unknown) => Read {
  const read = createEventReader(source);
  const validate = createValidator(source);
  const topic = rawTopic(project.prefix, source);
  return (input) => {
    const given = read(input, { type: null, now: now() });
    if ('fault' in given) return { refusal: given.fault };
    const { event } = given;
    const key = event[source.key];
    if (key === null || key === undefined) return { refusal: missingKey(source) };
    const rejected = validate(event);
    if (rejected !== null) return { refusal: { code: rejected.code, detail: rejected.detail } };
    const text = String(key);
    const value = codecs.encodeRaw(source.name, event);
    if (value.length > MAX_EVENT_BYTES)
      return {
        refusal: {
          code: 'too_large',
          detail: `The event has ${value.length} bytes; ${MAX_EVENT_BYTES} are allowed.`,
        },
      };
    const record = { topic, partition: partitionOf(text, source.partitions), key: Buffer.from(text), value };
    return { event, record };
  };
}

const missingKey = (source: Source): EventFault => ({
  code: 'missing_key',
  detail: `Field '${source.key}' is missing; it keys the events of ${source.name}.`,
});

function readLines(bytes: Buffer, read: (input: unknown) => Read): Array<{ row: number; read: Read }> {
  mustBeUtf8(bytes);
  const lines: Array<{ row: number; read: Read }> = [];
  let row = 0;
  for (let at = 0; at < bytes.length; ) {
    const found = bytes.indexOf(10, at);
    const end = found < 0 ? bytes.length : found;
    row += 1;
    const line = bytes.toString('utf8', at, end).trim();
    at = end + 1;
    if (line === '') continue;
    if (lines.length === MAX_ROWS)
      throw new Problem(413, 'too_many_rows', `More than ${MAX_ROWS} rows: send them in parts.`);
    lines.push({ row, read: readLine(line, read) });
  }
  if (lines.length === 0) throw new Problem(422, 'no_rows', 'The body has no rows: write one event a line.');
  return lines;
}

function readLine(line: string, read: (input: unknown) => Read): Read {
  let input: unknown;
  try {
    input = JSON.parse(line);
  } catch {
    return { refusal: { code: 'bad_json', detail: 'The line is no JSON.' } };
  }
  return read(input);
}

const MOST_TOLD = 20;

function noneFits(lines: ReadonlyArray<{ row: number; read: Read }>): Problem {
  const errors = lines.slice(0, MOST_TOLD).map(({ row, read }) => ({
    where: `row ${row}`,
    message: 'refusal' in read ? read.refusal.detail : '',
  }));
  return new Problem(422, 'no_row_fits', `None of ${lines.length} rows is an event of the source.`, {
    errors,
  });
}
