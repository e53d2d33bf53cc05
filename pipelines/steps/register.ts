import { parseArtefact } from '../../models/artefact.ts';
import type { ModelState } from '../../schemas/records/model-version.ts';
import { registerVersion } from '../rollout/moves.ts';
import { dataSetsOf } from './dataset.ts';
import type { EvaluateResult } from './evaluate.ts';
import { keepReference } from './reference.ts';
import { done, inputOf, needed, type StepWork } from './tools.ts';
import type { TrainResult } from './train.ts';

export interface RegisterResult {
  readonly version: number;
  readonly state: ModelState;
  readonly artefact: string;
  /** Event time, epoch ms; null = at once. */
  readonly effectiveFrom: number | null;
}

/**
 * The new version goes into the shadow, from the run's event time + its latency on; the first version of a
 * model is its champion at once. A run registers one version however often this step is tried, or by whom.
 */
export const registerStep: StepWork = async (context) => {
  const { project, model, call, artefacts, warehouse } = context;
  const { run } = call;
  const trained = needed<TrainResult>(context, 'train');
  const gate = inputOf<{ readonly sentence?: string }>(context, 'gate');
  const evaluated = inputOf<EvaluateResult>(context, 'evaluate');
  const registry = await context.registry();
  const { champion } = await registry.history(model.name);
  const { version } = await registerVersion(
    registry,
    {
      model: model.name,
      artefact: trained.artefact,
      location: trained.location,
      layout: trained.layout,
      as: 'challenger',
    },
    {
      by: `pipeline ${run.pipeline}`,
      reason: gate?.sentence ?? `trained by run ${run.id}`,
      evidence: { run: run.id, validation: trained.validation, test: evaluated?.test ?? null, gate },
      effectiveFrom: champion === null ? null : run.effectiveFrom,
      run: run.id,
    },
  );
  const { training } = await dataSetsOf(context);
  const artefact = parseArtefact(await artefacts.get(trained.artefact), trained.artefact);
  await keepReference({ warehouse, project, model }, version, artefact, training);
  const result: RegisterResult = {
    version: version.version,
    state: version.state,
    artefact: version.artefact,
    effectiveFrom: champion === null ? null : run.effectiveFrom,
  };
  const since =
    result.effectiveFrom === null
      ? ''
      : ` from ${new Date(result.effectiveFrom).toISOString().slice(0, 16)}Z on`;
  return done(result, `version ${result.version} is ${result.state}${since}`);
};
