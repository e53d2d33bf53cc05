import { cappedTime, type EventRecord, type ValidatedEvent } from '../schemas/event.ts';
import type { Source } from '../schemas/project.ts';
import type { Contribution } from '../schemas/records/block.ts';
import type { Rejected } from '../schemas/refusal.ts';
import type { View } from '../schemas/view.ts';
import { contributionOf } from './contribute.ts';
import type { IdMemory } from './id-memory.ts';
import {
  afterArrival,
  afterClock,
  afterEvent,
  type ClockMark,
  checkClock,
  checkTime,
  type Progress,
} from './lateness.ts';
import { partitionOf } from './partition.ts';
import { arrivalOf, refuseRepeat } from './repeats.ts';
import type { Validator } from './validate.ts';

/** A raw record with its value decoded: exactly one of the three is not null. */
export interface DecodedRecord<Raw> {
  readonly raw: Raw;
  readonly offset: number;
  readonly appendTime: number;
  /** When the event first arrived at Kafka, epoch ms; null for history that does not say. */
  readonly arrivedAt: number | null;
  readonly event: EventRecord | null;
  readonly clock: ClockMark | null;
  readonly rejected: Rejected | null;
}

/** A record that was not taken, with what is known of its event. */
export interface Refusal<Raw> {
  readonly raw: Raw;
  readonly rejected: Rejected;
  readonly event: EventRecord | null;
  /** When it first arrived at Kafka, epoch ms; null for history that does not say. */
  readonly arrivedAt: number | null;
}

/** What one view gets from a segment, with the partition of the view each contribution belongs to. */
export interface Routed {
  readonly view: View;
  readonly contributions: ReadonlyArray<Contribution>;
  readonly partitions: readonly number[];
  /** Progress of the source partition right after each contribution's event. */
  readonly after: readonly Progress[];
}

/**
 * A stretch of one source partition, worked: at most one clock, and that the last record. What it contributes
 * is a pure function of the partition's log, however the log was cut into batches.
 */
export interface Segment<Raw> {
  readonly from: number;
  /** Last offset covered. */
  readonly to: number;
  readonly accepted: readonly ValidatedEvent[];
  readonly refused: ReadonlyArray<Refusal<Raw>>;
  readonly routed: readonly Routed[];
  readonly clock: (ClockMark & { readonly offset: number }) | null;
  readonly progress: Progress;
}

export interface SegmentPlan {
  readonly source: Source;
  readonly views: readonly View[];
  readonly validate: Validator;
}

/**
 * Works the records of one source partition up to and including the first clock. `records` may not be empty. `memory` has the ids that
 * the partition accepted before; those of the segment are added, provisionally. Null where the source does not deduplicate.
 */
export function workSegment<Raw>(
  plan: SegmentPlan,
  start: Progress,
  records: ReadonlyArray<DecodedRecord<Raw>>,
  memory: IdMemory | null = null,
): { readonly segment: Segment<Raw>; readonly taken: number } {
  const accepted: ValidatedEvent[] = [];
  const refused: Refusal<Raw>[] = [];
  const routed = plan.views.map((view) => ({
    view,
    contributions: [] as Contribution[],
    partitions: [] as number[],
    after: [] as Progress[],
  }));
  let progress = start;
  let clock: Segment<Raw>['clock'] = null;
  let taken = 0;
  let to = start.next - 1;
  let appended = start.appendTime;

  for (const record of records) {
    taken += 1;
    to = record.offset;
    appended = record.appendTime;
    const { raw, offset, appendTime, arrivedAt, event } = record;
    if (record.clock !== null) {
      const rejected = checkClock(plan.source, record.clock, appendTime);
      if (rejected !== null) {
        refused.push({ raw, rejected, event: null, arrivedAt });
        continue;
      }
      progress = afterClock(progress, record.clock, appendTime);
      clock = { ...record.clock, offset };
      break;
    }
    const rejected =
      record.rejected ??
      (event === null
        ? null
        : (plan.validate(event) ??
          // Before its time is looked at: a repeat changes nothing, and may well come late.
          (memory === null ? null : refuseRepeat(memory, event, arrivedAt)) ??
          checkTime(plan.source, progress, event, arrivedAt ?? appendTime)));
    if (event !== null && (rejected === null || rejected.code === 'late'))
      progress = afterArrival(progress, plan.source, event.time, appendTime);
    if (event === null || rejected !== null) {
      if (rejected !== null) refused.push({ raw, rejected, event, arrivedAt });
      continue;
    }
    progress = afterEvent(progress, cappedTime(event.time, arrivedAt));
    accepted.push({ event, offset, appendTime, arrivedAt });
    memory?.add(event.id, arrivalOf(event, arrivedAt), offset);
    for (const route of routed) {
      const contribution = contributionOf(route.view, plan.source.name, event, offset);
      if (contribution === null) continue;
      route.contributions.push(contribution);
      route.partitions.push(partitionOf(contribution.entity, route.view.partitions));
      route.after.push(progress);
    }
  }

  const segment = {
    from: start.next,
    to,
    accepted,
    refused,
    routed,
    clock,
    progress: { ...progress, next: to + 1, appendTime: appended },
  };
  return { segment, taken };
}
