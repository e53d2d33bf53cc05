import type { Kafka } from '../../infrastructure/kafka/port.ts';
import type { OnlineStore } from '../../infrastructure/redis/port.ts';
import type { Clock } from '../../schemas/clock.ts';
import type { Project } from '../../schemas/project.ts';
import type { Codecs } from '../runtime/codecs.ts';
import type { Guards } from '../runtime/guards.ts';
import type { RecordLimits } from '../runtime/record-limits.ts';
import type { Telemetry } from '../runtime/telemetry.ts';

/** What scoring where a request is ingested stands on. */
export interface LocalDeps {
  readonly project: Project;
  readonly kafka: Kafka;
  readonly store: OnlineStore;
  readonly codecs: Codecs;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly guards: Guards;
  readonly limits: RecordLimits;
  /** Versions whose layout does not fit, told once. */
  readonly mismatched: Set<number>;
}
