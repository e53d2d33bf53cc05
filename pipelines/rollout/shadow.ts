import type { ModelHistory, VersionState } from '../../infrastructure/registry/history.ts';
import { NO_LABEL } from '../../models/rollout/guard.ts';
import {
  observeShadow,
  type PairedRows,
  type ShadowVerdict,
  shadowVerdict,
  startShadow,
} from '../../models/rollout/sequential.ts';
import type { Model } from '../../schemas/project.ts';
import type { ModelVersion } from '../../schemas/records/model-version.ts';
import { type Ask, authorOf } from './ask.ts';
import { judgeStretches, type RolloutDeps } from './judged.ts';
import { promote, RolloutRefused, retire, retrySuperseded, versionOf } from './moves.ts';
import { type BesideRows, firstScored } from './rows.ts';

export interface ShadowDecision {
  readonly decision: 'watch' | 'promote' | 'refuse';
  /** For a person: the decision and why. */
  readonly sentence: string;
  readonly version: number;
  readonly champion: number | null;
  /** Null where it was decided before, or nothing was scored yet. */
  readonly verdict: ShadowVerdict | null;
  /** The change of the registry that decided, now or before. */
  readonly change: ModelVersion | null;
}

/**
 * How the shadow test of a challenger stands at an event time: a pure function of the log of events, predictions and
 * registry, so that whoever asks for the same time gets the same answer. The test begins with the first request that both
 * the challenger and the present champion score: when another takes over, it begins anew.
 */
export async function lookAtShadow(
  deps: RolloutDeps,
  { model, version, upTo }: Pick<Ask, 'model' | 'upTo'> & { readonly version: number },
): Promise<ShadowDecision> {
  const history = await deps.registry.history(model.name);
  const found = versionOf(history, version);
  const { champion } = history;
  const draft = { version, champion: champion?.version ?? null, verdict: null, change: null };
  if (found.state === 'candidate')
    throw new RolloutRefused(
      `Version ${version} of ${model.name} is a candidate: only a challenger is scored beside the champion (millrace models shadow ${version}).`,
    );
  if (found.guards !== null)
    throw new RolloutRefused(
      `Version ${version} of ${model.name} guards version ${found.guards}, whose promotion is watched: it is no challenger.`,
    );
  if (found.state !== 'challenger') return decidedBefore(history, found);
  if (champion === null)
    return { ...draft, decision: 'watch', sentence: 'There is no champion to challenge.' };
  const startedAt = await startOf(deps, model, found, champion);
  if (startedAt === null)
    return {
      ...draft,
      decision: 'watch',
      sentence: 'Keep watching: no request was scored beside the champion yet.',
    };
  const beside = { model, champion: champion.version, other: version, from: startedAt };
  const { state } = await judgeStretches(deps, beside, upTo, model.rollout.shadow, {
    start: () => startShadow(model.rollout.shadow, startedAt),
    observe: (state, rows, to) => observeShadow(state, pairs(rows), to),
  });
  const verdict = shadowVerdict(state);
  return { ...draft, decision: verdict.decision, sentence: verdict.sentence, verdict };
}

/** Looks, and says in the registry what follows: promoted, retired, or nothing while the test watches. */
export async function decideShadow(
  deps: RolloutDeps,
  ask: Ask & { readonly version: number },
): Promise<ShadowDecision> {
  const { model, version } = ask;
  const seen = await lookAtShadow(deps, ask);
  if (seen.verdict === null || seen.decision === 'watch') return seen;
  const evidence = {
    test: 'shadow',
    champion: seen.champion,
    upTo: ask.upTo,
    rules: model.rollout.shadow,
    ...seen.verdict,
  };
  const author = authorOf(ask, seen.sentence, evidence);
  const appended = await retrySuperseded(() =>
    deps.registry.append(model.name, (history) => {
      const now = versionOf(history, version);
      // Another writer was first: what was tested is not what stands now, and the next look begins from there.
      if (now.state !== 'challenger' || history.champion?.version !== seen.champion) return [];
      return seen.decision === 'promote'
        ? promote(version, author)(history)
        : retire(version, author)(history);
    }),
  );
  const [change] = appended.changes;
  return change === undefined ? lookAtShadow(deps, ask) : { ...seen, change };
}

/** The first request that both score, epoch ms; null where that is not known yet. */
async function startOf(
  deps: RolloutDeps,
  model: Model,
  challenger: VersionState,
  champion: VersionState,
): Promise<number | null> {
  const from =
    challenger.since.effectiveFrom ?? (await firstScored(deps, model.name, challenger.version, 'shadow'));
  if (from === null) return null;
  return Math.max(from, champion.since.effectiveFrom ?? from);
}

function decidedBefore({ changes, champion }: ModelHistory, found: VersionState): ShadowDecision {
  const promoted = changes.find(({ version, state }) => version === found.version && state === 'champion');
  const change = promoted ?? found.since;
  return {
    decision: promoted === undefined ? 'refuse' : 'promote',
    sentence: change.reason,
    version: found.version,
    champion: champion?.version ?? null,
    verdict: null,
    change,
  };
}

/** Rows that have a label and two scores. */
export function pairs({ times, champion, other, labels }: BesideRows): PairedRows {
  const chosen: number[] = [];
  for (let i = 0; i < times.length; i += 1)
    if (labels[i] !== NO_LABEL && !Number.isNaN(champion[i]) && !Number.isNaN(other[i])) chosen.push(i);
  const pick = (of: Float64Array) => Float64Array.from(chosen, (i) => of[i] as number);
  return {
    times: pick(times),
    labels: Uint8Array.from(chosen, (i) => labels[i] as number),
    champion: pick(champion),
    challenger: pick(other),
  };
}
