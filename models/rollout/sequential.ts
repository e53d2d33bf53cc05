import type { Rollout } from '../../schemas/rollout.ts';
import type { Estimate } from '../quality/types.ts';

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
  readonly rows: number;
  /** Observations that the test has seen. */
  readonly blocks: number;
  /** Champion's mean log loss - challenger's, nats a request; the interval holds at every look at once. */
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

/** Plain data: JSON keeps every bit of it. Treat as opaque. */
export interface ShadowState {
  readonly kind: 'shadow';
}

/** @param startedAt event time of the first request that the challenger may score, epoch ms. */
export function startShadow(_rules: ShadowRules, _startedAt: number): ShadowState {
  throw new Error('Not written yet.');
}

/**
 * Takes rows in; the given state is not changed. Rows come by rising block of time (inside a block in any order); the
 * result does not depend on how they are cut into calls. A row of a block that was closed already is counted and left out.
 *
 * @param completeTo every pair below this event time has been handed in: blocks that end by then are closed and judged.
 */
export function observeShadow(_state: ShadowState, _rows: PairedRows, _completeTo: number): ShadowState {
  throw new Error('Not written yet.');
}

export function shadowVerdict(_state: ShadowState): ShadowVerdict {
  throw new Error('Not written yet.');
}
