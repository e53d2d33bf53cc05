import type { StepKind } from '../../schemas/pipeline.ts';
import type { StepExecutor } from '../runs/work.ts';
import { datasetStep } from './dataset.ts';
import { evaluateStep } from './evaluate.ts';
import { gateStep } from './gate.ts';
import { decideStep, shadowStep } from './looks.ts';
import { registerStep } from './register.ts';
import { StepRefused, type StepTools, type StepWork } from './tools.ts';
import { trainStep } from './train.ts';
import { tuneStep } from './tune.ts';

const WORK: Readonly<Record<StepKind, StepWork>> = {
  dataset: datasetStep,
  tune: tuneStep,
  train: trainStep,
  evaluate: evaluateStep,
  gate: gateStep,
  register: registerStep,
  shadow: shadowStep,
  decide: decideStep,
};

/** Does the work of a step in this process. */
export function createStepExecutor(tools: StepTools): StepExecutor {
  return (call, signal) => {
    const model = tools.project.models.find(({ name }) => name === call.run.model);
    if (model === undefined)
      throw new StepRefused(
        `Run ${call.run.id} trains the model '${call.run.model}', which the project does not declare any more.`,
      );
    return WORK[call.step.step.kind]({ ...tools, call, model, signal });
  };
}
