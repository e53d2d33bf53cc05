import { createRandom, type Random } from '../random.ts';
import { DETECTORS, type DetectorName } from './index.ts';

/**
 * How soon each detector sees a change, and how often one that is not there, on seeded series whose change points are
 * known. Bernoulli series are errors of a classifier (0 or 1), Gaussian ones a loss.
 */

export const CHANGES = ['abrupt', 'gradual', 'none'] as const;
export type Change = (typeof CHANGES)[number];
const NOISES = ['gaussian', 'bernoulli'] as const;
export type Noise = (typeof NOISES)[number];

export interface SeriesSpec {
  readonly noise: Noise;
  readonly change: Change;
  /** Values before the change, and in all. */
  readonly before: number;
  readonly length: number;
  /** Values over which a gradual change takes place. */
  readonly over: number;
}

/** Means before and after: an error rate that doubles; a loss that rises by half its deviation. */
const LEVELS: Readonly<Record<Noise, readonly [number, number]>> = {
  bernoulli: [0.15, 0.3],
  gaussian: [0.35, 0.45],
};
const DEVIATION = 0.2;

/** The mean at each place. */
function meanAt({ noise, change, before, over }: SeriesSpec, i: number): number {
  const [low, high] = LEVELS[noise];
  if (change === 'none' || i < before) return low;
  const share = change === 'abrupt' ? 1 : Math.min(1, (i - before + 1) / over);
  return low + share * (high - low);
}

export function seriesOf(spec: SeriesSpec, random: Random): Float64Array {
  return Float64Array.from({ length: spec.length }, (_, i) => {
    const mean = meanAt(spec, i);
    return spec.noise === 'bernoulli' ? Number(random.next() < mean) : mean + DEVIATION * random.normal();
  });
}

export interface DetectorScore {
  readonly detector: DetectorName;
  readonly noise: Noise;
  readonly change: Change;
  readonly series: number;
  /** Series whose change was seen; null where there is none to see. */
  readonly found: number | null;
  /** Values from the change to the alarm, of those found: median and the 9th of 10; null where none was. */
  readonly medianDelay: number | null;
  readonly slowDelay: number | null;
  /** Alarms without a cause for 10,000 values before the change (or of the whole series, where there is none). */
  readonly falseAlarms: number;
}

export interface ScoreOptions {
  readonly seed: number;
  /** Series of each kind. */
  readonly series: number;
  /** Called after each series. */
  readonly progress?: (done: number, of: number) => void;
}

const SHAPE = { before: 4_000, length: 8_000, over: 2_000 } as const;

/** Scores every detector with its defaults. The same seed gives the same table, and every detector the same series. */
export function scoreDetectors({ seed, series, progress }: ScoreOptions): DetectorScore[] {
  const kinds = (Object.keys(DETECTORS) as DetectorName[]).flatMap((detector) =>
    NOISES.flatMap((noise) => CHANGES.map((change) => ({ detector, noise, change }))),
  );
  // An error is 0 or 1: a loss is nothing for DDM.
  const fit = kinds.filter(({ detector, noise }) => detector !== 'ddm' || noise === 'bernoulli');
  let done = 0;
  return fit.map(({ detector, noise, change }) => {
    const delays: number[] = [];
    let [falseAlarms, quiet] = [0, 0];
    for (let i = 0; i < series; i++) {
      const spec: SeriesSpec = { ...SHAPE, noise, change };
      const values = seriesOf(spec, createRandom(seed + i));
      const calm = change === 'none' ? spec.length : spec.before;
      const alarms = alarmsOf(detector, values);
      falseAlarms += alarms.filter((at) => at < calm).length;
      quiet += calm;
      const first = alarms.find((at) => at >= calm);
      if (first !== undefined) delays.push(first - spec.before + 1);
      done++;
      progress?.(done, fit.length * series);
    }
    delays.sort((a, b) => a - b);
    const at = (share: number) =>
      delays[Math.min(delays.length - 1, Math.floor(share * delays.length))] ?? null;
    return {
      detector,
      noise,
      change,
      series,
      found: change === 'none' ? null : delays.length,
      medianDelay: at(0.5),
      slowDelay: at(0.9),
      falseAlarms: (falseAlarms * 10_000) / quiet,
    };
  });
}

/** Places of the drifts that a fresh detector tells of. */
function alarmsOf(name: DetectorName, values: Float64Array): number[] {
  const detector = DETECTORS[name].create();
  const alarms: number[] = [];
  values.forEach((value, i) => {
    if (detector.update(value) === 'drift') alarms.push(i);
  });
  return alarms;
}
