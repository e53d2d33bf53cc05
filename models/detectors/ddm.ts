import { type Detector, type DetectorKind, options, type Signal, stateNumbers } from './detector.ts';

/**
 * Drift detection method, for errors (1) and hits (0) of a classifier: the error rate p of a learner in a steady
 * world falls or stays, so a rise beyond its least value p_min + s_min, with s = sqrt(p (1 - p) / n), is a warning at
 * 2 s_min and a drift at 3. Gama, Medas, Castillo and Rodrigues, "Learning with drift detection", SBIA (2004).
 *
 * The least is the least of ever more looks, so the rule of the paper cries wolf on a long steady series (a random
 * walk is sure to come 3 s above its least some time). `minCount` values must come before a least one counts: rates
 * of a few values are too lucky to be held to.
 */
export interface DdmOptions {
  readonly warning: number;
  readonly drift: number;
  /** Values before the least rate is kept; 30 in the paper. */
  readonly minCount: number;
}

export interface DdmState {
  readonly options: DdmOptions;
  readonly count: number;
  readonly errors: number;
  /** Rate and deviation at the least p + s so far; null before minCount. */
  readonly least: readonly [rate: number, deviation: number] | null;
}

const DEFAULTS: DdmOptions = { warning: 2, drift: 3, minCount: 30 };

export const ddm: DetectorKind<DdmOptions, DdmState> = {
  name: 'ddm',
  paper: 'Gama and others 2004',
  create: (given = {}) => detector({ options: options(DEFAULTS, given), count: 0, errors: 0, least: null }),
  restore: (state) => {
    stateNumbers('ddm', [state.count, state.errors, ...(state.least ?? [])]);
    return detector({ ...state, options: options(DEFAULTS, state.options) });
  },
};

function detector(start: DdmState): Detector<DdmState> {
  const { warning, drift, minCount } = start.options;
  let { count, errors, least } = start;
  return {
    update(value): Signal {
      if (value !== 0 && value !== 1)
        throw new RangeError(`The detector ddm takes errors (1) and hits (0), not ${value}.`);
      count++;
      errors += value;
      if (count < minCount) return 'none';
      const rate = errors / count;
      const deviation = Math.sqrt((rate * (1 - rate)) / count);
      // A rate of 0 has no deviation to count in.
      if (errors > 0 && (least === null || rate + deviation <= least[0] + least[1]))
        least = [rate, deviation];
      if (least === null) return 'none';
      if (rate + deviation > least[0] + drift * least[1]) {
        [count, errors, least] = [0, 0, null];
        return 'drift';
      }
      return rate + deviation > least[0] + warning * least[1] ? 'warning' : 'none';
    },
    get: () => ({ mean: count === 0 ? 0 : errors / count, count }),
    serialise: () => ({ options: start.options, count, errors, least }),
  };
}
