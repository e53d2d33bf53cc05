import type { ModelState } from './records/model-version.ts';

/** How a new version of a model comes to score, or does not. */
export interface Rollout {
  /** Offline, on the same rows as the champion. */
  readonly gate: {
    /** The latest part of the data set, which neither model learnt from, ms of event time. */
    readonly testLast: number;
    /** Most that the candidate's mean log loss may lie above the champion's, at the upper end of the interval. */
    readonly maxLoss: number;
    /** Most that it may lie above in any slice, beyond the slice's interval. */
    readonly sliceTolerance: number;
    readonly minRows: number;
    readonly maxCalibrationError: number;
  };
  /** On the live topic, beside the champion. */
  readonly shadow: {
    /** Chance of promoting a version that is no better. */
    readonly alpha: number;
    /** Gain in mean log loss below which a promotion is not worth it. */
    readonly minGain: number;
    /** Requests of one stretch of this length count as one observation, ms of event time. */
    readonly block: number;
    /** Longest shadow, ms of event time; then the champion stays. */
    readonly maxDuration: number;
  };
  /** After a promotion. */
  readonly guard: {
    /** Loss in mean log loss against the version before that is borne. */
    readonly tolerance: number;
    readonly alpha: number;
    /** How long the version before goes on in shadow, ms of event time. */
    readonly duration: number;
  };
}

/**
 * What a version may become; `new` is one that the registry does not know. A champion becomes a challenger (its successor's
 * guard) or retired by its successor alone, in one change with it. A retired version comes back by a rollback alone.
 */
export const TRANSITIONS = {
  new: ['candidate', 'challenger', 'champion'],
  candidate: ['challenger', 'champion', 'retired'],
  challenger: ['champion', 'retired'],
  champion: ['challenger', 'retired'],
  retired: ['champion'],
} as const satisfies Record<ModelState | 'new', readonly ModelState[]>;
