import { firstScored } from '../rollout/rows.ts';
import { decideShadow } from '../rollout/shadow.ts';
import type { StepOutcome } from '../runs/changes.ts';
import type { RegisterResult } from './register.ts';
import { done, needed, refused, type StepContext, watching } from './tools.ts';

/**
 * Steps that wait in event time. Each look goes up to the last tick that the run was told of, and what it sees
 * is a function of what had happened by then.
 */

/** Until the new version is scored beside the champion. */
export async function shadowStep(context: StepContext): Promise<StepOutcome> {
  const { project, model, warehouse, call } = context;
  const registered = needed<RegisterResult>(context, 'register');
  const { version, state } = registered;
  if (state === 'champion')
    return done({ version }, `version ${version} is the first champion: nothing to shadow`);
  const first = await firstScored({ project, warehouse }, model.name, version, 'shadow');
  return first === null || first >= call.run.told
    ? watching({ version }, `version ${version} has scored no request in the shadow yet`)
    : done({ version }, `version ${version} is scored in the shadow since ${instant(first)}`);
}

const instant = (time: number) => new Date(time).toISOString().replace('.000Z', 'Z');

/** Until the test on the live topic has an answer; the registry says it. */
export async function decideStep(context: StepContext): Promise<StepOutcome> {
  const { project, model, warehouse, call } = context;
  const { version, state } = needed<RegisterResult>(context, 'register');
  if (state === 'champion') return done({ version }, `version ${version} is the first champion`);
  const registry = await context.registry();
  const { run } = call;
  const seen = await decideShadow(
    { registry, project, warehouse },
    {
      model,
      version,
      upTo: run.told,
      by: `pipeline ${run.pipeline}`,
      // Every decision of the run has an effect of its own, and registering was one: the version names the run.
      run: null,
      latency: run.effectiveFrom - run.eventTime,
    },
  );
  const result = {
    version,
    champion: seen.champion,
    decision: seen.decision,
    sentence: seen.sentence,
    verdict: seen.verdict,
    change: seen.change?.change ?? null,
  };
  if (seen.decision === 'promote') return done(result, seen.sentence);
  return seen.decision === 'refuse' ? refused(result, seen.sentence) : watching(result, seen.sentence);
}
