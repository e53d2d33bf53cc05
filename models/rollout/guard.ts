/**
 * Watches a new champion against the one before it, which goes on in shadow, and rolls back by itself. Four bets, each
 * against a thing that is promised (betting.ts): the new champion's log loss is not above the previous one's by more than
 * `tolerance`; it does not refuse more requests than the previous one by a share of more than `maxRefused`; and its mean
 * score lies neither above nor below the rate by more than `maxBias` beyond where the previous one's lies (what both get
 * wrong, a storm or a new timetable, no rollback would mend). The evidence of each counts a quarter, so that all
 * four together roll a good champion back with a chance of at most `alpha`, however often one looks. After `duration` the
 * champion is kept and the previous one may retire.
 *
 * Its blocks are no longer than three hours, even where the shadow's are days: a guard must be quick, and a block can raise
 * the evidence by no more than two thirds. What hours that err together add is borne by the tolerance and the quarter: on
 * real flights equal versions are rolled back in less than 1 % of weeks, and one that is worse by .02 log loss after two
 * days (tests/models/rollout/flights.test.ts).
 */
import { bet, evidenceOf, NO_BETS, NO_SCALE, scaleOf, WHOLE_STAKE, wager, widen } from './betting.ts';
import { blockOf, copyCut, MIN_BLOCK_ROWS, settle, startCut } from './blocks.ts';
import { meanBounds } from './bounds.ts';
import { guardSentence } from './guard-sentence.ts';
import type { GuardCode, GuardRules, GuardState, GuardVerdict } from './guard-types.ts';
import { lossNano, NANO } from './loss.ts';

/** Requests after a promotion, scored by the new champion and by the one before it. */
export interface GuardRows {
  /** Request times, epoch ms. */
  readonly times: Float64Array;
  /** NaN: refused or missing. */
  readonly champion: Float64Array;
  readonly previous: Float64Array;
  /** 0 or 1; NO_LABEL where none came. */
  readonly labels: Uint8Array;
}

export const NO_LABEL = 255;

const LONGEST_BLOCK_MS = 10_800_000;
/** Refusals need no long block: a version that answers nothing is found in some ten of these. */
const REFUSAL_BLOCK_MS = 600_000;
const REFUSAL_MIN_ROWS = 50;
const PROMISES = 4;

/** @param startedAt event time of the promotion, epoch ms; earlier rows are left out. */
export function startGuard(rules: GuardRules, startedAt: number): GuardState {
  if (!(rules.alpha > 0 && rules.alpha < 1)) {
    throw new RangeError(`The chance of a wrong rollback (alpha) lies between 0 and 1, not ${rules.alpha}.`);
  }
  const block = Math.min(rules.block, LONGEST_BLOCK_MS);
  return {
    kind: 'guard',
    rules: { maxRefused: 0.01, maxBias: 0.05, ...rules, block },
    startedAt,
    cut: startCut(block, MIN_BLOCK_ROWS, startedAt),
    refusalCut: startCut(REFUSAL_BLOCK_MS, REFUSAL_MIN_ROWS, startedAt),
    lossScale: NO_SCALE,
    biasScale: NO_SCALE,
    blocks: [],
    rows: 0,
    biasOfChampion: 0,
    biasOfPrevious: 0,
    requests: 0,
    refusedByChampion: 0,
    refusedByPrevious: 0,
    worse: NO_BETS,
    refusing: NO_BETS,
    above: NO_BETS,
    below: NO_BETS,
    decided: null,
  };
}

/**
 * Takes rows in; the given state is not changed. Rows come by rising time; the result does not depend on how they are cut
 * into calls. A request is handed in once, when its label has come or will not come any more.
 */
