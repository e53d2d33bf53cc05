import { studentQuantile } from './distributions.ts';
import { normalWidth } from './interval.ts';

/**
 * How many of its own standard deviations an estimate may be wrong by, learnt from how many earlier ones were wrong by.
 *
 * - With enough of them (19 for 95 %) it is the split-conformal quantile, the ceil((m + 1) * confidence)-th smallest: the
 *   next one lies within with at least that chance if it is like the earlier ones, whatever their distribution. Vovk,
 *   Gammerman and Shafer, Algorithmic Learning in a Random World (2005).
 * - With fewer no such quantile exists. Student's t of m degrees of freedom about a centre of 0 is exact for normal errors,
 *   and wide: 12.7 root mean squares after one window.
 * - With none nothing is known of the calibration, and it is as wide as after one window that was wrong by exactly one
 *   standard deviation.
 *
 * Never below the normal width: the chance of the labels alone does not shrink by luck.
 *
 * @param errors (truth - estimate) / sd of earlier windows.
 */
export function conformalWidth(errors: readonly number[], confidence: number): number {
  const least = normalWidth(confidence);
  const count = errors.length;
  if (count === 0) return studentQuantile((1 + confidence) / 2, 1);
  const rank = Math.ceil((count + 1) * confidence - 1e-9);
  if (rank <= count) {
    const sorted = Float64Array.from(errors, Math.abs).sort();
    return Math.max(least, sorted[rank - 1] as number);
  }
  let squares = 0;
  for (const error of errors) squares += error * error;
  return Math.max(least, studentQuantile((1 + confidence) / 2, count) * Math.sqrt(squares / count));
}
