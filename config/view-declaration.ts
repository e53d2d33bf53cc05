import { z } from 'zod';
import { AGGREGATIONS } from '../schemas/view.ts';
import { duration, eventName, expression, fieldName, NAME, name, offset, oneOrMore } from './texts.ts';

const stretch = z
  .tuple([offset('Start, relative to the time of day of the request.'), offset('End.')])
  .describe('From and to, relative to this time of the day.');

const featureSchema = z
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
    hold: duration(
      'How much event time a model that is away may be behind and still find its features. Default: 24h.',
    ).optional(),
    hold_megabytes: z
      .int()
      .min(1)
      .max(4096)
      .optional()
      .describe('What is kept for such a model, at most, in each partition of the view. Default: 64.'),
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
    local: z
      .boolean()
      .default(false)
      .describe(
        "The entity is the key of the view's one source: who ingests a partition keeps its features in memory and answers its requests at once.",
      ),
    sketch_resolution: duration(
      'Step of time of `distinct` and `quantile`. Default: 5m, or the resolution where that is larger.',
    ).optional(),
    event: oneOrMore(eventName).optional().describe('Types of event that count in every feature.'),
    where: expression('Condition that holds for every feature.').optional(),
    features: z.array(featureSchema).min(1).describe('Features of the entity.'),
  })
  .describe('The features of one kind of entity.');

export type FeatureDeclaration = z.output<typeof featureSchema>;

export type ViewDeclaration = z.output<typeof viewSchema>;
