import { z } from 'zod';
import type { Model, ModelFeature } from '../schemas/project.ts';
import { TRAINERS, type TrainerName } from '../schemas/trainer.ts';
import type { Place } from './document.ts';
import { mendOfUnknown } from './nearest.ts';
import { inside, type Reporter } from './reporter.ts';

/** Ranges are those that training checks again: a wrong value shows here, with its line. */
export const trainerSchema = z
  .strictObject({
    name: z
      .enum(TRAINERS)
      .describe(
        'How the model is trained: `dense` is a network of dense layers, `logistic` logistic regression, `trees` gradient-boosted trees. Each takes its own of the keys below.',
      ),
    hidden: z
      .array(z.int().min(1).max(4096))
      .min(1)
      .optional()
      .describe('dense: units of each hidden layer. Default: [64, 32].'),
    learning_rate: z
      .number()
      .gt(0)
      .max(1)
      .optional()
      .describe(
        'dense: at the start; it falls to 0. Default: 0.002. trees: how much of its answer each tree adds. Default: 0.1.',
      ),
    batch_size: z.int().min(1).max(65_536).optional().describe('dense: rows of a step. Default: 512.'),
    epochs: z
      .int()
      .min(1)
      .max(10_000)
      .optional()
      .describe('dense, logistic: most passes over the rows. Default: 6 (dense), 100 (logistic).'),
    rounds: z.int().min(1).max(10_000).optional().describe('trees: most trees. Default: 300.'),
    leaves: z.int().min(2).max(1_024).optional().describe('trees: most leaves of a tree. Default: 31.'),
    depth: z
      .int()
      .min(1)
      .max(64)
      .optional()
      .describe('trees: most questions on the way to a leaf. Default: 12.'),
    min_weight: z
      .number()
      .min(0)
      .max(1_000_000)
      .optional()
      .describe(
        'trees: least sum of p (1 - p) over the training rows of a leaf, p being the score so far. Default: 5.',
      ),
    row_share: z
      .number()
      .gt(0)
      .max(1)
      .optional()
      .describe('trees: share of the rows that each tree is grown on. Default: 0.8.'),
    feature_share: z
      .number()
      .gt(0)
      .max(1)
      .optional()
      .describe('trees: share of the features that each tree may ask for. Default: 0.6.'),
    bins: z
      .int()
      .min(2)
      .max(255)
      .optional()
      .describe('trees: most values of a feature that a split can tell apart. Default: 255.'),
    l2: z
      .number()
      .min(0)
      .max(1_000)
      .optional()
      .describe(
        'Weight of the squared weights (of trees: of the answers of the leaves) in the loss. Default: 0 (dense), 0.0001 (logistic), 5 (trees).',
      ),
    patience: z
      .int()
      .min(1)
      .optional()
      .describe(
        'Passes (trees: rounds) without a better validation loss after which training stops. Default: 2 (dense), 10 (logistic), 30 (trees).',
      ),
    seed: z.int().optional().describe('Seed of whatever is drawn by chance. Default: 1.'),
    validation_share: z
      .number()
      .gt(0)
      .max(0.5)
      .optional()
      .describe('The latest part of the rows, which stops the training. Default: 0.1.'),
    calibration: z
      .enum(['none', 'platt', 'isotonic'])
      .optional()
      .describe('Of the scores, on the validation rows. Default: none.'),
    cycle: z
      .record(z.string(), z.number().gt(0))
      .optional()
      .describe('dense, logistic: features that go round, with their period: `local_hour: 24`.'),
    nulls: z
      .record(z.string(), z.number())
      .optional()
      .describe(
        'dense, logistic: value in the place of a null, by feature. Default: the centre. Trees learn where nulls go.',
      ),
  })
  .describe('The trainer and its parameters.');

export type TrainerDeclaration = z.output<typeof trainerSchema>;

const COMMON = ['patience', 'seed', 'validation_share', 'calibration'];

/** Keys that each trainer takes, as they are written. */
export const TRAINER_KEYS: Readonly<Record<TrainerName, readonly string[]>> = {
  dense: ['hidden', 'learning_rate', 'batch_size', 'epochs', 'l2', ...COMMON, 'cycle', 'nulls'],
  logistic: ['epochs', 'l2', ...COMMON, 'cycle', 'nulls'],
  trees: [
    'rounds',
    'learning_rate',
    'leaves',
    'depth',
    'min_weight',
    'row_share',
    'feature_share',
    'bins',
    'l2',
    ...COMMON,
  ],
};

/** `learning_rate` to `learningRate`: what a file writes, as code reads it. */
const camel = (key: string) => key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/** Flat, as trainers take them: `cycle: {hour: 24}` becomes `cycle.hour`. */
export function parametersOf(
  trainer: TrainerDeclaration,
  model: string,
  features: readonly ModelFeature[],
  place: Place,
  reporter: Reporter,
): Model['trainer']['parameters'] {
  const takes = TRAINER_KEYS[trainer.name];
  for (const key of Object.keys(trainer))
    if (key !== 'name' && !takes.includes(key))
      reporter.report(
        inside(place, 'trainer', key),
        `'${key}' is no parameter of the trainer '${trainer.name}'.`,
        mendOfUnknown(key, takes),
        { key: true },
      );
  const { name: _, cycle = {}, nulls = {}, ...rest } = trainer;
  const parameters: Record<string, number | string | readonly number[]> = {};
  for (const [key, value] of Object.entries(rest)) if (value !== undefined) parameters[camel(key)] = value;
  const names = features.map((feature) => feature.name);
  for (const [group, values] of Object.entries({ cycle, nulls }))
    for (const [feature, value] of Object.entries(values)) {
      if (!names.includes(feature))
        reporter.report(
          inside(place, 'trainer', group, feature),
          `'${feature}' is no feature of the model '${model}'.`,
          mendOfUnknown(feature, names),
          { key: true },
        );
      parameters[`${group}.${feature}`] = value;
    }
  return parameters;
}
