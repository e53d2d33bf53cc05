import type { Consumer } from '../../infrastructure/kafka/port.ts';
import type { Clock } from '../../schemas/clock.ts';
import type { Model, Project } from '../../schemas/project.ts';
import type { Checkpoint } from '../runtime/checkpoint.ts';
import type { Codecs } from '../runtime/codecs.ts';
import type { Guards } from '../runtime/guards.ts';
import type { RecordLimits } from '../runtime/record-limits.ts';
import type { Telemetry } from '../runtime/telemetry.ts';
import type { Waits } from '../runtime/waits.ts';
import type { Frontiers } from './frontiers.ts';
import type { HoldHints } from './hold-hints.ts';
import type { Models } from './predict.ts';
import type { RequestCodec, RequestQueue } from './requests.ts';
import type { VectorReader } from './vector.ts';

/** What the steps of inference share while the loop runs, from joining the group until leaving it. */
export interface InferenceContext {
  readonly project: Project;
  readonly model: Model;
  /** `inference <model>`. */
  readonly name: string;
  readonly codecs: Codecs;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly guards: Guards;
  readonly models: Models;
  /** How long a replayed request may wait at the gate, ms. */
  readonly replayGateLimitMs: number;
  readonly consumer: Consumer;
  readonly checkpoint: Checkpoint;
  readonly vectors: VectorReader;
  readonly frontiers: Frontiers;
  readonly hints: HoldHints;
  readonly waits: Waits;
  /** How large a record the topics that inference writes to take. */
  readonly limits: RecordLimits;
  readonly requestCodec: RequestCodec;
  /** By partition of the validated topic; another map after each assignment. */
  queues: ReadonlyMap<number, RequestQueue>;
  /** Resolves when what was sent last is acknowledged. */
  sending: Promise<void>;
  /** Why the last send failed; seen at the next turn of the loop, whether anything more is to be sent or not. */
  failure: unknown;
  /** A replay's clock may have been passed on, here or before the loop began, and no request answered since. */
  clockWent: boolean;
  /** Backlog waits for its features: since when without finding any, and when that was last seen; this process' clock. */
  backlogWait: { readonly since: number; readonly seenAt: number } | null;
  /** Versions whose layout does not fit, told once. */
  readonly mismatched: Set<number>;
}
