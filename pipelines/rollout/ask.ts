import type { Model } from '../../schemas/project.ts';
import type { Author } from './moves.ts';

/** Which version is asked about, as of which event time, and who asks. */
export interface Ask {
  readonly model: Model;
  /** The archive has passed this event time; nothing later is looked at, epoch ms. */
  readonly upTo: number;
  readonly by: string;
  readonly run?: string | null;
  /** What is decided holds from `upTo` + this, ms of event time; default 0. */
  readonly latency?: number;
}

/** The author of what a test decided. */
export const authorOf = ({ by, run, upTo, latency }: Ask, reason: string, evidence: object): Author => ({
  by,
  reason,
  evidence,
  effectiveFrom: upTo + (latency ?? 0),
  run: run ?? null,
});
