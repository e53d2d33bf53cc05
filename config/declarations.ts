import { z } from 'zod';
import { FIELD_TYPES } from '../schemas/event.ts';
import { READERS, TRAINERS } from '../schemas/project.ts';
import { AGGREGATIONS } from '../schemas/view.ts';
import { DURATION_PATTERN } from './durations.ts';

/** What a person writes. One schema for the loader, the editors' JSON Schema and the reference. */

const NAME = /^[a-z][a-z0-9_]*$/;
/** Ends of descriptions, by which the reference knows a kind of text. */
export const HINTS = {
  name: 'Small letters, digits and _, starting with a letter.',
  duration: 'A duration: `90s`, `5m`, `13h15m`, `7d`.',
  expression: 'An expression.',
} as const;

const join = (...sentences: readonly string[]) => sentences.filter((one) => one !== '').join(' ');
const name = (what: string) => z.string().regex(NAME, { error: 'name' }).describe(join(what, HINTS.name));
const duration = (what: string) =>
  z.string().regex(DURATION_PATTERN, { error: 'duration' }).describe(join(what, HINTS.duration));
const expression = (what: string) => z.string().min(1).describe(join(what, HINTS.expression));
const oneOrMore = <T extends z.ZodType>(item: T) => z.union([item, z.array(item).min(1)]);

const fieldName = name('Name of a field.');
const eventName = z
  .string()
  .regex(/^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$/, { error: 'event name' })
  .describe('Name of an event type: `flight.departed`.');

export const ruleSchema = z
  .strictObject({
    name: name('Name of the rule, shown with a refused event.'),
    check: expression('Must be true for an event to pass; null does not pass.'),
    message: z.string().min(1).describe('Sentence for the dead letter of an event that does not pass.'),
  })
  .describe('A check that every event must pass.');

export const eventSchema = z
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
  .regex(/^(?!(?:.*\.)?__proto__(?:\.|$))[^.]+(?:\.[^.]+)*$/, { error: 'path' })
  .describe("Dotted path into the team's record: `card.token`.");
const mappingShape = {
  id: path.describe('Path of the event id.'),
  type: z
    .union([path, z.strictObject({ constant: eventName })])
    .describe('Path of the event type, or `{constant: payment}` where all records are of one type.'),
  time: z
    .strictObject({
      path,
      unit: z
        .enum(['ms', 's', 'iso'])
        .describe('Milliseconds or seconds since 1970, or ISO 8601 text with a zone.'),
    })
    .describe('Where the event time is.'),
  fields: z
    .record(fieldName, path)
    .default({})
    .describe('Path of each field; a field that is not listed has its own name as its path.'),
};

