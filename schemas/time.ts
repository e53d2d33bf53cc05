/** Event time is epoch milliseconds; a span is milliseconds too. */

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** A timer that is longer fires at once. */
export const LONGEST_TIMER = 2 ** 31 - 1;

/** The tile ladder: each rung divides the next. */
export const RUNGS = [SECOND, 10 * SECOND, MINUTE, 5 * MINUTE, HOUR, 6 * HOUR, DAY] as const;

/** Rungs a view may declare as its resolution. */
export const RESOLUTIONS = [SECOND, 10 * SECOND, MINUTE, 5 * MINUTE, HOUR] as const;

/** Most hops a window is cut into; bounds both the tiles kept and the error of the old edge. */
const MAX_HOPS = 100;

export const MAX_WINDOW = 100 * DAY;

/** `time` rounded down to a multiple of `step` (also below zero). */
export function floorTo(time: number, step: number): number {
  return Math.floor(time / step) * step;
}

/**
 * The step by which the old edge of a window moves: the smallest rung, `resolution` or above, that
 * cuts `window` into at most MAX_HOPS.
 */
export function hopOf(window: number, resolution: number): number {
  for (const rung of RUNGS) if (rung >= resolution && window / rung <= MAX_HOPS) return rung;
  throw new RangeError(`a window of ${window} ms is longer than ${MAX_WINDOW} ms`);
}

/** The young edge of a read for a request at `time`. */
export function headOf(time: number, readDelay: number, resolution: number): number {
  return floorTo(time - readDelay, resolution);
}

/** The old edge of a window that ends at `head`. */
export function tailOf(head: number, window: number, hop: number): number {
  return floorTo(head - window, hop);
}
