import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import type { Consumer } from '../../infrastructure/kafka/port.ts';
import type { Clock } from '../../schemas/clock.ts';
import type { Checkpoint } from '../runtime/checkpoint.ts';
import type { Failing } from '../runtime/failing.ts';
import type { Telemetry } from '../runtime/telemetry.ts';
import type { ArchivedPartition, Batch, Limits } from './batch.ts';
import type { Insert, InsertResult } from './insert-store.ts';
import type { ArchiveTable } from './tables.ts';

/** What the steps of the archive share from joining the group until leaving it. */
export interface ArchiveContext {
  readonly prefix: string;
  readonly warehouse: Warehouse;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** What inserts fail with, again and again. */
  readonly failing: Failing;
  readonly signal: AbortSignal;
  readonly consumer: Consumer;
  readonly checkpoint: Checkpoint<Insert, InsertResult>;
  /** By archived topic. */
  readonly tables: ReadonlyMap<string, ArchiveTable>;
  readonly limits: Limits;
  /** Lengths of monitoring's windows, ms: a clock that ends one is stored soon. */
  readonly windows: readonly number[];
  /** Partitions that this process owns, by `topic:partition`; another map after each assignment. */
  owned: ReadonlyMap<string, ArchivedPartition>;
  /** One a table of `owned`. */
  batches: readonly Batch[];
}