export const formatSchema = z
  .union([
    z.literal('avro'),
    z.strictObject({
      json: z.strictObject(mappingShape).describe('JSON records and how they become events.'),
    }),
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

export const sourceSchema = z
  .strictObject({
    source: name('Name of the source; its topics are `<prefix>.<source>.raw` and so on.'),
    key: fieldName.describe('The field whose value keys the raw topic.'),
    partitions: z.int().min(1).max(1000).default(3).describe('Partitions of the raw topic.'),
    format: formatSchema.default('avro'),
    out_of_orderness: duration(
      'How much later than a newer event an event may come before it is late: the watermark is the largest event time so far minus this.',
    ),
    max_future: z
      .union([z.literal('never'), duration('')])
      .default('5m')
      .describe(
        'An event further ahead of its arrival than this is refused; `never` switches the check off.',
      ),
    fields: z
      .record(fieldName, z.enum(FIELD_TYPES))
      .describe(
        'Fields of the events beside `id`, `type` and `time`, with their types. A timestamp is a number of milliseconds.',
      ),
    rules: z.array(ruleSchema).default([]).describe('Rules for every type of event.'),
    events: z.record(eventName, eventSchema).describe('The types of event.'),
  })
  .describe('A stream of events in Kafka.');

const stretch = z
  .tuple([duration('Start, relative to the time of day of the request.'), duration('End.')])
  .describe('From and to, relative to this time of the day.');

export const featureSchema = z
  .strictObject({
    name: name(
      'First part of the name. A window feature adds its window (`late_1h`), a periodic one its stretch (`late_near`).',
    ),
    aggregation: oneOrMore(z.enum(AGGREGATIONS)).describe(
      'How the values become one number. With several, each adds its name: `delay_mean_1h`.',
    ),
    of: expression(
      'The value of an event: a condition for `share`, a number or a text for `distinct`, else a number; `count` needs none.',
    ).optional(),
    event: oneOrMore(eventName)
      .optional()
      .describe('Types of event that count. Default: that of the view, or all.'),
    where: expression('Events count where this is true.').optional(),
    source: name('Source of the events, where the view has several and `event` does not tell.').optional(),
    scale: z
      .int()
      .min(1)
      .max(1_000_000_000)
      .optional()
      .describe(
        'Whole units in 1: 100 keeps two decimals. Values are rounded to it once, so that sums are exact.',
      ),
    range: z
      .tuple([z.number(), z.number()])
      .optional()
      .describe(
        'Smallest and largest value; a value outside is clipped to it. Needed where values are added up.',
      ),
    windows: z.array(duration('')).min(1).optional().describe('Lengths of time to look back.'),
    half_life: duration(
      '`decayed_sum` and `decayed_mean`: the age at which an event counts half.',
    ).optional(),
    quantiles: z
      .array(z.number().min(0).max(1))
      .min(1)
      .optional()
      .describe('`quantile`: which ones, 0.5 for the median (`amount_p50_1h`).'),
    precision: z
      .int()
      .min(8)
      .max(16)
      .default(12)
      .describe('`distinct`: index bits; the error is 1.04 / 2^(bits / 2), 1.6 % at 12.'),
    accuracy: z.number().min(0.001).max(0.1).default(0.01).describe('`quantile`: largest relative error.'),
    every: duration('Periodic: the period, whole days.').optional(),
    times: z.int().min(1).max(60).optional().describe('Periodic: how many periods back.'),
    stretches: z
      .record(z.string().regex(NAME, { error: 'name' }), stretch)
      .optional()
      .describe('Periodic: named stretches of the clock, relative to the request: `near: [-10m, 10m]`.'),
  })
  .describe('One declaration, which makes a feature for each aggregation, quantile, and window or stretch.');

export const viewSchema = z
  .strictObject({
    view: name('Name of the view.'),
    entity: z.array(fieldName).min(1).describe('Fields of the event that make the key, in order.'),
    source: oneOrMore(name(''))
      .optional()
      .describe("Sources of the events. Default: the project's only source."),
    resolution: z.enum(['1s', '10s', '1m', '5m', '1h']).describe('Step of time at which features move.'),
    read_delay: duration(
      'How far behind the request windows end. Default: the largest `out_of_orderness` of the sources.',
    ).optional(),
    slack: duration(
      'Event time that readers may be behind the newest events, at least 4 times the resolutions, read delay and out-of-orderness. Default: 15m, or those 4 times.',
    ).optional(),
    at: z
      .strictObject({
        field: fieldName.describe('A timestamp field.'),
        max_delay: duration('An event later than this after that time is refused by this view.'),
      })
      .optional()
      .describe('Keys the view by a second time of the event, for facts that become known later.'),
    partitions: z
      .int()
      .min(1)
      .max(1000)
      .optional()
      .describe("Partitions of the view's topic. Default: as many as the raw topic has."),
    sketch_resolution: duration(
      'Step of time of `distinct` and `quantile`. Default: 5m, or the resolution where that is larger.',
    ).optional(),
    event: oneOrMore(eventName).optional().describe('Types of event that count in every feature.'),
    where: expression('Condition that holds for every feature.').optional(),
    features: z.array(featureSchema).min(1).describe('Features of the entity.'),
  })
  .describe('The features of one kind of entity.');

const readSchema = z
  .strictObject({
    view: name('View to read. Default: the view of the same name.').optional(),
    key: z
      .array(fieldName)
      .min(1)
      .optional()
      .describe("Fields of the request that make the key. Default: the view's entity."),
    zone: fieldName
      .optional()
      .describe('Field of the request with a time zone, for periodic features. Default: UTC.'),
  })
  .nullable()
  .describe('A read of a view.');

/** Ranges are those that training checks again: a wrong value shows here, with its line. */
const trainerSchema = z
  .strictObject({
    name: z.enum(TRAINERS).describe('How the model is trained: `dense` is a network of dense layers.'),
    hidden: z
      .array(z.int().min(1).max(4096))
      .min(1)
      .optional()
      .describe('Units of each hidden layer. Default: [64, 32].'),
    learning_rate: z
      .number()
      .gt(0)
      .max(1)
      .optional()
      .describe('At the start; it falls to 0. Default: 0.002.'),
    batch_size: z.int().min(1).max(65_536).optional().describe('Rows of a step. Default: 512.'),
    epochs: z.int().min(1).max(10_000).optional().describe('Most passes over the rows. Default: 6.'),
    patience: z
      .int()
      .min(1)
      .optional()
      .describe('Passes without a better validation loss after which training stops. Default: 2.'),
    seed: z.int().optional().describe('Seed of weights and order. Default: 1.'),
    validation_share: z
      .number()
      .gt(0)
      .max(0.5)
      .optional()
      .describe('The latest part of the rows, which stops the training. Default: 0.1.'),
    l2: z
      .number()
      .min(0)
      .max(1)
      .optional()
      .describe('Weight of the squared weights in the loss. Default: 0.'),
    calibration: z
      .enum(['none', 'platt', 'isotonic'])
      .optional()
      .describe('Of the scores, on the validation rows. Default: none.'),
    cycle: z
      .record(z.string(), z.number().gt(0))
      .optional()
      .describe('Features that go round, with their period: `local_hour: 24`.'),
    nulls: z
      .record(z.string(), z.number())
      .optional()
      .describe('Value in the place of a null, by feature. Default: the centre.'),
  })
  .describe('The trainer and its parameters.');

export const modelSchema = z
  .strictObject({
    model: name('Name of the model.'),
    task: z.literal('binary').default('binary').describe('What is predicted: the probability of yes.'),
    request: eventName.describe('The event that asks for a prediction.'),
    source: name('Source of the request, where several have that event.').optional(),
    reads: z
      .record(name(''), readSchema)
      .describe('Reads of views, by name: their features are `<read>.<feature>`.'),
    features: z
      .array(z.union([z.string().min(1), z.record(name(''), expression(''))]))
      .min(1)
      .describe(
        'The vector, in order: stored features by name, `*` allowed (`origin.*`), and features computed from the request, `name: expression`.',
      ),
    label: z
      .strictObject({
        event: eventName.describe('The event that tells the truth.'),
        source: name('Source of that event, where several have it.').optional(),
        join: z
          .union([z.array(fieldName).min(1), z.record(fieldName, fieldName)])
          .describe('Fields that are equal in both, or `label field: request field`.'),
        check: expression('True for yes, false for no, null where the event tells nothing.'),
        maturity: duration('How long after the label event it counts as known.').default('0s'),
      })
      .describe('What was to be predicted.'),
    trainer: trainerSchema.default({ name: 'dense' }),
    sample: z
      .strictObject({
        max_rows: z.int().min(100).max(100_000_000).default(300_000).describe('Most rows to train on.'),
        seed: z.int().min(0).default(1).describe('Seed of the choice.'),
      })
      .default({ max_rows: 300_000, seed: 1 })
      .describe('Which rows to train on.'),
    threshold: z.number().min(0).max(1).default(0.5).describe('Score at or above which the decision is yes.'),
    gate: z
      .strictObject({ max_wait: duration('Longest wait of a live request for its features to be complete.') })
      .default({ max_wait: '20ms' })
      .describe('How long inference waits for the newest features.'),
    training: z
      .strictObject({
        from: z.string().optional().describe('First request time, ISO 8601; a date is its start in UTC.'),
        to: z.string().optional().describe('End (exclusive).'),
      })
      .default({})
      .describe('Request times to train on. Default: all there are.'),
  })
  .describe('A model: what it reads, predicts and learns from.');

const retentionSchema = z
  .strictObject({
    raw: duration('Raw topics.').default('7d'),
    validated: duration('Validated topics.').default('7d'),
    predictions: duration('Prediction topics.').default('30d'),
    dead_letters: duration('Dead-letter topics.').default('30d'),
    view_extra: duration('View topics are kept for the longest window and this much more.').default('3d'),
    state_extra: duration('State is kept for the longest window and this much more.').default('7d'),
  })
  .describe('How long things are kept, by arrival time.');

export const projectSchema = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z][a-z0-9-]*$/, { error: 'project name' })
      .describe('Name of the project: small letters, digits and -.'),
    prefix: z
      .string()
      .regex(/^[a-z][a-z0-9-]*$/, { error: 'project name' })
      .optional()
      .describe('First part of every topic, key and table. Default: the name.'),
    sources: z.array(sourceSchema).default([]).describe('Sources; those in `sources/*.yaml` join them.'),
    history: z
      .strictObject({
        reader: z
          .enum(READERS)
          .describe(
            "How files become events: `events` reads Parquet or JSON lines with the source's columns.",
          ),
        source: name('Source that the files hold.'),
      })
      .optional()
      .describe('How `import` and `replay` read files.'),
    retention: retentionSchema.prefault({}),
  })
  .describe('A project.');

