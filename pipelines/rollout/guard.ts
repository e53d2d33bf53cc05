import { guardVerdict, observeGuard, startGuard } from '../../models/rollout/guard.ts';
import type { GuardRules, GuardVerdict } from '../../models/rollout/guard-types.ts';
import type { ModelVersion } from '../../schemas/records/model-version.ts';
import { type Ask, authorOf } from './ask.ts';
import { judgeStretches, type RolloutDeps } from './judged.ts';
import { retire, retrySuperseded, rollBack } from './moves.ts';
import { type BesideRows, firstScored, rowsOf } from './rows.ts';

export interface GuardDecision {
  /** `none`: no version is guarded. */
  readonly decision: 'none' | 'watch' | 'rollback' | 'keep';
  readonly sentence: string;
  readonly champion: number | null;
  /** The version before, which goes on in the shadow. */
  readonly guard: number | null;
  readonly verdict: GuardVerdict | null;
  readonly change: ModelVersion | null;
}

/** How the watch over a new champion stands at an event time; changes nothing. */
export async function lookAtGuard(
  deps: RolloutDeps,
  { model, upTo }: Pick<Ask, 'model' | 'upTo'>,
): Promise<GuardDecision> {
  const { champion, versions } = await deps.registry.history(model.name);
  const guard = versions.find(({ guards }) => guards !== null && guards === champion?.version) ?? null;
  const draft = {
    champion: champion?.version ?? null,
    guard: guard?.version ?? null,
    verdict: null,
    change: null,
  };
  if (champion === null || guard === null)
    return {
      ...draft,
      decision: 'none',
      sentence: 'No version is guarded: the champion has none before it in the shadow.',
    };
  const startedAt =
    champion.since.effectiveFrom ?? (await firstScored(deps, model.name, champion.version, 'predictions'));
  if (startedAt === null)
    return {
      ...draft,
      decision: 'watch',
      sentence: 'Keep watching: the new champion has answered no request yet.',
    };
  const rules: GuardRules = { ...model.rollout.guard, block: model.rollout.shadow.block };
  const beside = { model, champion: champion.version, other: guard.version, from: startedAt };
  const judged = await judgeStretches(deps, beside, upTo, rules, {
    start: () => startGuard(rules, startedAt),
    observe: (state, rows, to) => observeGuard(state, guardRows(rows), to),
  });
  let { state } = judged;
  const closedTo = judged.to;
  if (state.decided === null && upTo > closedTo) {
    // Refusals need no labels, so they are seen at once. The labels of this stretch come later: nothing else of it counts.
    const young = await rowsOf(deps, beside, { from: closedTo, to: upTo }, null);
    const ahead = observeGuard(state, guardRows(young), upTo);
    if (ahead.decided?.code === 'refusing') state = ahead;
  }
  const verdict = guardVerdict(state);
  return { ...draft, decision: verdict.decision, sentence: verdict.sentence, verdict };
}

/**
 * Looks, and says what follows: a new champion that breaks a promise goes and the version before it scores again; when its
 * guard's time is up the version before retires.
 */
export async function guardChampion(deps: RolloutDeps, ask: Ask): Promise<GuardDecision> {
  const seen = await lookAtGuard(deps, ask);
  const { decision, guard, champion, verdict } = seen;
  if (guard === null || verdict === null || decision === 'none' || decision === 'watch') return seen;
  const { model } = ask;
  const evidence = { test: 'guard', champion, guard, upTo: ask.upTo, rules: model.rollout.guard, ...verdict };
  const author = authorOf(ask, seen.sentence, evidence);
  const appended = await retrySuperseded(() =>
    deps.registry.append(model.name, (history) => {
      const still = history.versions.find((one) => one.version === guard)?.guards === champion;
      if (!still || history.champion?.version !== champion) return [];
      return decision === 'rollback' ? rollBack(author)(history) : retire(guard, author)(history);
    }),
  );
  const [change] = appended.changes;
  return change === undefined ? lookAtGuard(deps, ask) : { ...seen, change };
}

const guardRows = ({ times, champion, other, labels }: BesideRows) => ({
  times,
  champion,
  previous: other,
  labels,
});
