/**
 * Champion against challenger on the live topic, by a test that may look as often as it likes. Per request it takes
 * loss(champion) - loss(challenger); requests of one block of event time count as one observation (betting.ts says what
 * the error claim rests on, and why blocks should be days where days differ). Three bets run side by side:
 *
 * - against "the challenger is no better": at 1 / alpha it is promoted;
 * - against "it gains at least minGain": at 1 / alpha it is refused, too small a gain or none;
 * - against "it is no worse": at 1 / alpha it is refused as worse.
 *
 * Where two decide at the same block the challenger is refused. After `maxDuration` it is refused too: no difference was
 * shown, and the champion stays. The first block only measures the scale. Where champion and challenger never differ there
 * is nothing to bet in, and the test watches until its time is up.
 */
import type { Rollout } from '../../schemas/rollout.ts';
import type { Estimate } from '../quality/types.ts';
import { type Bets, evidenceOf, NO_BETS, NO_SCALE, type Scale, scaleOf, wager, widen } from './betting.ts';
import { type BlockCut, blockOf, copyCut, MIN_BLOCK_ROWS, settle, startCut } from './blocks.ts';
import { type BlockSums, meanBounds } from './bounds.ts';
import { lossNano, NANO } from './loss.ts';
import { figure, interval, many, opposite, percent, span } from './wording.ts';

/** Labelled requests that both versions scored. */
export interface PairedRows {
  /** Request times, epoch ms. */
  readonly times: Float64Array;
  readonly labels: Uint8Array;
  readonly champion: Float64Array;
  readonly challenger: Float64Array;
}

export type ShadowRules = Rollout['shadow'];

export const SHADOW_CODES = ['watching', 'better', 'worse', 'too_small', 'time_limit'] as const;
export type ShadowCode = (typeof SHADOW_CODES)[number];

export interface ShadowVerdict {
  readonly decision: 'watch' | 'promote' | 'refuse';
  readonly code: ShadowCode;
  /** For a person: the decision and why. */
  readonly sentence: string;
  /** Requests in the observations; those of a block that is still open are not in it yet. */
  readonly rows: number;
  /** Observations that the test has seen. */
  readonly blocks: number;
  /**
   * Champion's mean log loss - challenger's, nats a request. Each bound holds at every look at once, but for a chance of
   * alpha; null while nothing can be said (some eight blocks).
   */
  readonly gain: Estimate;
  /** E-values, the largest so far: 1 / alpha decides. */
  readonly evidence: {
    /** Against "the challenger is no better". */
    readonly better: number;
    /** Against "it gains at least minGain". */
    readonly tooSmall: number;
    /** Against "it is no worse". */
    readonly worse: number;
  };
  /** Event time of the end of the block that decided, epoch ms; null while watching. */
  readonly decidedAt: number | null;
}

/** Plain data: JSON keeps every bit of it. To be handed back, not read. */
export interface ShadowState {
  readonly kind: 'shadow';
  readonly rules: ShadowRules;
  readonly startedAt: number;
  readonly cut: BlockCut;
  readonly scale: Scale;
  /** Observations so far, oldest first. */
  readonly blocks: readonly BlockSums[];
  readonly better: Bets;
  readonly tooSmall: Bets;
  readonly worse: Bets;
  readonly decided: { readonly code: ShadowCode; readonly at: number } | null;
}

/** @param startedAt event time of the first request that the challenger may score, epoch ms; earlier rows are left out. */
export function startShadow(rules: ShadowRules, startedAt: number): ShadowState {
  if (!(rules.alpha > 0 && rules.alpha < 1)) {
    throw new RangeError(`The chance of a wrong promotion (alpha) lies between 0 and 1, not ${rules.alpha}.`);
  }
  return {
    kind: 'shadow',
    rules,
    startedAt,
    cut: startCut(rules.block, MIN_BLOCK_ROWS, startedAt),
    scale: NO_SCALE,
    blocks: [],
    better: NO_BETS,
    tooSmall: NO_BETS,
    worse: NO_BETS,
    decided: null,
  };
}

/**
 * Takes rows in; the given state is not changed. Rows come by rising block of time (inside a block in any order); the
 * result does not depend on how they are cut into calls. A row of a block that was closed already is counted and left out;
 * so is all that comes after the decision.
 *
 * @param completeTo every pair below this event time has been handed in: blocks that end by then are closed and judged.
 */
