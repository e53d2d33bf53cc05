/**
 * What a person would write by hand: for each destination Maps of minutes, of five minutes and of hours, and a walk over them for
 * each question. The windows are those that docs/examples/airports declares.
 */
interface Tile {
  count: number;
  sum: number;
  late: number;
  max: number;
}

export interface Landing {
  readonly id: string;
  readonly type: string;
  readonly ts: number;
  readonly origin: string;
  readonly dest: string;
  readonly distance: number;
  readonly delay: number;
}

const MINUTE = 60_000;
const LEVELS = [MINUTE, 5 * MINUTE, 60 * MINUTE] as const;
/** Length of each window, and the level whose steps its old end takes. */
const WINDOWS = [
  { length: 60 * MINUTE, level: 0 },
  { length: 360 * MINUTE, level: 1 },
  { length: 1_440 * MINUTE, level: 2 },
] as const;
/** An answer knows nothing younger than this, ms: events may come so late. */
const DELAY_MS = 5_000;
const FORGET_AFTER = 26 * 60 * MINUTE;

/** In the order of the vector below, for 1 h, 6 h and 24 h. */
export const FEATURES = ['flights', 'delay_mean', 'delay_max', 'late'].flatMap((name) =>
  ['1h', '6h', '1d'].map((window) => `${name}_${window}`),
);

export class Destination {
  readonly #levels = LEVELS.map(() => new Map<number, Tile>());
  #swept = 0;

  add({ ts, delay }: Landing): void {
    for (const [i, step] of LEVELS.entries()) {
      const start = Math.floor(ts / step) * step;
      const tiles = this.#levels[i] as Map<number, Tile>;
      let tile = tiles.get(start);
      if (tile === undefined) {
        tile = { count: 0, sum: 0, late: 0, max: Number.NEGATIVE_INFINITY };
        tiles.set(start, tile);
      }
      tile.count += 1;
      tile.sum += delay;
      if (delay > 15) tile.late += 1;
      if (delay > tile.max) tile.max = delay;
    }
    if (ts - this.#swept > 60 * MINUTE) this.#sweep(ts);
  }

  features(ts: number): Float64Array {
    const head = Math.floor((ts - DELAY_MS) / MINUTE) * MINUTE;
    const vector = new Float64Array(12);
    for (const [w, { length, level }] of WINDOWS.entries()) {
      const hop = LEVELS[level];
      let count = 0;
      let sum = 0;
      let late = 0;
      let max = Number.NEGATIVE_INFINITY;
      let at = Math.floor((head - length) / hop) * hop;
      // Wide tiles first, narrower ones for what is left before the head.
      for (let l = level as number; l >= 0; l -= 1) {
        const step = LEVELS[l] as number;
        const tiles = this.#levels[l] as Map<number, Tile>;
        for (; at + step <= head; at += step) {
          const tile = tiles.get(at);
          if (tile === undefined) continue;
          count += tile.count;
          sum += tile.sum;
          late += tile.late;
          if (tile.max > max) max = tile.max;
        }
      }
      vector[w] = count;
      vector[3 + w] = count === 0 ? Number.NaN : sum / count;
      vector[6 + w] = count === 0 ? Number.NaN : max;
      vector[9 + w] = count === 0 ? Number.NaN : late / count;
    }
    return vector;
  }

  #sweep(ts: number): void {
    this.#swept = ts;
    for (const tiles of this.#levels)
      for (const start of tiles.keys()) if (start < ts - FORGET_AFTER) tiles.delete(start);
  }
}

/** The event, or what is wrong with it. */
export function landingOf(text: string): Landing | string {
  let event: Landing;
  try {
    event = JSON.parse(text) as Landing;
  } catch {
    return 'bad_json';
  }
  if (typeof event.id !== 'string' || !Number.isSafeInteger(event.ts)) return 'no_id_or_time';
  if (event.type !== 'flight.landed') return 'unknown_type';
  if (typeof event.origin !== 'string' || typeof event.dest !== 'string') return 'no_airport';
  if (typeof event.distance !== 'number' || typeof event.delay !== 'number') return 'no_number';
  if (event.delay < -120 || event.delay > 1800) return 'delay_in_range';
  return event;
}

/** Logistic regression on z-scores, as plain numbers. */
export interface PlainModel {
  readonly intercept: number;
  readonly columns: ReadonlyArray<{
    readonly mean: number;
    readonly deviation: number;
    readonly weight: number;
  }>;
}

export function scoreOf({ intercept, columns }: PlainModel, vector: Float64Array): number {
  let z = intercept;
  for (let i = 0; i < columns.length; i += 1) {
    const x = vector[i] as number;
    if (Number.isNaN(x)) continue;
    const { mean, deviation, weight } = columns[i] as PlainModel['columns'][number];
    z += weight * Math.min(4, Math.max(-4, (x - mean) / deviation));
  }
  return 1 / (1 + Math.exp(-z));
}
