import { z } from 'zod';
import { DRIFT_STATISTICS } from '../schemas/monitoring.ts';
import { duration, expression, name } from './texts.ts';

const share = z.number().gt(0).lt(1);

/** How a model is watched. */
export const monitoringSchema = z
  .strictObject({
    every: duration('Length of a window; windows begin at multiples of it, in UTC.').default('1d'),
    reference: duration('Time before a window that it is compared with.').default('14d'),
    label_wait: duration('How long after its end a window waits for labels.').default('2d'),
    confidence: share.default(0.95).describe('Of every interval.'),
    slices: z
      .record(
        name(''),
        z.strictObject({
          by: expression('Of the request, a text: requests with the same answer are a slice.'),
          min_rows: z.int().min(1).default(200).describe('Slices with fewer labelled rows are left out.'),
          at_most: z
            .int()
            .min(1)
            .max(5_000)
            .default(500)
            .describe(
              'Values that are slices by themselves: the largest of a window; the rest is the slice `other`.',
            ),
        }),
      )
      .default({})
      .describe('Parts of the requests that are judged by themselves.'),
    drift: z
      .strictObject({
        statistic: z.enum(DRIFT_STATISTICS).default('psi').describe('What alerts look at; all are kept.'),
        min_effect: z.number().min(0).default(0.1).describe('Least effect, in units of the statistic.'),
        min_count: z.int().min(1).default(500).describe('Least rows in a window and in its reference.'),
        false_discovery_rate: share.default(0.05).describe('Accepted share of wrong alerts of a window.'),
        false_alarms_per_month: z
          .number()
          .gt(0)
          .default(1)
          .describe('Budget of wrong alerts over all features; thresholds are set from the reference.'),
        calendar: z
          .array(z.string())
          .default([])
          .describe('Features that are calendar by nature: shown, never alerted on. `*` allowed.'),
      })
      .prefault({})
      .describe('When the distribution of a feature has changed.'),
  })
  .describe('How the model is watched.');

export type MonitoringDeclaration = z.output<typeof monitoringSchema>;
