import {
  checkNumber,
  type Detector,
  type DetectorKind,
  options,
  type Signal,
  stateNumbers,
} from './detector.ts';

/**
 * ADWIN: keeps a window of the past that is as long as its mean is steady, and drops its older part as soon as some
 * cut of it has two sides whose means differ by more than chance allows. Bifet and Gavalda, "Learning from
 * time-changing data with adaptive windowing", SIAM Data Mining (2007): ADWIN2, with exponential histograms (at most
 * `buckets` buckets of each size 2^k, so memory grows with the logarithm of the window), and the bound of its
 * equation 3.1 for values of any range:
 *
 *   e = sqrt(2/m var ln(2/d')) + 2/(3m) ln(2/d'),  1/m = 1/n0 + 1/n1,  d' = delta / ln(n)
 *
 * The second term is for values in [0, 1]; here it is taken times the range of the values seen.
 */
export interface AdwinOptions {
  /** Chance of a false cut at a look, as the bound has it; the real one is smaller. */
  readonly delta: number;
  /** Buckets of one size that are kept apart, M. */
  readonly buckets: number;
  /** Values between two looks for a cut. */
  readonly every: number;
  /** Values that each side of a cut must have. */
  readonly minSide: number;
  /** Oldest values are dropped beyond so many. */
  readonly maxWindow: number;
  /** Chance in `warning` for which a cut would already be made is this many times delta. */
  readonly warning: number;
}

/** One bucket: values, their sum, and their squared differences from their mean. */
type Bucket = readonly [sum: number, m2: number];

export interface AdwinState {
  readonly options: AdwinOptions;
  /** rows[k]: buckets of 2^k values, oldest first. */
  readonly rows: ReadonlyArray<readonly Bucket[]>;
  /** Of the whole window: kept as they were rounded. */
  readonly count: number;
  readonly sum: number;
  readonly m2: number;
  readonly sinceLook: number;
  readonly low: number;
  readonly high: number;
  readonly warned: boolean;
}

const DEFAULTS: AdwinOptions = {
  delta: 0.002,
  buckets: 5,
  every: 32,
  minSide: 5,
  maxWindow: 1_000_000,
  warning: 20,
};

const NOTHING = { count: 0, sum: 0, m2: 0, sinceLook: 0, low: 0, high: 0, warned: false };

export const adwin: DetectorKind<AdwinOptions, AdwinState> = {
  name: 'adwin',
  paper: 'Bifet and Gavalda 2007',
  create: (given = {}) => detector({ options: options(DEFAULTS, given), rows: [], ...NOTHING }),
  restore: (state) => {
    const { count, sum, m2, sinceLook, low, high, rows } = state;
    stateNumbers('adwin', [count, sum, m2, sinceLook, low, high, ...rows.flat(2)]);
    return detector({ ...state, options: options(DEFAULTS, state.options) });
  },
};

function detector(start: AdwinState): Detector<AdwinState> {
  const { delta, buckets, every, minSide, maxWindow, warning } = start.options;
  const rows: Bucket[][] = start.rows.map((row) => [...row]);
  let { count, sum, m2, sinceLook, low, high, warned } = start;

  /**
   * Count, sum and squares of all buckets: after a cut they are added up again, so that errors of rounding do not
   * pile up.
   */
  function retell(): void {
    [count, sum, m2] = [0, 0, 0];
    for (let k = rows.length - 1; k >= 0; k--) {
      for (const [part, square] of rows[k] ?? []) {
        m2 += square + between(count, sum, 2 ** k, part);
        count += 2 ** k;
        sum += part;
      }
    }
  }

  function insert(value: number): void {
    m2 += between(count, sum, 1, value);
    count++;
    sum += value;
    const first = rows[0] ?? [];
    rows[0] = first;
    first.push([value, 0]);
    for (let k = 0; (rows[k]?.length ?? 0) > buckets; k++) {
      const [a, b] = (rows[k] ?? []).splice(0, 2) as [Bucket, Bucket];
      const merged: Bucket = [a[0] + b[0], a[1] + b[1] + between(2 ** k, a[0], 2 ** k, b[0])];
      const next = rows[k + 1] ?? [];
      rows[k + 1] = next;
      next.push(merged);
    }
  }

  function dropOldest(): void {
    rows.at(-1)?.shift();
    while (rows.length > 0 && rows.at(-1)?.length === 0) rows.pop();
    retell();
  }

  /** Whether some cut of the window has sides that differ by more than the bound for a chance of `chance`. */
  function isCut(chance: number): boolean {
    if (count < 2 * minSide) return false;
    const range = Math.max(high - low, Number.MIN_VALUE);
    const variance = m2 / count;
    const log = Math.log((2 * Math.log(count)) / chance);
    let [n0, sum0] = [0, 0];
    for (let k = rows.length - 1; k >= 0; k--) {
      for (const [part] of rows[k] ?? []) {
        n0 += 2 ** k;
        sum0 += part;
        const n1 = count - n0;
        if (n1 < minSide) return false;
        if (n0 < minSide) continue;
        const inverse = 1 / n0 + 1 / n1;
        const bound = Math.sqrt(2 * inverse * variance * log) + (2 / 3) * inverse * log * range;
        if (Math.abs(sum0 / n0 - (sum - sum0) / n1) > bound) return true;
      }
    }
    return false;
  }

  return {
    update(value): Signal {
      checkNumber('adwin', value);
      if (count === 0) [low, high] = [value, value];
      low = Math.min(low, value);
      high = Math.max(high, value);
      insert(value);
      while (count > maxWindow) dropOldest();
      sinceLook++;
      if (sinceLook < every) return warned ? 'warning' : 'none';
      sinceLook = 0;
      let cut = false;
      while (isCut(delta)) {
        dropOldest();
        cut = true;
      }
      warned = !cut && isCut(Math.min(0.5, delta * warning));
      return cut ? 'drift' : warned ? 'warning' : 'none';
    },
    get: () => ({ mean: count === 0 ? 0 : sum / count, count }),
    serialise: () => ({
      options: start.options,
      rows: rows.map((row) => [...row]),
      count,
      sum,
      m2,
      sinceLook,
      low,
      high,
      warned,
    }),
  };
}

/** What two parts with different means add to the squared differences from the common one (Chan and others 1979). */
function between(n: number, sum: number, m: number, other: number): number {
  if (n === 0 || m === 0) return 0;
  return ((sum / n - other / m) ** 2 * n * m) / (n + m);
}
