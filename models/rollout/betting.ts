/**
 * Evidence that may be looked at as often as one likes: the capital of a gambler who bets against a hypothesis. While it
 * is true no bet has an expected gain, so the chance that the capital ever reaches 1 / alpha times its start is at most
 * alpha, however long one plays and whenever one looks. Ville (1939); Ramdas and others, "Game-theoretic statistics and
 * safe anytime-valid inference" (2023); betting on bounded means: Waudby-Smith and Ramdas, JRSS B 86 (2024).
 *
 * Each observation x is the difference of a whole block in units of a scale that was known before the block began. Some
 * gamblers stake the fractions below, each from the first block to the last; the evidence is what they have together, so
 * nothing has to be tuned to the size of the effect. Most of the money is with the bold, since blocks are few.
 *
 * What the claim rests on:
 * - Given all blocks before it, the mean of a block's difference is at most 0 under the hypothesis. Requests of the same
 *   hours err together (weather, a holiday): inside a block this does no harm, between blocks it would. So a block should
 *   be as long as what makes requests err together lasts. On real flights that is a day: differences of two versions,
 *   summed by day, vary 6 to 29 times as much as requests that err alone would, and 1.2 to 3 times as much as hours that
 *   do; the sums of days that follow each other are uncorrelated. With blocks of an hour up to 42 % of promotions tried on
 *   versions that are equal on average succeed, with days at most 4 % (tests/models/rollout/flights.test.ts).
 * - Stakes are lost or won up to .9 of the capital, no further. For blocks within 1.3 scales that changes nothing; beyond,
 *   the claim needs losses of that size to be no more frequent than gains. A version that wins a little on nearly all days
 *   and loses much on rare ones can be promoted before the first such day: what guards against it is the guard.
 * - The scale may be anything known before the block: a wrong one costs power, never the error.
 */
const FRACTIONS = [0.7, 0.35, 0.175, 0.0875, 0.04375] as const;
const SHARES = [0.3, 0.25, 0.2, 0.15, 0.1] as const;
const MOST = 0.9;

/** Plain data. */
export interface Bets {
  /** Logarithm of each gambler's capital; all together begin with 1. */
  readonly logs: readonly number[];
  /** Largest evidence so far, log. */
  readonly best: number;
}

export const NO_BETS: Bets = { logs: SHARES.map(Math.log), best: 0 };

/** @param x the block's difference over its scale; its mean is at most 0 under the hypothesis. */
export function bet(bets: Bets, x: number): Bets {
  const logs = bets.logs.map(
    (log, at) => log + Math.log1p(Math.max(-MOST, Math.min(MOST, (FRACTIONS[at] ?? 0) * x))),
  );
  return { logs, best: Math.max(bets.best, logSum(logs)) };
}

/** For x that never lies below -1, whatever its hypothesis: the boldest gambler then stakes all that may be staked. */
export const WHOLE_STAKE = MOST / FRACTIONS[0];

/** Logarithm of the sum of exp(logs). */
function logSum(logs: readonly number[]): number {
  const most = Math.max(...logs);
  let sum = 0;
  for (const log of logs) sum += Math.exp(log - most);
  return most + Math.log(sum);
}

/** Largest e-value so far; kept a finite number, for a person and for JSON. */
export function evidenceOf(bets: Bets): number {
  return Math.exp(Math.min(700, bets.best));
}

/** What the next block's difference is measured in: the root mean square of those before. Plain data. */
export interface Scale {
  readonly blocks: number;
  /** Sum over blocks of (sum of differences)^2. */
  readonly between: number;
  /** Sum over all requests of difference^2: what `between` would be if requests erred alone. */
  readonly within: number;
}

export const NO_SCALE: Scale = { blocks: 0, between: 0, within: 0 };

export function widen(scale: Scale, sum: number, squares: number): Scale {
  return {
    blocks: scale.blocks + 1,
    between: scale.between + sum * sum,
    within: scale.within + squares,
  };
}

/** 0 where nothing has differed yet: then there is nothing to bet in. */
export function scaleOf({ blocks, between, within }: Scale): number {
  return blocks === 0 ? 0 : Math.sqrt(Math.max(between, within) / blocks);
}

/** Bets on a block's sum of differences, in units of the scale that was known before it. */
export function wager(bets: Bets, sum: number, scale: number): Bets {
  return scale > 0 ? bet(bets, sum / scale) : bets;
}
