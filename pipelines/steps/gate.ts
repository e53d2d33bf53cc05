import { judgeCandidate } from '../rollout/offline-gate.ts';
import { dataSetsOf } from './dataset.ts';
import { slicesOf } from './slices.ts';
import { done, needed, refused, type StepWork } from './tools.ts';
import type { TrainResult } from './train.ts';

/** The new model against the champion, on rows that neither learnt from. A no ends the run. */
export const gateStep: StepWork = async (context) => {
  const { model, artefacts } = context;
  const trained = needed<TrainResult>(context, 'train');
  const { test } = await dataSetsOf(context);
  const slices = await slicesOf(context, test);
  const registry = await context.registry();
  const { pass, sentence, champion, evidence } = await judgeCandidate(
    { registry, artefacts },
    { model, candidate: trained.artefact, data: { set: test, slices } },
  );
  const result = { pass, sentence, champion, evidence };
  return pass ? done(result, sentence) : refused(result, sentence);
};
