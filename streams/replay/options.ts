import type { Kafka } from '../../infrastructure/kafka/port.ts';
import type { OnlineStore } from '../../infrastructure/redis/port.ts';
import type { Clock } from '../../schemas/clock.ts';
import type { Project } from '../../schemas/project.ts';
import type { Codecs } from '../runtime/codecs.ts';
import type { ReplayInput } from './items.ts';
import type { LoopLimit } from './ticks.ts';

export interface ReplayDeps {
  readonly project: Project;
  readonly kafka: Kafka;
  readonly store: OnlineStore;
  readonly codecs: Codecs;
  readonly clock: Clock;
}

export interface ReplayOptions {
  /** Names the replay: one that is run again under its name goes on where it stopped. */
  readonly name: string;
  /** Event time per wall time; Infinity = as fast as the answers come. */
  readonly speed: number;
  readonly signal: AbortSignal;
  /**
   * Where the replay ends in event time, epoch ms, though its last event may be earlier: the clocks of all sources go on to there,
   * but not beyond the wall clock. Default: the last event.
   */
  readonly to?: number | null;
  /** Longest wait for a clock to come back, ms of wall time; default without limit. */
  readonly waitLimitMs?: number;
  /** Holds the replay at each tick of event time until it is finished. */
  readonly loop?: LoopLimit;
  readonly onProgress?: (progress: ReplayProgress) => void;
}

/** A replay of several sources. */
export interface ReplayAllOptions extends ReplayOptions {
  readonly inputs: readonly ReplayInput[];
}

export interface ReplayProgress {
  readonly sent: number;
  /** Event time of the last record sent, epoch ms. */
  readonly eventTime: number;
  /** Event time that has come back finished from everywhere. */
  readonly finished: number;
  /** The tick that the replay waits for, event time; null where it does not. */
  readonly tick: number | null;
  /** What the replay has waited for these ten seconds; null where it has not. */
  readonly waitsFor: string | null;
}

export interface ReplayResult {
  /** Records sent, clocks apart. */
  readonly sent: number;
  /** The same by source. */
  readonly sentOf: Readonly<Record<string, number>>;
  /** Records that an earlier run under this name had sent already. */
  readonly skipped: number;
  readonly clocks: number;
  readonly firstTime: number | null;
  readonly lastTime: number | null;
  readonly startedAt: number;
  readonly finishedAt: number;
  /** False where it was stopped before the end. */
  readonly complete: boolean;
}
