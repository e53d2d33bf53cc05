import { z } from 'zod';
import { LABEL_CHOICES } from '../schemas/project.ts';
import { monitoringSchema } from './monitoring-declaration.ts';
import { rolloutSchema } from './rollout-declaration.ts';
import { searchSchema } from './search.ts';
import { duration, eventName, expression, fieldName, name } from './texts.ts';
import { trainerSchema } from './trainer.ts';

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
    defaults: z
      .record(fieldName, z.union([z.string().min(1), z.number(), z.boolean()]))
      .default({})
      .describe('What stands for a field of the key where it is null: `merchant: none`.'),
    optional: z
      .boolean()
      .default(false)
      .describe(
        'A request without a key is answered, with null for the features of this read. Otherwise it is refused as `missing_key`.',
      ),
    max_age: duration(
      'A state that is further behind the request than this is not read. At least the read delay and the resolution of the view. Default: however old.',
    ).optional(),
    when_older: z
      .enum(['refuse', 'nulls'])
      .optional()
      .describe(
        'With `max_age`: `refuse` refuses the request as `stale`, `nulls` gives null for the features of this read. Default: refuse.',
      ),
  })
  .nullable()
  .describe('A read of a view.');

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
          .describe(
            'Fields that are equal in both, or `label field: request field`. A label belongs to the latest request with these fields at or before it.',
          ),
        check: expression('True for yes, false for no, null where the event tells nothing.'),
        maturity: duration('How long after the label event it counts as known.').default('0s'),
        within: duration(
          'A label that comes later than this after its request is none. Default: it may come at any time.',
        ).optional(),
        which: z
          .enum(LABEL_CHOICES)
          .default('first')
          .describe(
            'Of several labels of one request: the first, or the last by the time of the training. A label that is null waits for the next one.',
          ),
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
    cloudevents: z
      .boolean()
      .default(false)
      .describe('Records of predictions carry the headers of CloudEvents 1.0 (binary mode of Kafka).'),
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
    monitoring: monitoringSchema.prefault({}),
    rollout: rolloutSchema.prefault({}),
    search: searchSchema.optional(),
  })
  .describe('A model: what it reads, predicts and learns from.');

export type ModelDeclaration = z.output<typeof modelSchema>;
