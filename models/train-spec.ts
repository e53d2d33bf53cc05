import type { CalibrationKind } from './calibration.ts';
import { defaultEncoderSpec, type EncoderSpec, type EncodingChoice } from './encoder.ts';

/** How a dense network is trained. Everything that could change a weight is here, the seed included. */
export interface TrainSpec {
  /** Units of each hidden layer. */
  readonly hidden: readonly number[];
  /** At the start; falls to 0 over `epochs` along half a cosine (Loshchilov and Hutter, ICLR 2017). */
  readonly learningRate: number;
  readonly batchSize: number;
  readonly epochs: number;
  /** Epochs without a better validation log loss after which training stops. */
  readonly patience: number;
  readonly seed: number;
  /** The latest part of the rows, by time: they stop the training and fit the calibration, no weight sees them. */
  readonly validationShare: number;
  /** Weight of the sum of squared weights in the loss. */
  readonly l2: number;
  readonly calibration: CalibrationKind;
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

type Parameters = Readonly<Record<string, number | string | readonly number[]>>;

const NUMBERS: Readonly<Record<string, (value: number) => string | null>> = {
  learningRate: (v) => (v > 0 && v <= 1 ? null : 'above 0, at most 1'),
  batchSize: (v) =>
    Number.isSafeInteger(v) && v >= 1 && v <= 65_536 ? null : 'a whole number from 1 to 65536',
  epochs: (v) => (Number.isSafeInteger(v) && v >= 1 && v <= 10_000 ? null : 'a whole number from 1 to 10000'),
  patience: (v) => (Number.isSafeInteger(v) && v >= 1 ? null : 'a whole number, at least 1'),
  seed: (v) => (Number.isSafeInteger(v) ? null : 'a whole number'),
  validationShare: (v) => (v > 0 && v <= 0.5 ? null : 'above 0, at most 0.5'),
  l2: (v) => (v >= 0 && v <= 1 ? null : 'from 0 to 1'),
};

/** Names that `trainSpecOf` knows, for messages and for the schema of the configuration. */
export const TRAIN_PARAMETERS = [
  'hidden',
  ...Object.keys(NUMBERS),
  'calibration',
  'cycle.<feature>',
  'nulls.<feature>',
] as const;

/**
 * From the flat parameters of a declared trainer. `cycle.<feature>: 24` makes a feature a cycle of that length;
 * `nulls.<feature>: 0` puts a value in the place of its nulls (by default they are encoded at the centre).
 *
 * @throws RangeError naming the parameter that is unknown or out of range.
 */
export function trainSpecOf(parameters: Parameters, features: readonly string[]): TrainSpec {
  const spec: Record<string, unknown> = {};
  const encodings: Record<string, Partial<EncodingChoice>> = {};
  for (const [name, value] of Object.entries(parameters)) {
    const [group, feature] = name.startsWith('cycle.')
      ? ['cycle', name.slice(6)]
      : name.startsWith('nulls.')
        ? ['nulls', name.slice(6)]
        : ['', ''];
    const rule = NUMBERS[name];
    if (group !== '') {
      if (!features.includes(feature)) {
        throw new RangeError(`Trainer parameter "${name}": "${feature}" is no feature of this model.`);
      }
      if (typeof value !== 'number' || !Number.isFinite(value) || (group === 'cycle' && value <= 0)) {
        throw new RangeError(
          `Trainer parameter "${name}" must be a number${group === 'cycle' ? ' above 0' : ''}.`,
        );
      }
      encodings[feature] = {
        ...encodings[feature],
        ...(group === 'cycle' ? { period: value } : { nulls: { value } }),
      };
    } else if (rule !== undefined) {
      const fault = typeof value === 'number' ? rule(value) : 'a number';
      if (fault !== null)
        throw new RangeError(`Trainer parameter "${name}" is ${String(value)}; it must be ${fault}.`);
      spec[name] = value;
    } else if (name === 'hidden') {
      const good =
        Array.isArray(value) &&
        value.every((units) => Number.isSafeInteger(units) && units >= 1 && units <= 4096);
      if (!good)
        throw new RangeError('Trainer parameter "hidden" must be a list of whole numbers from 1 to 4096.');
      spec.hidden = value;
    } else if (name === 'calibration') {
      if (value !== 'none' && value !== 'platt' && value !== 'isotonic') {
        throw new RangeError('Trainer parameter "calibration" must be none, platt or isotonic.');
      }
      spec.calibration = value;
    } else {
      throw new RangeError(
        `Trainer parameter "${name}" is not known; there are ${TRAIN_PARAMETERS.join(', ')}.`,
      );
    }
  }
  return {
    ...defaultTrainSpec,
    ...spec,
    encoder: { ...defaultEncoderSpec, features: encodings },
  };
}
