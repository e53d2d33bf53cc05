import type { Rollout } from '../../schemas/rollout.ts';
import type { Estimate } from '../quality/types.ts';

/** Rows that neither model learnt from, scored by both. */
export interface GateRows {
  readonly labels: Uint8Array;
  readonly candidate: Float64Array;
  /** Null: there is no champion yet, and the candidate is held against its own calibration alone. */
  readonly champion: Float64Array | null;
  /** Request times, epoch ms: rows of one UTC day err together, so the bootstrap draws whole days. */
  readonly times?: Float64Array;
  /** By name of the slicing (`origin`): the slice of each row, null for none. */
  readonly slices?: Readonly<Record<string, ReadonlyArray<string | null>>>;
}

export type GateRules = Omit<Rollout['gate'], 'testLast'> & {
  /** Slices with fewer rows are not judged; default 500. */
  readonly sliceMinRows?: number;
  /** Default .95. */
  readonly confidence?: number;
  readonly seed?: number;
};

export const GATE_OBJECTIONS = ['too_few_rows', 'worse', 'worse_in_slice', 'badly_calibrated'] as const;
export type GateObjection = (typeof GATE_OBJECTIONS)[number];

export interface SliceDifference {
  /** `origin=ORD` */
  readonly slice: string;
  readonly rows: number;
  /** Candidate's mean log loss - champion's, nats. */
  readonly difference: Estimate;
}

export interface GateVerdict {
  readonly pass: boolean;
  readonly rows: number;
  readonly candidateLoss: number | null;
  readonly championLoss: number | null;
  /** Candidate's mean log loss - champion's, nats; below 0 the candidate is better. */
  readonly difference: Estimate | null;
  readonly calibrationError: number | null;
  /** Worst first. */
  readonly slices: readonly SliceDifference[];
  readonly objections: ReadonlyArray<{ readonly code: GateObjection; readonly sentence: string }>;
  /** For a person: the verdict and why. */
  readonly sentence: string;
}

export function judgeOffline(_rows: GateRows, _rules: GateRules): GateVerdict {
  throw new Error('Not written yet.');
}
