import type { KafkaRecord } from '../../infrastructure/kafka/port.ts';
import { type Refusal, type Segment, workSegment } from '../../processors/segment.ts';
import type { Source } from '../../schemas/project.ts';
import type { Rejected } from '../../schemas/refusal.ts';
import type { RawPartition } from './raw-partition.ts';

/** A stretch of a partition, worked, and how many of its queued records that took. */
export interface Worked {
  readonly segment: Segment<KafkaRecord>;
  readonly taken: number;
}

/** Late events and repeats are the ways of the world; these say that a producer and the declarations do not agree. */
const counts = ({ stage }: Rejected) => stage === 'decode' || stage === 'validate';

/** What this process refused lately, by source, as far as `rejects` of the source counts it. */
export class RejectCaps {
  readonly #refused = new Map<string, Array<{ readonly at: number; readonly records: number }>>();

  /** How many more may be refused. `now`: wall time, epoch ms. */
  left({ name, rejects }: Source, now: number): number {
    if (rejects === null) return Number.POSITIVE_INFINITY;
    const lately = (this.#refused.get(name) ?? []).filter(({ at }) => at > now - rejects.within);
    this.#refused.set(name, lately);
    return rejects.atMost - lately.reduce((sum, { records }) => sum + records, 0);
  }

  add({ name, rejects }: Source, records: number, now: number): void {
    if (rejects === null) return;
    if (records > 0) this.#refused.set(name, [...(this.#refused.get(name) ?? []), { at: now, records }]);
  }

  /** Begins to count anew. */
  clear(source: string): void {
    this.#refused.delete(source);
  }
}

/** A stretch of a partition, worked up to the first record that may not be refused any more, and that record. */
export interface CappedWork {
  readonly worked: Worked | null;
  readonly over: Refusal<KafkaRecord> | null;
}

/** Works the first `count` queued records of a partition, of which `left` may be refused. */
export function workCapped(one: RawPartition, count: number, left: number): CappedWork {
  const work = (records: number): Worked => {
    // What was worked and not sent is worked again.
    one.memory?.drop();
    return workSegment(one.plan, one.progress, one.queue.first(records), one.memory);
  };
  const worked = work(count);
  const over = worked.segment.refused.filter(({ rejected }) => counts(rejected))[left];
  if (over === undefined) return { worked, over: null };
  const before = one.queue.first(count).findIndex(({ offset }) => offset === over.raw.offset);
  return { worked: before > 0 ? work(before) : null, over };
}

/** How many records of a stretch count. */
export function rejectsIn({ segment }: Worked): number {
  return segment.refused.filter(({ rejected }) => counts(rejected)).length;
}
