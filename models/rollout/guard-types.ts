import type { Rollout } from '../../schemas/rollout.ts';
import type { Estimate } from '../quality/types.ts';
import type { Bets, Scale } from './betting.ts';
import type { BlockCut } from './blocks.ts';
import type { BlockSums } from './bounds.ts';

export type GuardRules = Rollout['guard'] & {
  /** Of the shadow, ms of event time; the guard's own are three hours where this is longer. */
  readonly block: number;
  /** Share of requests that the new champion may refuse beyond what the previous one refuses; default .01. */
  readonly maxRefused?: number;
  /** How much farther from the rate the mean score may lie than the previous one's; default .05. */
  readonly maxBias?: number;
};

const GUARD_CODES = ['watching', 'worse', 'refusing', 'badly_calibrated', 'time_limit'] as const;
export type GuardCode = (typeof GUARD_CODES)[number];

export interface GuardVerdict {
  readonly decision: 'watch' | 'rollback' | 'keep';
  readonly code: GuardCode;
  /** For a person: the decision and why. */
  readonly sentence: string;
  /** All, labelled or not. */
  readonly requests: number;
  /** Labelled rows that both scored, in closed blocks. */
  readonly rows: number;
  readonly blocks: number;
  /** Champion's mean log loss - the previous one's, nats a request: above 0 is worse; bounds as in the shadow. */
  readonly loss: Estimate;
  readonly refusedShare: { readonly champion: number | null; readonly previous: number | null };
  /** Mean score - rate of the labels; null without rows. */
  readonly bias: { readonly champion: number | null; readonly previous: number | null };
  /** E-values over four, the largest so far: 1 / alpha rolls back. */
  readonly evidence: { readonly worse: number; readonly refusing: number; readonly badlyCalibrated: number };
  /** Event time, epoch ms; null while watching. */
  readonly decidedAt: number | null;
}

/** Plain data: JSON keeps every bit of it. To be handed back, not read. */
export interface GuardState {
  readonly kind: 'guard';
  readonly rules: Required<GuardRules>;
  readonly startedAt: number;
  readonly cut: BlockCut;
  readonly refusalCut: BlockCut;
  readonly lossScale: Scale;
  readonly biasScale: Scale;
  /** Differences of log loss, oldest first. */
  readonly blocks: readonly BlockSums[];
  /** Labelled rows in them. */
  readonly rows: number;
  readonly biasOfChampion: number;
  readonly biasOfPrevious: number;
  readonly requests: number;
  readonly refusedByChampion: number;
  readonly refusedByPrevious: number;
  readonly worse: Bets;
  readonly refusing: Bets;
  readonly above: Bets;
  readonly below: Bets;
  readonly decided: { readonly code: GuardCode; readonly at: number } | null;
}