export function observeGuard(state: GuardState, rows: GuardRows, completeTo: number): GuardState {
  const { times, labels, champion, previous } = rows;
  if (new Set([times, labels, champion, previous].map(({ length }) => length)).size > 1) {
    throw new RangeError('Every row needs a time, two scores (NaN: refused) and a label (255: none).');
  }
  const cut = copyCut(state.cut);
  const refusalCut = copyCut(state.refusalCut);
  let next: GuardState = { ...state, cut, refusalCut };
  const limit = state.startedAt + state.rules.duration;
  const unless = (judge: (state: GuardState, block: Closed, end: number) => GuardState) => {
    return (block: Closed, end: number) => {
      if (next.decided !== null) return;
      next = end > limit ? { ...next, decided: { code: 'time_limit', at: limit } } : judge(next, block, end);
    };
  };
  const closeLoss = unless(judgeLoss);
  const closeRefusals = unless(judgeRefusals);
  /** In the order in which the blocks end, whoever asks and when: the first to decide must be the same. */
  const settleBoth = (time: number) => {
    const lossFirst = (cut.open?.cell ?? 0) + cut.blockMs < (refusalCut.open?.cell ?? 0) + REFUSAL_BLOCK_MS;
    if (lossFirst) settle(cut, time, closeLoss);
    settle(refusalCut, time, closeRefusals);
    if (!lossFirst) settle(cut, time, closeLoss);
  };
  for (let i = 0; i < times.length && next.decided === null; i++) {
    const time = times[i] as number;
    settleBoth(time);
    if (next.decided !== null) break;
    const [score, before, label] = [champion[i] as number, previous[i] as number, labels[i] as number];
    const refusals = blockOf(refusalCut, time, 2, closeRefusals);
    if (refusals !== null) {
      refusals.rows++;
      add(refusals.sums, 0, Number.isNaN(score) ? 1 : 0);
      add(refusals.sums, 1, Number.isNaN(before) ? 1 : 0);
    }
    if (label === NO_LABEL || Number.isNaN(score) || Number.isNaN(before)) continue;
    const block = blockOf(cut, time, 5, closeLoss);
    if (block === null) continue;
    block.rows++;
    const loss = lossNano(score, label) - lossNano(before, label);
    const bias = Math.round((score - label) / NANO);
    add(block.sums, 0, loss);
    add(block.sums, 1, Math.round(loss * loss * NANO));
    add(block.sums, 2, bias);
    add(block.sums, 3, Math.round(bias * bias * NANO));
    add(block.sums, 4, Math.round((before - label) / NANO));
  }
  settleBoth(completeTo);
  if (next.decided === null && completeTo >= limit)
    next = { ...next, decided: { code: 'time_limit', at: limit } };
  return next.decided === null
    ? next
    : { ...next, cut: { ...cut, open: null }, refusalCut: { ...refusalCut, open: null } };
}

type Closed = { readonly sums: readonly number[]; readonly rows: number };

function add(sums: number[], at: number, value: number): void {
  sums[at] = (sums[at] as number) + value;
}

function judgeLoss(state: GuardState, { sums, rows }: Closed, end: number): GuardState {
  const [loss = 0, lossSquares = 0, bias = 0, biasSquares = 0, before = 0] = sums.map((sum) => sum * NANO);
  const { tolerance, maxBias } = state.rules;
  const lossScale = scaleOf(state.lossScale);
  const biasScale = scaleOf(state.biasScale);
  return decide(
    {
      ...state,
      lossScale: widen(state.lossScale, loss, lossSquares),
      biasScale: widen(state.biasScale, bias, biasSquares),
      blocks: [...state.blocks, { rows, sum: loss, squares: lossSquares }],
      rows: state.rows + rows,
      biasOfChampion: state.biasOfChampion + bias,
      biasOfPrevious: state.biasOfPrevious + before,
      worse: wager(state.worse, loss - tolerance * rows, lossScale),
      above: wager(state.above, bias - Math.max(0, before) - maxBias * rows, biasScale),
      below: wager(state.below, 0 - bias - Math.max(0, 0 - before) - maxBias * rows, biasScale),
    },
    end,
  );
}

/** Shares are bounded, so the scale is known: no block is needed to measure it, and the claim is exact. */
function judgeRefusals(state: GuardState, { sums, rows }: Closed, end: number): GuardState {
  const [byChampion = 0, byPrevious = 0] = sums;
  const excess = (byChampion - byPrevious) / rows - state.rules.maxRefused;
  return decide(
    {
      ...state,
      requests: state.requests + rows,
      refusedByChampion: state.refusedByChampion + byChampion,
      refusedByPrevious: state.refusedByPrevious + byPrevious,
      refusing: bet(state.refusing, (WHOLE_STAKE * excess) / (1 + state.rules.maxRefused)),
    },
    end,
  );
}

function decide(state: GuardState, at: number): GuardState {
  const bar = Math.log(PROMISES / state.rules.alpha);
  const code: GuardCode | null =
    state.worse.best >= bar
      ? 'worse'
      : state.refusing.best >= bar
        ? 'refusing'
        : Math.max(state.above.best, state.below.best) >= bar
          ? 'badly_calibrated'
          : null;
  return code === null ? state : { ...state, decided: { code, at } };
}

export function guardVerdict(state: GuardState): GuardVerdict {
  const { rules, blocks, rows, requests, decided } = state;
  const code = decided?.code ?? 'watching';
  const share = (refused: number): number | null => (requests === 0 ? null : refused / requests);
  const loss = meanBounds(blocks, rules.alpha);
  const mean = (sum: number): number | null => (rows === 0 ? null : sum / rows);
  const bias = { champion: mean(state.biasOfChampion), previous: mean(state.biasOfPrevious) };
  const refusedShare = {
    champion: share(state.refusedByChampion),
    previous: share(state.refusedByPrevious),
  };
  return {
    decision: code === 'watching' ? 'watch' : code === 'time_limit' ? 'keep' : 'rollback',
    code,
    sentence: guardSentence(code, state, loss, bias, refusedShare),
    requests,
    rows,
    blocks: blocks.length,
    loss,
    refusedShare,
    bias,
    evidence: {
      worse: evidenceOf(state.worse) / PROMISES,
      refusing: evidenceOf(state.refusing) / PROMISES,
      badlyCalibrated: Math.max(evidenceOf(state.above), evidenceOf(state.below)) / PROMISES,
    },
    decidedAt: decided?.at ?? null,
  };
}