const secretNote = `Only as \`\${env:NAME}\`.`;
const pem = (what: string) =>
  z.string().optional().describe(`${what}, as \`\${file:PATH}\` or \`\${env:NAME}\`.`);
export const connectionsSchema = z
  .strictObject({
    kafka: z
      .strictObject({
        brokers: oneOrMore(z.string().min(1)).describe('`host:port`, several with commas or as a list.'),
        tls: z
          .union([
            z.boolean(),
            // Read before the reference is replaced: afterwards it is true or false.
            z.string().regex(/^\$\{env:.+\}$/, { error: 'reference' }),
            z.strictObject({ ca: pem('Authority'), cert: pem('Certificate'), key: pem('Private key') }),
          ])
          .default(false)
          .describe('Encryption.'),
        sasl: z
          .strictObject({
            mechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']).describe('How to log in.'),
            username: z.string().min(1).describe('User.'),
            password: z.string().describe(`Password. ${secretNote}`),
          })
          .optional()
          .describe('Login.'),
      })
      .describe('The Kafka cluster.'),
    redis: z
      .strictObject({
        url: z
          .string()
          .min(1)
          .describe(`\`redis://\` or \`rediss://\`. A password in it only as \`\${env:NAME}\`.`),
      })
      .describe('The online store: Redis or Valkey.'),
    registry: z
      .strictObject({
        url: z.string().min(1).describe('URL of the schema registry.'),
        username: z.string().optional().describe('User.'),
        password: z.string().optional().describe(`Password. ${secretNote}`),
      })
      .describe('The schema registry.'),
    clickhouse: z
      .strictObject({
        url: z.string().min(1).describe("URL of ClickHouse's HTTP interface."),
        database: z.string().min(1).default('default').describe('Database.'),
        username: z.string().optional().describe('User.'),
        password: z.string().optional().describe(`Password. ${secretNote}`),
      })
      .describe('ClickHouse, where events and predictions lie.'),
  })
  .describe('Where the servers are.');

export type RuleDeclaration = z.output<typeof ruleSchema>;
export type SourceDeclaration = z.output<typeof sourceSchema>;
export type FeatureDeclaration = z.output<typeof featureSchema>;
export type ViewDeclaration = z.output<typeof viewSchema>;
export type ModelDeclaration = z.output<typeof modelSchema>;
export type ProjectDeclaration = z.output<typeof projectSchema>;
export type ConnectionsDeclaration = z.output<typeof connectionsSchema>;

/** The kinds of file of a project, with what the first lines of the reference say of each. */
export const FILES = {
  project: { schema: projectSchema, file: 'project.yaml', title: 'Project' },
  source: { schema: sourceSchema, file: 'sources/*.yaml', title: 'Source' },
  view: { schema: viewSchema, file: 'views/*.yaml or features/*.yaml', title: 'View' },
  model: { schema: modelSchema, file: 'models/*.yaml', title: 'Model' },
  connections: { schema: connectionsSchema, file: 'connections.yaml', title: 'Connections' },
} as const;
