import type { ModelHistory } from '../../infrastructure/registry/history.ts';
import {
  observeShadow,
  type ShadowVerdict,
  shadowVerdict,
  startShadow,
} from '../../models/rollout/sequential.ts';
import { objectIn } from '../../monitoring/measures.ts';
import type { Model } from '../../schemas/project.ts';
import type { RolloutDeps } from './judged.ts';
import { versionOf } from './moves.ts';
import { closedStretches, firstScored } from './rows.ts';
import { pairs } from './shadow.ts';

/** What the shadow test of a version had seen at the end of a stretch of event time. */
export interface ShadowLook extends Pick<ShadowVerdict, 'rows' | 'blocks' | 'gain' | 'evidence'> {
  /** Event time, epoch ms. */
  readonly to: number;
}

export interface ShadowLooks {
  /** Champion that the version was scored beside; null where there is none. */
  readonly champion: number | null;
  /** The evidence that decides: 1 / alpha. */
  readonly bar: number;
  readonly code: ShadowVerdict['code'];
  /** For a person: how it stands, or what was decided and why. */
  readonly sentence: string;
  readonly looks: readonly ShadowLook[];
}

/**
 * The shadow test of a version from its first look to the last, to be drawn: the same rows and the same test that decide, judged
 * once more. Of a version whose test is over up to the look that decided.
 */
export async function shadowLooks(
  deps: RolloutDeps,
  { model, version, upTo }: { readonly model: Model; readonly version: number; readonly upTo: number },
): Promise<ShadowLooks> {
  const history = await deps.registry.history(model.name);
  versionOf(history, version);
  const rules = model.rollout.shadow;
  const draft = { bar: 1 / rules.alpha, code: 'watching' as const, looks: [] };
  const test = await testOf(deps, model, version, history, upTo);
  if (typeof test === 'string')
    return { ...draft, champion: history.champion?.version ?? null, sentence: test };
  const { champion, from } = test;
  let state = startShadow(rules, from);
  const looks: ShadowLook[] = [];
  const beside = { model, champion, other: version, from };
  for await (const { rows, to } of closedStretches(deps, beside, test.upTo)) {
    state = observeShadow(state, pairs(rows), to);
    const { rows: seen, blocks, gain, evidence } = shadowVerdict(state);
    looks.push({ to, rows: seen, blocks, gain, evidence });
    if (state.decided !== null) break;
  }
  const { code, sentence } = shadowVerdict(state);
  return { ...draft, champion, code, sentence, looks };
}

/** Which champion a version was tested beside, and when; a sentence where it never was. */
async function testOf(
  deps: RolloutDeps,
  model: Model,
  version: number,
  { changes, champion }: ModelHistory,
  upTo: number,
): Promise<{ readonly champion: number; readonly from: number; readonly upTo: number } | string> {
  const own = changes.filter((change) => change.version === version);
  const begun = own.find(({ state }) => state === 'challenger');
  if (begun === undefined) return `Version ${version} never was a challenger: no shadow test was made.`;
  const ended = own.find(
    ({ change, evidence }) => change > begun.change && objectIn(evidence).test === 'shadow',
  );
  const evidence = objectIn(ended?.evidence ?? '');
  const beside = typeof evidence.champion === 'number' ? evidence.champion : champion?.version;
  if (beside === undefined || beside === version) return `Version ${version} was scored beside no champion.`;
  const from = begun.effectiveFrom ?? (await firstScored(deps, model.name, version, 'shadow'));
  if (from === null) return 'No request was scored beside the champion yet.';
  const crowned = changes.findLast((change) => change.version === beside && change.state === 'champion');
  return {
    champion: beside,
    from: Math.max(from, crowned?.effectiveFrom ?? from),
    upTo: typeof evidence.upTo === 'number' ? evidence.upTo : upTo,
  };
}
