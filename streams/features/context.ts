import type { Consumer, Kafka } from '../../infrastructure/kafka/port.ts';
import type { OnlineStore } from '../../infrastructure/redis/port.ts';
import type { Clock } from '../../schemas/clock.ts';
import type { Project } from '../../schemas/project.ts';
import type { Checkpoint } from '../runtime/checkpoint.ts';
import type { Codecs } from '../runtime/codecs.ts';
import type { Guards } from '../runtime/guards.ts';
import type { Telemetry } from '../runtime/telemetry.ts';
import type { Waits } from '../runtime/waits.ts';
import type { Readers } from './readers.ts';
import type { OwnedView } from './view-partition.ts';

/** What the steps of features share while the loop runs, from joining the group until leaving it. */
export interface FeaturesContext {
  readonly project: Project;
  readonly kafka: Kafka;
  readonly store: OnlineStore;
  readonly codecs: Codecs;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly guards: Guards;
  readonly consumer: Consumer;
  readonly checkpoint: Checkpoint;
  readonly readers: Readers;
  readonly waits: Waits;
  /** View partitions that this process owns, by `topic:partition`; another map after each assignment. */
  owned: ReadonlyMap<string, OwnedView>;
}
