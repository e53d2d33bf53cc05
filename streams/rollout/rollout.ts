import type { ArtefactStore } from '../../infrastructure/artefacts/port.ts';
import type { ModelHistory, VersionState } from '../../infrastructure/registry/history.ts';
import type { ModelRegistry } from '../../infrastructure/registry/models.ts';
import { parseArtefact } from '../../models/artefact.ts';
import { type GateVerdict, judgeOffline } from '../../models/rollout/gate.ts';
import { guardVerdict, NO_LABEL, observeGuard, startGuard } from '../../models/rollout/guard.ts';
import type { GuardRules, GuardVerdict } from '../../models/rollout/guard-types.ts';
import {
  observeShadow,
  type PairedRows,
  type ShadowVerdict,
  shadowVerdict,
  startShadow,
} from '../../models/rollout/sequential.ts';
import { createScorer, type Scorer } from '../../models/scorer.ts';
import type { Model } from '../../schemas/project.ts';
import type { ModelVersion } from '../../schemas/records/model-version.ts';
import { iso } from '../iso.ts';
import type { DataSet } from '../training/dataset.ts';
import { judgeStretches, type RolloutDeps } from './judged.ts';
import { type Hand, insist, promote, RolloutRefused, retire, rollBack, versionOf } from './moves.ts';
import { type BesideRows, firstScored, rowsOf } from './rows.ts';

/** Rows that neither version learnt from. */
export interface GateData {
  readonly set: Pick<DataSet, 'rows' | 'labels' | 'times' | 'from' | 'to' | 'hash'>;
  /** By name of the slicing, the slice of each row; null for none. */
  readonly slices?: Readonly<Record<string, ReadonlyArray<string | null>>>;
}

export interface GateResult {
  readonly pass: boolean;
  readonly sentence: string;
  readonly verdict: GateVerdict;
  /** What it was held against; null where there is none that scores this layout. */
  readonly champion: number | null;
  /** Plain JSON, for the registry. */
  readonly evidence: object;
}

/**
 * Candidate against champion on the same rows. A champion that learnt another layout cannot score them (nor live requests any
 * more), so the candidate is then held against its own calibration alone.
 *
 * @param candidate address of its artefact.
 * @throws RolloutRefused where the candidate learnt from rows it is judged on.
 */
export async function gateCandidate(
  deps: { readonly registry: Pick<ModelRegistry, 'history'>; readonly artefacts: Pick<ArtefactStore, 'get'> },
  { model, candidate, data }: { readonly model: Model; readonly candidate: string; readonly data: GateData },
): Promise<GateResult> {
  const { champion } = await deps.registry.history(model.name);
  const load = async (address: string) => parseArtefact(await deps.artefacts.get(address), address);
  const artefact = await load(candidate);
  const learnt = artefact.manifest.dataset;
  if (learnt !== null && learnt.to > data.set.from && learnt.from < data.set.to)
    throw new RolloutRefused(
      `The candidate learnt from requests up to ${iso(learnt.to)}, and the gate's rows begin at ${iso(data.set.from)}: it would be judged on what it knows. Train it on earlier ones.`,
    );
  const comparable = champion !== null && champion.layout === model.layoutHash ? champion : null;
  const before = comparable === null ? null : await load(comparable.artefact);
  const known = before?.manifest.dataset?.to ?? Number.NEGATIVE_INFINITY;
  const { set, slices } = rowsFrom(data, known, model.features.length);
  const scores = (scorer: Scorer) => {
    const out = new Float64Array(set.labels.length);
    scorer.scoreBatch(set.rows, set.labels.length, out);
    return out;
  };
  const verdict = judgeOffline(
    {
      labels: set.labels,
      times: set.times,
      candidate: scores(createScorer(artefact, model.layoutHash)),
      champion: before === null ? null : scores(createScorer(before, model.layoutHash)),
      ...(slices === undefined ? {} : { slices }),
    },
    { ...model.rollout.gate, seed: model.sample.seed },
  );
  const left = data.set.labels.length - set.labels.length;
  const knows =
    left === 0
      ? ''
      : ` (${left} rows before ${iso(known)} were left out: version ${comparable?.version} learnt from that time)`;
  return {
    pass: verdict.pass,
    sentence: `${verdict.sentence}${knows}`,
    verdict,
    champion: comparable?.version ?? null,
    evidence: {
      test: 'gate',
      champion: comparable?.version ?? null,
      dataset: { hash: set.hash, from: set.from, to: set.to, rows: set.labels.length },
      ...verdict,
      slices: verdict.slices.slice(0, 5),
    },
  };
}

/** What a champion learnt from says nothing of it: only rows from `time` on. Rows are in the order of time. */
function rowsFrom({ set, slices }: GateData, time: number, width: number): GateData {
  const { rows, labels, times } = set;
  const cut = times.findIndex((one) => one >= time);
  const first = cut < 0 ? times.length : cut;
  if (first === 0) return { set, ...(slices === undefined ? {} : { slices }) };
  const rest = {
    ...set,
    from: time,
    rows: rows.subarray(first * width),
    labels: labels.subarray(first),
    times: times.subarray(first),
  };
  if (slices === undefined) return { set: rest };
  const cutSlices = Object.entries(slices).map(([name, of]) => [name, of.slice(first)]);
  return { set: rest, slices: Object.fromEntries(cutSlices) };
}

/** Which version is asked about, as of which event time, and who asks. */
export interface Ask {
  readonly model: Model;
  /** The archive has passed this event time; nothing later is looked at, epoch ms. */
  readonly upTo: number;
  readonly by: string;
  readonly run?: string | null;
  /** What is decided holds from `upTo` + this, ms of event time; default 0. */
  readonly latency?: number;
}

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
  const hand = handOf(ask, seen.sentence, evidence);
  const said = await insist(() =>
    deps.registry.say(model.name, (history) => {
      const now = versionOf(history, version);
      // Another hand was first: what was tested is not what stands now, and the next look begins from there.
      if (now.state !== 'challenger' || history.champion?.version !== seen.champion) return [];
      return seen.decision === 'promote' ? promote(version, hand)(history) : retire(version, hand)(history);
    }),
  );
  const [change] = said.changes;
  return change === undefined ? lookAtShadow(deps, ask) : { ...seen, change };
}

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
  const hand = handOf(ask, seen.sentence, evidence);
  const said = await insist(() =>
    deps.registry.say(model.name, (history) => {
      const still = history.versions.find((one) => one.version === guard)?.guards === champion;
      if (!still || history.champion?.version !== champion) return [];
      return decision === 'rollback' ? rollBack(hand)(history) : retire(guard, hand)(history);
    }),
  );
  const [change] = said.changes;
  return change === undefined ? lookAtGuard(deps, ask) : { ...seen, change };
}

const handOf = ({ by, run, upTo, latency }: Ask, reason: string, evidence: object): Hand => ({
  by,
  reason,
  evidence,
  effectiveFrom: upTo + (latency ?? 0),
  run: run ?? null,
});

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
function pairs({ times, champion, other, labels }: BesideRows): PairedRows {
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

const guardRows = ({ times, champion, other, labels }: BesideRows) => ({
  times,
  champion,
  previous: other,
  labels,
});
