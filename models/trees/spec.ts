import { COMMON_RULES, type CommonSpec, checkedParameters, rules } from '../parameters.ts';
import type { Parameters } from '../trainer.ts';
import { MOST_BINS } from './bins.ts';

/** How trees are grown. Everything that could change a split is here, the seed included. */
export interface TreesSpec extends CommonSpec {
  /** Most trees. */
  readonly rounds: number;
  /** How much of its answer each tree adds. */
  readonly learningRate: number;
  /** Most leaves of a tree; the leaf that gains most is split next. */
  readonly leaves: number;
  /** Most questions on the way to a leaf. */
  readonly depth: number;
  /** Least sum of p (1 - p) over the rows of a leaf: of rows that are undecided, four times as many. */
  readonly minWeight: number;
  /** Weight of the squared answers of the leaves in the loss. */
  readonly l2: number;
  /** Share of the rows, and of the features, that each tree sees. */
  readonly rowShare: number;
  readonly featureShare: number;
  readonly bins: number;
}

export const defaultTreesSpec: TreesSpec = {
  rounds: 300,
  learningRate: 0.1,
  leaves: 31,
  depth: 12,
  minWeight: 5,
  l2: 5,
  rowShare: 0.8,
  featureShare: 0.6,
  bins: MOST_BINS,
  patience: 30,
  seed: 1,
  validationShare: 0.1,
  calibration: 'none',
};

const NUMBERS = {
  ...COMMON_RULES,
  rounds: rules.whole(1, 10_000),
  learningRate: rules.above0to1,
  leaves: rules.whole(2, 1_024),
  depth: rules.whole(1, 64),
  minWeight: rules.from0to(1_000_000),
  l2: rules.from0to(1_000),
  rowShare: rules.above0to1,
  featureShare: rules.above0to1,
  bins: rules.whole(2, MOST_BINS),
};

export const TREES_PARAMETERS: readonly string[] = [...Object.keys(NUMBERS), 'calibration'];

/** @throws CannotLearn naming the parameter that is unknown or out of range. */
export function treesSpecOf(parameters: Parameters): TreesSpec {
  return { ...defaultTreesSpec, ...checkedParameters(parameters, NUMBERS, TREES_PARAMETERS) };
}
