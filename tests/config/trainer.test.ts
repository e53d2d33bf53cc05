import { describe, expect, it } from 'vitest';
import { TRAINER_KEYS, trainerSchema } from '../../config/trainer.ts';
import { CannotLearn } from '../../models/cannot-learn.ts';
import { prepareTraining, trainers } from '../../models/trainers.ts';
import { TRAINERS } from '../../schemas/trainer.ts';

const camel = (key: string) => key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
const PROBES = [
  -1, 0, 1e-9, 0.25, 0.5, 0.6, 1, 1.5, 2, 64, 65, 255, 256, 1_000, 1_001, 10_000, 10_001, 65_537, 2e6,
];

/** A model file and training check the same things, each on its own: a file that is taken must train. */
describe.each(TRAINERS.map((name) => [name] as const))('the parameters of %s', (name) => {
  it('are those that the trainer knows', () => {
    const known = trainers[name].parameters.map((one) => one.replace('.<feature>', ''));
    expect(TRAINER_KEYS[name].map(camel).sort()).toEqual([...known].sort());
  });

  it('have the ranges that the trainer has', () => {
    const taken = (key: string, value: number) => {
      try {
        prepareTraining(name, { [camel(key)]: value }, ['a']);
        return true;
      } catch (error) {
        if (error instanceof CannotLearn) return false;
        throw error;
      }
    };
    const odd = TRAINER_KEYS[name].flatMap((key) =>
      ['hidden', 'calibration', 'cycle', 'nulls'].includes(key)
        ? []
        : PROBES.filter(
            (value) => trainerSchema.safeParse({ name, [key]: value }).success !== taken(key, value),
          ).map((value) => `${key}: ${value}`),
    );
    expect(odd).toEqual([]);
  });
});
