import {
  checkNumber,
  type Detector,
  type DetectorKind,
  options,
  type Signal,
  stateNumbers,
} from './detector.ts';

/**
 * Page-Hinkley test for a rise of the mean: a sequential sum of what lies above the running mean, which alarms when
 * it is far above its own least value. Page, Biometrika 41 (1954); Hinkley, Biometrika 58 (1971); with the running
 * mean in the form of Mouss and others, Asian Control Conference (2004).
 *
 * m_t = sum of (x_i - mean_i - delta); drift when m_t - min m > lambda. Values are counted in running standard
 * deviations, so that one delta and lambda serve a loss and a score alike.
 */
export interface PageHinkleyOptions {
  /** Rise of the mean that is no drift, in standard deviations. */
  readonly delta: number;
  /** Sum that is a drift, in standard deviations; half of it is a warning. */
  readonly lambda: number;
  /** Values before the first alarm, which the mean and the deviation are learnt from. */
  readonly minCount: number;
  /** Also a fall of the mean. */
  readonly twoSided: boolean;
}

export interface PageHinkleyState {
  readonly options: PageHinkleyOptions;
  readonly count: number;
  readonly mean: number;
  readonly m2: number;
  readonly rise: number;
  readonly fall: number;
}

const DEFAULTS: PageHinkleyOptions = { delta: 0.25, lambda: 25, minCount: 100, twoSided: false };

export const pageHinkley: DetectorKind<PageHinkleyOptions, PageHinkleyState> = {
  name: 'page_hinkley',
  paper: 'Page 1954, Hinkley 1971',
  create: (given = {}) => detector({ ...empty, options: options(DEFAULTS, given) }),
  restore: (state) => {
    stateNumbers('page_hinkley', [state.count, state.mean, state.m2, state.rise, state.fall]);
    return detector({ ...state, options: options(DEFAULTS, state.options) });
  },
};

const empty = { count: 0, mean: 0, m2: 0, rise: 0, fall: 0 };

function detector(start: PageHinkleyState): Detector<PageHinkleyState> {
  const { delta, lambda, minCount, twoSided } = start.options;
  let { count, mean, m2, rise, fall } = start;
  return {
    update(value): Signal {
      checkNumber('page_hinkley', value);
      const spread = count > 1 ? Math.sqrt(m2 / (count - 1)) : 0;
      // Set against what came before it, as a new value is; before there is a spread nothing is known.
      const apart = count >= minCount && spread > 0 ? (value - mean) / spread : 0;
      count++;
      const before = value - mean;
      mean += before / count;
      m2 += before * (value - mean);
      if (count <= minCount) return 'none';
      // A cumulative sum less its least value is the same sum kept from falling below 0.
      rise = Math.max(0, rise + apart - delta);
      fall = twoSided ? Math.max(0, fall - apart - delta) : 0;
      const highest = Math.max(rise, fall);
      if (highest > lambda) {
        ({ count, mean, m2, rise, fall } = empty);
        return 'drift';
      }
      return highest > lambda / 2 ? 'warning' : 'none';
    },
    get: () => ({ mean, count }),
    serialise: () => ({ options: start.options, count, mean, m2, rise, fall }),
  };
}
