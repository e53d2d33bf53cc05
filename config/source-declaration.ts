import { z } from 'zod';
import { FIELD_TYPES } from '../schemas/event.ts';
import { TIME_UNITS } from '../schemas/time-unit.ts';
import { duration, eventName, expression, fieldName, name } from './texts.ts';

export const ruleSchema = z
  .strictObject({
    name: name('Name of the rule, shown with a refused event.'),
    check: expression('Must be true for an event to pass; null does not pass.'),
    message: z.string().min(1).describe('Sentence for the dead letter of an event that does not pass.'),
  })
  .describe('A check that every event must pass.');

const eventSchema = z
  .strictObject({
    required: z.array(fieldName).default([]).describe('Fields that may not be null in this type of event.'),
    rules: z
      .array(ruleSchema)
      .default([])
      .describe('Rules of this type of event alone, after those of the source.'),
  })
  .nullable()
  .describe('A type of event.');

const path = z
  .string()
  // JSONPath and other ways to reach into a list would be taken for the name of a key that no record has.
  .regex(/^[^[\]]*$/, { error: 'list path' })
  .regex(/^(?!(?:.*\.)?(?:__proto__|\$)(?:\.|$))(?!\/)[^.\s](?:[^.]*[^.\s])?(?:\.[^.\s](?:[^.]*[^.\s])?)*$/, {
    error: 'path',
  })
  .describe(
    "Dotted path into the team's record: `card.token`. Or what stands beside it: `$headers.ce_id`, `$key`, or `$timestamp`, when the broker stamped the record.",
  );

/** Whether a text can be a path of a mapping. */
export const isPath = (text: string): boolean => path.safeParse(text).success;

const mappingShape = {
  id: path.describe('Path of the event id.'),
  type: z
    .union([path, z.strictObject({ constant: eventName })])
    .describe('Path of the event type, or `{constant: payment}` where all records are of one type.'),
  time: z
    .strictObject({
      path,
      unit: z
        .enum(TIME_UNITS)
        .describe(
          'Milliseconds (ms), seconds (s), microseconds (us) or nanoseconds (ns) since 1970, or ISO 8601 text with a zone (iso). An Avro schema that gives the number a unit (`timestamp-micros`) is heeded instead.',
        ),
    })
    .describe('Where the event time is.'),
  fields: z
    .record(fieldName, path)
    .default({})
    .describe('Path of each field; a field that is not listed has its own name as its path.'),
};

export const jsonMappingSchema = z
  .strictObject(mappingShape)
  .describe('JSON records and how they become events.');

const formatSchema = z
  .union([
    z.literal('avro'),
    z.strictObject({ json: jsonMappingSchema }),
    z.strictObject({
      registry: z
        .strictObject({
          subject: z.string().min(1).describe('Subject in the schema registry.'),
          ...mappingShape,
        })
        .describe("Avro records of a team's own schema and how they become events."),
    }),
  ])
  .describe(
    'How raw records are written: `avro` (the schema is made from this declaration), `json` or `registry` with a mapping.',
  );

const deduplicateSchema = z
  .strictObject({
    within: duration(
      'How long after an event its repeat is recognised, by arrival at Kafka (in history that does not say when it arrived: by event time).',
    ),
    at_most: z
      .int()
      .min(1)
      .max(100_000_000)
      .default(1_000_000)
      .describe(
        'Ids that are remembered of each partition at most. Above it the oldest are forgotten before their time, which is counted and logged.',
      ),
  })
  .describe(
    'Refuses an event whose id was accepted before in the same raw partition: a dead letter with the code `duplicate`. Without it a repeat counts as another event.',
  );

const rejectsSchema = z
  .strictObject({
    at_most: z
      .int()
      .min(0)
      .max(1_000_000)
      .describe(
        'Records that a process of ingest may refuse in that time, over the partitions that it owns; several processes count apart. The next one pauses the source.',
      ),
    within: duration('In how long.').default('1m'),
  })
  .describe(
    'Pauses the source instead of draining its topic into the dead letters: nothing is read of it until it is declared otherwise, or `millrace sources resume`. Records count that cannot be read, or that break a rule; late events and repeats do not. Default: it is never paused.',
  );

export const sourceSchema = z
  .strictObject({
    source: name('Name of the source; its topics are `<prefix>.<source>.raw` and so on.'),
    topic: z
      .string()
      .regex(/^(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}$/, { error: 'topic' })
      .optional()
      .describe(
        'A topic of your own that the source reads, in place of `<prefix>.<source>.raw`. Millrace neither makes nor changes it.',
      ),
    key: fieldName.describe('The field whose value keys the raw topic.'),
    partitions: z.int().min(1).max(1000).default(3).describe('Partitions of the raw topic.'),
    format: formatSchema.default('avro'),
    out_of_orderness: duration(
      'How much later than a newer event an event may come before it is late: the watermark is the largest event time so far minus this.',
    ),
    idle_after: duration(
      'Silence after which views no longer wait for a partition. Default: out_of_orderness, at least 1s. Where producers write in batches, or long transactions take turns over the partitions: the longest silence between two of them.',
    ).optional(),
    max_future: z
      .union([z.literal('never'), duration('')])
      .default('5m')
      .describe(
        'An event further ahead of its arrival than this is refused; `never` switches the check off.',
      ),
    deduplicate: deduplicateSchema.optional(),
    rejects: rejectsSchema.optional(),
    fields: z
      .record(fieldName, z.enum(FIELD_TYPES))
      .describe(
        "Fields of the events beside `id`, `type` and `time`, with their types. A timestamp is a number of milliseconds since 1970 (in Avro of a team's own, of what its schema says), or ISO 8601 text with a zone.",
      ),
    rules: z.array(ruleSchema).default([]).describe('Rules for every type of event.'),
    events: z.record(eventName, eventSchema).describe('The types of event.'),
  })
  .describe('A stream of events in Kafka.');

export type RuleDeclaration = z.output<typeof ruleSchema>;

export type SourceDeclaration = z.output<typeof sourceSchema>;
