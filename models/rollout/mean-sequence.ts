import { estimate } from '../quality/interval.ts';
import type { Estimate } from '../quality/types.ts';

/**
 * The mean difference of a request, with an interval that holds at every look at once: the normal mixture of Robbins with
 * the variance between blocks, Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and
 * asymptotic confidence sequences" (2024). Good from some ten blocks on; it informs, the bets decide. Plain data.
 */
export interface MeanSequence {
  readonly blocks: number;
  readonly rows: number;
  /** Sums over blocks, with s the block's sum and n its rows. */
  readonly s: number;
  readonly ss: number;
  readonly sn: number;
  readonly nn: number;
}

export const NO_MEAN: MeanSequence = { blocks: 0, rows: 0, s: 0, ss: 0, sn: 0, nn: 0 };

/** Number of blocks at which the interval is tightest for its kind. */
const TIGHTEST = 10;

export function addBlock(sequence: MeanSequence, sum: number, rows: number): MeanSequence {
  return {
    blocks: sequence.blocks + 1,
    rows: sequence.rows + rows,
    s: sequence.s + sum,
    ss: sequence.ss + sum * sum,
    sn: sequence.sn + sum * rows,
    nn: sequence.nn + rows * rows,
  };
}

export function meanEstimate({ blocks, rows, s, ss, sn, nn }: MeanSequence, alpha: number): Estimate {
  if (rows === 0) return { value: null, low: null, high: null, reason: 'no_rows' };
  const mean = s / rows;
  if (blocks < 2) return estimate(mean, null, null);
  // Of the blocks' sums about what their rows would give at the mean (a ratio estimate).
  const variance = Math.max(0, ss - 2 * mean * sn + mean * mean * nn) / (blocks - 1);
  const log = -2 * Math.log(alpha);
  const mix = (log + Math.log(log + 1)) / TIGHTEST;
  const t = blocks * mix + 1;
  const width = Math.sqrt(((2 * t) / (blocks * blocks * mix)) * Math.log(Math.sqrt(t) / alpha) * variance);
  const perRow = (width * blocks) / rows;
  return estimate(mean, mean - perRow, mean + perRow);
}
