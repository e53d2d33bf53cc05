import type { ArtefactStore } from '../infrastructure/artefacts/port.ts';
import type { Warehouse } from '../infrastructure/clickhouse/port.ts';
import type { Kafka } from '../infrastructure/kafka/port.ts';
import type { JobQueue } from '../infrastructure/queue/port.ts';
import type { OnlineStore } from '../infrastructure/redis/port.ts';
import type { Clock } from '../schemas/clock.ts';
import type { Project } from '../schemas/project.ts';
import type { Models } from '../streams/inference/predict.ts';
import type { Codecs } from '../streams/runtime/codecs.ts';
import type { Declarations } from './declarations.ts';
import type { Outbox } from './outbox.ts';

/** What the endpoints work with: servers, or their twins in memory. */
export interface ApiDeps {
  readonly project: Project;
  /** The definition that was in service before, while a changed view of this one does not have its past yet. */
  readonly before: Project | null;
  readonly kafka: Kafka;
  readonly store: OnlineStore;
  readonly warehouse: Warehouse;
  readonly codecs: Codecs;
  readonly artefacts: Pick<ArtefactStore, 'get'>;
  readonly queue: JobQueue;
  readonly clock: Clock;
  /** What inference would score with, by model. */
  readonly models: ReadonlyMap<string, Models>;
  readonly outbox: Outbox;
  /** The project's files; null where this process does not have them. */
  readonly declarations: Declarations | null;
  /** Told of what fails and is mended by itself. */
  readonly onFailure: (error: Error) => void;
}
