import type { TrainerName } from '../schemas/trainer.ts';
import { LOGISTIC_PARAMETERS, logisticSpecOf, trainLogistic } from './logistic-train.ts';
import { TRAIN_PARAMETERS, trainSpecOf } from './train-spec.ts';
import type { Engine, Parameters, Trainer, Training } from './trainer.ts';
import { TREES_PARAMETERS, treesSpecOf } from './trees/spec.ts';
import { trainTrees } from './trees/train.ts';

const OWN: Engine = {
  name: 'typescript',
  reason: 'Training in plain TypeScript: this trainer needs no engine.',
};

/** Every trainer by its name in a model file. */
export const trainers: Readonly<Record<TrainerName, Trainer>> = {
  dense: {
    name: 'dense',
    parameters: TRAIN_PARAMETERS,
    prepare(parameters, features) {
      const spec = trainSpecOf(parameters, features);
      return {
        trainer: 'dense',
        epochs: spec.epochs,
        validationShare: spec.validationShare,
        // TensorFlow.js takes a second to load: only who trains a network waits for it.
        async run(dataset, control = {}) {
          const [{ initialiseBackend }, { train }] = await Promise.all([
            import('./backend.ts'),
            import('./train.ts'),
          ]);
          const engine = await initialiseBackend();
          control.onEngine?.(engine);
          return train(dataset, spec, control);
        },
      };
    },
  },
  logistic: {
    name: 'logistic',
    parameters: LOGISTIC_PARAMETERS,
    prepare(parameters, features) {
      const spec = logisticSpecOf(parameters, features);
      return {
        trainer: 'logistic',
        epochs: spec.epochs,
        validationShare: spec.validationShare,
        async run(dataset, control = {}) {
          control.onEngine?.(OWN);
          return trainLogistic(dataset, spec, control);
        },
      };
    },
  },
  trees: {
    name: 'trees',
    parameters: TREES_PARAMETERS,
    prepare(parameters) {
      const spec = treesSpecOf(parameters);
      return {
        trainer: 'trees',
        epochs: spec.rounds,
        validationShare: spec.validationShare,
        async run(dataset, control = {}) {
          control.onEngine?.(OWN);
          return trainTrees(dataset, spec, control);
        },
      };
    },
  },
};

/** @throws CannotLearn naming the parameter that is unknown or out of range. */
export function prepareTraining(
  trainer: TrainerName,
  parameters: Parameters,
  features: readonly string[],
): Training {
  return trainers[trainer].prepare(parameters, features);
}
