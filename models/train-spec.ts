import { CannotLearn } from './cannot-learn.ts';
import { defaultEncoderSpec, type EncoderSpec } from './encoder.ts';
import {
  COMMON_RULES,
  type CommonSpec,
  checkedParameters,
  ENCODER_PARAMETERS,
  encoderSpecOf,
  rules,
} from './parameters.ts';
import type { Parameters } from './trainer.ts';

/** How a dense network is trained. Everything that could change a weight is here, the seed included. */
export interface TrainSpec extends CommonSpec {
  /** Units of each hidden layer. */
  readonly hidden: readonly number[];
  /** At the start; falls to 0 over `epochs` along half a cosine (Loshchilov and Hutter, ICLR 2017). */
  readonly learningRate: number;
  readonly batchSize: number;
  readonly epochs: number;
  /** Weight of the sum of squared weights in the loss. */
  readonly l2: number;
  readonly encoder: EncoderSpec;
}

export const defaultTrainSpec: TrainSpec = {
  hidden: [64, 32],
  learningRate: 0.002,
  batchSize: 512,
  epochs: 6,
  patience: 2,
  seed: 1,
  validationShare: 0.1,
  l2: 0,
  calibration: 'none',
  encoder: defaultEncoderSpec,
};

const NUMBERS = {
  ...COMMON_RULES,
  learningRate: rules.above0to1,
  batchSize: rules.whole(1, 65_536),
  epochs: rules.whole(1, 10_000),
  l2: rules.from0to(1_000),
};

/** Names that `trainSpecOf` knows, for messages and for the schema of the configuration. */
export const TRAIN_PARAMETERS: readonly string[] = [
  'hidden',
  ...Object.keys(NUMBERS),
  'calibration',
  ...ENCODER_PARAMETERS,
];

/**
 * From the flat parameters of a declared trainer. `cycle.<feature>: 24` makes a feature a cycle of that length;
 * `nulls.<feature>: 0` puts a value in the place of its nulls (by default they are encoded at the centre).
 *
 * @throws CannotLearn naming the parameter that is unknown or out of range.
 */
export function trainSpecOf(parameters: Parameters, features: readonly string[]): TrainSpec {
  const { encoder, rest } = encoderSpecOf(parameters, features);
  const { hidden = defaultTrainSpec.hidden, ...others } = rest;
  const good =
    Array.isArray(hidden) &&
    hidden.every((units) => Number.isSafeInteger(units) && units >= 1 && units <= 4096);
  if (!good)
    throw new CannotLearn('Trainer parameter "hidden" must be a list of whole numbers from 1 to 4096.');
  return {
    ...defaultTrainSpec,
    ...checkedParameters(others, NUMBERS, TRAIN_PARAMETERS),
    hidden: hidden as readonly number[],
    encoder,
  };
}
