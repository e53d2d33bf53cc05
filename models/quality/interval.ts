import { normalQuantile } from './distributions.ts';
import type { Estimate, MissingReason } from './types.ts';

export function missing(reason: MissingReason): Estimate {
  return { value: null, low: null, high: null, reason };
}

export function estimate(value: number, low: number | null, high: number | null): Estimate {
  return { value, low, high, reason: null };
}

/** Half-width of an interval of this confidence, in standard deviations of a normal estimate. */
export function normalWidth(confidence: number): number {
  if (!(confidence > 0 && confidence < 1)) {
    throw new RangeError(
      `The confidence of an interval lies between 0 and 1, .95 for instance, not ${confidence}.`,
    );
  }
  return normalQuantile((1 + confidence) / 2);
}

/** Value -+ width, kept inside what the figure can be. */
export function around(value: number, width: number, least: number, most: number): Estimate {
  return estimate(value, Math.max(least, value - width), Math.min(most, value + width));
}

/** `hits` of `rows` (1 on) as a proportion. Wilson, JASA 22 (1927): honest at 0 and 1, where the normal one has no width. */
export function wilson(hits: number, rows: number, z: number): Estimate {
  const share = hits / rows;
  const spread =
    (z * Math.sqrt((share * (1 - share)) / rows + (z * z) / (4 * rows * rows))) / (1 + (z * z) / rows);
  const centre = (share + (z * z) / (2 * rows)) / (1 + (z * z) / rows);
  // The bounds touch the share at 0 and 1; the sum may miss it by a rounding.
  return estimate(
    share,
    Math.max(0, Math.min(share, centre - spread)),
    Math.min(1, Math.max(share, centre + spread)),
  );
}

/** Mean of `rows` (1 on) values from their sum and sum of squares about `centre`; normal interval, none of one row. */
export function meanOf(values: Float64Array, z: number): Estimate {
  const rows = values.length;
  let sum = 0;
  for (let i = 0; i < rows; i++) sum += values[i] as number;
  const mean = sum / rows;
  if (rows === 1) return estimate(mean, null, null);
  let squares = 0;
  for (let i = 0; i < rows; i++) squares += ((values[i] as number) - mean) ** 2;
  return around(mean, z * Math.sqrt(squares / (rows - 1) / rows), 0, Number.POSITIVE_INFINITY);
}

/** Of rising values, linear between them (type 7 of Hyndman and Fan, 1996). */
export function quantileOf(sorted: Float64Array, p: number): number {
  const at = p * (sorted.length - 1);
  const below = Math.floor(at);
  const low = sorted[below] as number;
  return low + (at - below) * ((sorted[Math.min(below + 1, sorted.length - 1)] as number) - low);
}
