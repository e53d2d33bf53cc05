import { z } from 'zod';
import type { Rollout } from '../schemas/rollout.ts';
import { parseDuration } from './durations.ts';
import { duration } from './texts.ts';

const chance = z.number().gt(0).lt(0.5);

/** How a new version comes to score. */
export const rolloutSchema = z
  .strictObject({
    gate: z
      .strictObject({
        test_last: duration(
          'Latest part of the data set, which the new version does not learn from.',
        ).default('7d'),
        max_loss: z
          .number()
          .default(0.002)
          .describe('Most that the log loss may lie above the champion, at the upper end of the interval.'),
        slice_tolerance: z
          .number()
          .min(0)
          .default(0.02)
          .describe("Most that it may lie above in a slice, beyond the slice's interval."),
        min_rows: z.int().min(1).default(1_000).describe('Fewer rows decide nothing.'),
        max_calibration_error: z.number().gt(0).max(1).default(0.05).describe('Most calibration error.'),
      })
      .prefault({})
      .describe('Before it sees live requests: candidate and champion on the same rows.'),
    shadow: z
      .strictObject({
        alpha: chance.default(0.05).describe('Chance of promoting a version that is no better.'),
        min_gain: z.number().min(0).default(0.001).describe('Gain in log loss that is worth a promotion.'),
        block: duration('Requests of this stretch count as one observation.').default('1d'),
        max_duration: duration('Longest shadow; then the champion stays.').default('28d'),
      })
      .prefault({})
      .describe('Beside the champion, on live requests.'),
    guard: z
      .strictObject({
        tolerance: z
          .number()
          .min(0)
          .default(0.002)
          .describe('Loss against the version before that is borne.'),
        alpha: chance.default(0.05).describe('Chance of rolling back a version that is no worse.'),
        duration: duration('How long the version before goes on in shadow.').default('7d'),
      })
      .prefault({})
      .describe('After a promotion.'),
  })
  .describe('How a new version comes to score.');

export type RolloutDeclaration = z.output<typeof rolloutSchema>;

export function compileRollout({ gate, shadow, guard }: RolloutDeclaration): Rollout {
  const ms = (text: string) => parseDuration(text) ?? 0;
  return {
    gate: {
      testLast: ms(gate.test_last),
      maxLoss: gate.max_loss,
      sliceTolerance: gate.slice_tolerance,
      minRows: gate.min_rows,
      maxCalibrationError: gate.max_calibration_error,
    },
    shadow: {
      alpha: shadow.alpha,
      minGain: shadow.min_gain,
      block: ms(shadow.block),
      maxDuration: ms(shadow.max_duration),
    },
    guard: { tolerance: guard.tolerance, alpha: guard.alpha, duration: ms(guard.duration) },
  };
}
