import type { Consumer, Kafka } from '../../infrastructure/kafka/port.ts';
import type { Clock } from '../../schemas/clock.ts';
import type { Project } from '../../schemas/project.ts';
import type { Local } from '../local/local.ts';
import type { Checkpoint } from '../runtime/checkpoint.ts';
import type { Codecs } from '../runtime/codecs.ts';
import type { Guards } from '../runtime/guards.ts';
import type { RecordLimits } from '../runtime/record-limits.ts';
import type { Telemetry } from '../runtime/telemetry.ts';
import type { Waits } from '../runtime/waits.ts';
import type { Announcer } from './announcer.ts';
import type { Neighbours } from './neighbours.ts';
import type { Pause, PauseDeps } from './pause.ts';
import type { RawLogs } from './raw-logs.ts';
import type { RawPartition } from './raw-partition.ts';
import type { RejectCaps } from './reject-cap.ts';

/** What the steps of ingest share while the loop runs, from joining the group until leaving it. */
export interface IngestContext {
  /** With the partitions that its topics have now. */
  readonly project: Project;
  readonly declared: Project;
  readonly kafka: Pick<Kafka, 'admin' | 'producer'>;
  readonly store: PauseDeps['store'];
  readonly codecs: Codecs;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly guards: Guards;
  readonly signal: AbortSignal;
  readonly consumer: Consumer;
  /** The same consumer, and what it knows of the raw topics. */
  readonly rawLogs: RawLogs;
  /** Raw topics that were not there when the loop began. */
  readonly missing: readonly string[];
  readonly checkpoint: Checkpoint;
  readonly announcer: Announcer;
  readonly neighbours: Neighbours;
  readonly waits: Waits;
  /** Scores where it ingests; null where no model is local. */
  readonly local: Local | null;
  /** How large a record the topics that ingest writes to take. */
  readonly limits: RecordLimits;
  /** What was refused lately. */
  readonly caps: RejectCaps;
  /** Sources that are paused, as of the last look; another map after each. */
  paused: ReadonlyMap<string, Pause>;
  /** Partitions that this process owns, by `topic:partition`; another map after each assignment. */
  owned: ReadonlyMap<string, RawPartition>;
  /** The newest append time that the broker stamped on anything sent from here, epoch ms. */
  brokerTime: number;
  /** When that was learnt, by this process' clock. */
  brokerTimeAt: number;
  /** When other processes' partitions were last looked at for alignment, by this process' clock. */
  lookedBesideAt: number;
  /** Begins partitions anew from what the store has: somebody else set it. */
  restart(partitions: readonly RawPartition[]): Promise<void>;
}
