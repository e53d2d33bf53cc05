import type { Rollout } from '../../schemas/rollout.ts';
import type { Estimate } from '../quality/types.ts';

/** Requests after a promotion, scored by the new champion and by the one before it. */
export interface GuardRows {
  /** Request times, epoch ms. */
  readonly times: Float64Array;
  /** NaN: refused or missing. */
  readonly champion: Float64Array;
  readonly previous: Float64Array;
  /** 0 or 1; 255: no label (yet, or ever). */
  readonly labels: Uint8Array;
}

export const NO_LABEL = 255;

export type GuardRules = Rollout['guard'] & {
  /** ms of event time, as of the shadow. */
  readonly block: number;
  /** Share of requests that the new champion may refuse beyond what the previous one refuses; default .01. */
  readonly maxRefused?: number;
  /** How far mean score and rate may lie apart; default .05. */
  readonly maxBias?: number;
};

export const GUARD_CODES = ['watching', 'worse', 'refusing', 'badly_calibrated', 'time_limit'] as const;
export type GuardCode = (typeof GUARD_CODES)[number];

export interface GuardVerdict {
  readonly decision: 'watch' | 'rollback' | 'keep';
  readonly code: GuardCode;
  /** For a person: the decision and why. */
  readonly sentence: string;
  readonly requests: number;
  /** Labelled rows that both scored. */
  readonly rows: number;
  readonly blocks: number;
  /** Champion's mean log loss - the previous one's, nats a request: above 0 is worse; holds at every look at once. */
  readonly loss: Estimate;
  readonly refusedShare: { readonly champion: number | null; readonly previous: number | null };
  /** E-values, the largest so far. */
  readonly evidence: { readonly worse: number; readonly refusing: number; readonly badlyCalibrated: number };
  readonly decidedAt: number | null;
}

/** Plain data: JSON keeps every bit of it. Treat as opaque. */
export interface GuardState {
  readonly kind: 'guard';
}

/** @param startedAt event time of the promotion, epoch ms. */
export function startGuard(_rules: GuardRules, _startedAt: number): GuardState {
  throw new Error('Not written yet.');
}

/** As `observeShadow`: incremental, the same bits however the rows are cut. */
export function observeGuard(_state: GuardState, _rows: GuardRows, _completeTo: number): GuardState {
  throw new Error('Not written yet.');
}

export function guardVerdict(_state: GuardState): GuardVerdict {
  throw new Error('Not written yet.');
}
