import type { Parameters } from '../../models/trainer.ts';
import { tune } from '../tuning/tuning.ts';
import { dataSetsOf } from './dataset.ts';
import { done, StepRefused, type StepWork } from './tools.ts';

export interface TuneResult {
  /** In the place of what the model declares, name by name. */
  readonly parameters: Parameters;
  readonly loss: number;
  readonly run: string;
}

/** Searches the model's space on the training part. */
export const tuneStep: StepWork = async (context) => {
  const { project, model, call, warehouse, codeVersion, now, mirror, signal, tuningWorkers } = context;
  if (model.search === null)
    throw new StepRefused(
      `Model ${model.name} declares no search space: add 'search:' to its file, or take the step ${call.step.step.name} out of the pipeline.`,
    );
  const { trials, budget } = call.step.step.with;
  const space = {
    ...model.search,
    ...(typeof trials === 'number' ? { trials } : {}),
    ...(typeof budget === 'number' ? { budget } : {}),
  };
  const { training } = await dataSetsOf(context);
  const {
    id,
    best,
    trials: tried,
  } = await tune({
    warehouse,
    prefix: project.prefix,
    codeVersion,
    now,
    mirror,
    model,
    training,
    space,
    workers: tuningWorkers,
    parent: call.run.id,
    signal,
    progress: ({ done: count, best: so }) =>
      call.note(`${count} trials${so === null ? '' : `, best validation log loss ${so.loss.toFixed(4)}`}`),
  });
  const result: TuneResult = { parameters: best.parameters, loss: best.loss, run: id };
  return done(
    result,
    `trial ${best.trial + 1} of ${tried.length} is best: validation log loss ${best.loss.toFixed(4)}`,
  );
};
