/** Checks of the flat parameters of a declared trainer, the same for all trainers. */

import type { CalibrationKind } from './calibration.ts';
import { CannotLearn } from './cannot-learn.ts';
import { defaultEncoderSpec, type EncoderSpec, type EncodingChoice } from './encoder.ts';
import type { Parameters } from './trainer.ts';

/** What a number must be, in words, where it is not that; null where it is. */
export type NumberRule = (value: number) => string | null;

const whole =
  (least: number, most: number): NumberRule =>
  (value) =>
    Number.isSafeInteger(value) && value >= least && value <= most
      ? null
      : `a whole number from ${least} to ${most}`;
export const rules = {
  whole,
  atLeastOne: ((value) =>
    Number.isSafeInteger(value) && value >= 1 ? null : 'a whole number, at least 1') as NumberRule,
  seed: ((value) => (Number.isSafeInteger(value) ? null : 'a whole number')) as NumberRule,
  above0to1: ((value) => (value > 0 && value <= 1 ? null : 'above 0, at most 1')) as NumberRule,
  aboveTo:
    (most: number): NumberRule =>
    (value) =>
      value > 0 && value <= most ? null : `above 0, at most ${most}`,
  from0to:
    (most: number): NumberRule =>
    (value) =>
      value >= 0 && value <= most ? null : `from 0 to ${most}`,
} as const;

/** Parameters that every trainer takes. */
export const COMMON_RULES: Readonly<Record<string, NumberRule>> = {
  patience: rules.atLeastOne,
  seed: rules.seed,
  validationShare: rules.aboveTo(0.5),
};

export interface CommonSpec {
  /** Epochs without a better validation log loss after which training stops. */
  readonly patience: number;
  readonly seed: number;
  /** The latest part of the rows, by time: they stop the training and fit the calibration, no weight sees them. */
  readonly validationShare: number;
  readonly calibration: CalibrationKind;
}

/** For a trainer whose inputs are encoded: `cycle.<feature>` and `nulls.<feature>`. */
export const ENCODER_PARAMETERS = ['cycle.<feature>', 'nulls.<feature>'] as const;

const unknown = (name: string, known: readonly string[]) =>
  new CannotLearn(`Trainer parameter "${name}" is not known; there are ${known.join(', ')}.`);

/** Splits off what tells the encoder about single features. @throws CannotLearn naming a wrong one. */
export function encoderSpecOf(
  parameters: Parameters,
  features: readonly string[],
): { readonly encoder: EncoderSpec; readonly rest: Parameters } {
  const encodings: Record<string, Partial<EncodingChoice>> = {};
  const rest: Record<string, Parameters[string]> = {};
  for (const [name, value] of Object.entries(parameters)) {
    const [, group, feature = ''] = /^(cycle|nulls)\.(.*)$/s.exec(name) ?? [];
    if (group === undefined) {
      rest[name] = value;
      continue;
    }
    if (!features.includes(feature))
      throw new CannotLearn(`Trainer parameter "${name}": "${feature}" is no feature of this model.`);
    if (typeof value !== 'number' || !Number.isFinite(value) || (group === 'cycle' && value <= 0))
      throw new CannotLearn(
        `Trainer parameter "${name}" must be a number${group === 'cycle' ? ' above 0' : ''}.`,
      );
    encodings[feature] = {
      ...encodings[feature],
      ...(group === 'cycle' ? { period: value } : { nulls: { value } }),
    };
  }
  return { encoder: { ...defaultEncoderSpec, features: encodings }, rest };
}

/**
 * Numbers by their rules, `calibration` by its list.
 *
 * @param known all names, for the message about one that is not.
 * @throws CannotLearn naming the parameter that is unknown or out of range.
 */
export function checkedParameters(
  parameters: Parameters,
  numberRules: Readonly<Record<string, NumberRule>>,
  known: readonly string[],
): Record<string, unknown> {
  const spec: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(parameters)) {
    const rule = Object.hasOwn(numberRules, name) ? numberRules[name] : undefined;
    if (rule !== undefined) {
      const fault = typeof value === 'number' ? rule(value) : 'a number';
      if (fault !== null)
        throw new CannotLearn(`Trainer parameter "${name}" is ${String(value)}; it must be ${fault}.`);
    } else if (name === 'calibration') {
      if (value !== 'none' && value !== 'platt' && value !== 'isotonic')
        throw new CannotLearn('Trainer parameter "calibration" must be none, platt or isotonic.');
    } else throw unknown(name, known);
    spec[name] = value;
  }
  return spec;
}
