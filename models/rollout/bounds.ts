import { estimate } from '../quality/interval.ts';
import type { Estimate } from '../quality/types.ts';
import { type Bets, bet, NO_BETS, NO_SCALE, scaleOf, widen } from './betting.ts';

/** One observation: a block that was closed. Plain data. */
export interface BlockSums {
  readonly rows: number;
  /** Sum of the differences of its requests, nats. */
  readonly sum: number;
  /** Sum of their squares, nats^2. */
  readonly squares: number;
}

/** No request differs by more nats than this (loss.ts clips scores). */
const FARTHEST = 7;

/**
 * The mean difference of a request with bounds that hold at every look at once: each is the value that the bets just
 * refute, so it is wrong with a chance of at most alpha, and bounds and decisions never contradict each other (what is
 * promoted has a lower bound above 0). Null where no value can be refuted yet, which takes some eight blocks at 5 %.
 */
export function meanBounds(blocks: readonly BlockSums[], alpha: number): Estimate {
  let [rows, sum] = [0, 0];
  for (const block of blocks) {
    rows += block.rows;
    sum += block.sum;
  }
  if (rows === 0) return { value: null, low: null, high: null, reason: 'no_rows' };
  const bar = -Math.log(alpha);
  const low = bound(blocks, 1, bar);
  const high = bound(blocks, -1, bar);
  return estimate(sum / rows, low, high === null ? null : 0 - high);
}

/** The largest mean of `sign` times the differences that is refuted as too small. Capital falls as the mean asked for rises. */
function bound(blocks: readonly BlockSums[], sign: 1 | -1, bar: number): number | null {
  const refuted = (mean: number): boolean => {
    let [bets, scale]: [Bets, typeof NO_SCALE] = [NO_BETS, NO_SCALE];
    for (const { rows, sum, squares } of blocks) {
      const unit = scaleOf(scale);
      if (unit > 0) bets = bet(bets, (sign * sum - mean * rows) / unit);
      if (bets.best >= bar) return true;
      scale = widen(scale, sum, squares);
    }
    return false;
  };
  let [below, above] = [-FARTHEST, FARTHEST];
  if (!refuted(below)) return null;
  // 0 itself is asked for, so that a bound lies on the right side of it to the last bit.
  if (refuted(0)) below = 0;
  else above = 0;
  for (let round = 0; round < 40; round++) {
    const middle = (below + above) / 2;
    if (refuted(middle)) below = middle;
    else above = middle;
  }
  return below;
}