export function observeShadow(state: ShadowState, rows: PairedRows, completeTo: number): ShadowState {
  const { times, labels, champion, challenger } = rows;
  if (new Set([times, labels, champion, challenger].map(({ length }) => length)).size > 1) {
    throw new RangeError('Every row needs a time, a label and two scores.');
  }
  const cut = copyCut(state.cut);
  let next: ShadowState = { ...state, cut };
  const close = (block: { readonly sums: readonly number[]; readonly rows: number }, end: number) => {
    next = judged(next, (block.sums[0] ?? 0) * NANO, (block.sums[1] ?? 0) * NANO, block.rows, end);
  };
  for (let i = 0; i < times.length && next.decided === null; i++) {
    const block = blockOf(cut, times[i] as number, 2, close);
    if (block === null || next.decided !== null) continue;
    const label = labels[i] as number;
    const gain = lossNano(champion[i] as number, label) - lossNano(challenger[i] as number, label);
    block.sums[0] = (block.sums[0] as number) + gain;
    block.sums[1] = (block.sums[1] as number) + Math.round(gain * gain * NANO);
    block.rows++;
  }
  if (next.decided === null) settle(cut, completeTo, close);
  const limit = state.startedAt + state.rules.maxDuration;
  if (next.decided === null && completeTo >= limit)
    next = { ...next, decided: { code: 'time_limit', at: limit } };
  return next.decided === null ? next : { ...next, cut: { ...cut, open: null } };
}

/** @param gain sum over the block, nats; @param squares sum of squares, nats^2. */
function judged(state: ShadowState, gain: number, squares: number, rows: number, end: number): ShadowState {
  const { rules, startedAt } = state;
  const limit = startedAt + rules.maxDuration;
  if (state.decided !== null) return state;
  if (end > limit) return { ...state, decided: { code: 'time_limit', at: limit } };
  const scale = scaleOf(state.scale);
  const next = {
    ...state,
    scale: widen(state.scale, gain, squares),
    blocks: [...state.blocks, { rows, sum: gain, squares }],
    better: wager(state.better, gain, scale),
    tooSmall: wager(state.tooSmall, rules.minGain * rows - gain, scale),
    worse: wager(state.worse, 0 - gain, scale),
  };
  const bar = -Math.log(rules.alpha);
  const code: ShadowCode | null =
    next.worse.best >= bar
      ? 'worse'
      : next.tooSmall.best >= bar
        ? 'too_small'
        : next.better.best >= bar
          ? 'better'
          : null;
  return code === null ? next : { ...next, decided: { code, at: end } };
}

export function shadowVerdict(state: ShadowState): ShadowVerdict {
  const { rules, blocks, decided } = state;
  const code = decided?.code ?? 'watching';
  const gain = meanBounds(blocks, rules.alpha);
  const evidence = {
    better: evidenceOf(state.better),
    tooSmall: evidenceOf(state.tooSmall),
    worse: evidenceOf(state.worse),
  };
  return {
    decision: code === 'watching' ? 'watch' : code === 'better' ? 'promote' : 'refuse',
    code,
    sentence: sentenceOf(code, rules, blocks, gain, evidence.better),
    rows: rowsOf(blocks),
    blocks: blocks.length,
    gain,
    evidence,
    decidedAt: decided?.at ?? null,
  };
}

const rowsOf = (blocks: readonly BlockSums[]): number => blocks.reduce((sum, { rows }) => sum + rows, 0);

function sentenceOf(
  code: ShadowCode,
  rules: ShadowRules,
  blocks: readonly BlockSums[],
  gain: Estimate,
  better: number,
): string {
  const seen = `${many(rowsOf(blocks))} requests in ${blocks.length} block${blocks.length === 1 ? '' : 's'} of ${span(rules.block)}`;
  switch (code) {
    case 'better':
      return `Promote: over ${seen} the challenger's log loss is lower by ${interval(gain)}; one that is no better would get here in at most ${percent(rules.alpha)} of shadows.`;
    case 'worse':
      return `Refuse: over ${seen} the challenger's log loss is higher by ${interval(opposite(gain))}.`;
    case 'too_small':
      return `Refuse: over ${seen} the challenger gains ${interval(gain)}, less than the ${figure(rules.minGain)} that a promotion is worth.`;
    case 'time_limit':
      return blocks.length === 0
        ? `Refuse: in ${span(rules.maxDuration)} no block of requests with labels came together, so nothing was shown; the champion stays.`
        : `Refuse: no difference was shown in ${span(rules.maxDuration)}: over ${seen} the challenger gains ${interval(gain)}; the champion stays.`;
    case 'watching':
      return blocks.length === 0
        ? 'Keep watching: no complete block yet.'
        : `Keep watching: over ${seen} the challenger gains ${interval(gain)}; the evidence for it reached ${better.toFixed(1)} of ${many(1 / rules.alpha)}.`;
  }
}
