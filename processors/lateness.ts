import type { EventRecord } from '../schemas/event.ts';
import type { Source } from '../schemas/project.ts';
import type { Rejected } from '../schemas/refusal.ts';
import type { MemoryStart } from './id-memory.ts';

/** What ingest remembers of a source partition: all that lateness depends on, who has been told of it, and whether it is idle. */
export interface Progress {
  /** Next raw offset to read. */
  readonly next: number;
  /** Largest accepted event time (no later than its arrival) or clock so far, epoch ms; null before the first. */
  readonly runningMax: number | null;
  /** Whether a clock record set the running maximum. */
  readonly byClock: boolean;
  /** A replay has begun and not ended on this partition. */
  readonly clockOpen: boolean;
  /**
   * By id of a view: the first offset that its log was told of, with no hole from there to `next`. A view that
   * is not named here (a new version, or one that was left out for a while) begins at `next`.
   */
  readonly fed: Readonly<Record<string, number>>;
  /** Views are told, or will be told soon, to leave this partition out of their frontiers. */
  readonly idle: boolean;
  /** Grows with every owner of the partition, and when it falls idle or wakes. */
  readonly turn: number;
  /** How many events in a row must still arrive within `outOfOrderness` of their time until the partition counts as prompt. */
  readonly tardy: number;
  /** When the broker appended the last raw record before `next`, epoch ms; null before the first. */
  readonly appendTime: number | null;
  /** Event time of the next record, while its broker appended it long ago; null where the partition keeps up. */
  readonly backlogAt: number | null;
  /** Where the ids that the partition remembers begin; null where its source does not deduplicate, and where that is not known. */
  readonly remembered: MemoryStart | null;
  /** Id of the raw topic as the broker made it; null where that was never told. */
  readonly topicId: string | null;
  /** What the offsets of the raw topic are counted on by: 0, or more once it was made again. `next` is a counted one. */
  readonly shift: number;
}

export const FRESH_PROGRESS: Progress = {
  next: 0,
  runningMax: null,
  byClock: false,
  clockOpen: false,
  fed: {},
  idle: false,
  turn: 0,
  tardy: 0,
  appendTime: null,
  backlogAt: null,
  remembered: null,
  topicId: null,
  shift: 0,
};

/** So many events in a row must be prompt before a partition counts as prompt again. */
export const PROMPT_AFTER = 20;

/** The progress of an owner that tells these views and no others. */
export function feeding(progress: Progress, views: readonly string[]): Progress {
  return {
    ...progress,
    fed: Object.fromEntries(views.map((id) => [id, progress.fed[id] ?? progress.next])),
  };
}

/** A clock record: a statement that all that comes later in this partition has a running maximum of at least `time`. */
export interface ClockMark {
  readonly time: number;
  /** Name of the replay, or null for a live producer's clock. */
  readonly replay: string | null;
  readonly kind: 'first' | 'tick' | 'end';
}

export function watermarkOf(runningMax: number | null, outOfOrderness: number): number | null {
  return runningMax === null ? null : runningMax - outOfOrderness;
}

/** Decides `late` and `future_time`: a pure function of the partition's order and the arrival times. */
export function checkTime(
  source: Source,
  progress: Progress,
  event: EventRecord,
  arrivedAt: number,
): Rejected | null {
  if (source.maxFuture !== null && event.time > arrivedAt + source.maxFuture)
    return future(event.time, arrivedAt, source.maxFuture);
  const watermark = watermarkOf(progress.runningMax, source.outOfOrderness);
  if (watermark !== null && event.time < watermark)
    return {
      stage: 'lateness',
      code: 'late',
      detail: `Event time ${iso(event.time)} is below the partition's watermark ${iso(watermark)} (outOfOrderness ${source.outOfOrderness} ms).`,
    };
  return null;
}

/** `time`: the event's, no later than its arrival. */
export function afterEvent(progress: Progress, time: number): Progress {
  if (progress.runningMax !== null && time <= progress.runningMax) return progress;
  return { ...progress, runningMax: time, byClock: false };
}

/** Counts whether an event, accepted or late, came to the broker within `outOfOrderness` of its time. */
export function afterArrival(
  progress: Progress,
  source: Source,
  eventTime: number,
  appendTime: number,
): Progress {
  const prompt = appendTime - eventTime <= source.outOfOrderness;
  const tardy = prompt ? Math.max(0, progress.tardy - 1) : PROMPT_AFTER;
  return tardy === progress.tardy ? progress : { ...progress, tardy };
}

/** Whether the broker's clock may move the partition's watermark on while there is nothing to read. */
export function isPrompt({ tardy, runningMax, clockOpen }: Progress): boolean {
  return tardy === 0 && runningMax !== null && !clockOpen;
}

/**
 * A number above all that the partition's owners used before: it grows with every owner, and whenever the partition falls idle or
 * wakes. The wall clock is part of it, since a store that was rolled back has forgotten the newest.
 */
export function nextTurn({ turn }: Progress, now: number): number {
  return Math.max(turn + 1, now);
}

export function fallenIdle(progress: Progress, now: number): Progress {
  return { ...progress, idle: true, turn: nextTurn(progress, now), backlogAt: null };
}

export function woken(progress: Progress, now: number): Progress {
  return { ...progress, idle: false, turn: nextTurn(progress, now) };
}

/** A live clock too far ahead of its append time is refused; a replay's is not, since old data never is. */
export function checkClock(source: Source, clock: ClockMark, appendTime: number): Rejected | null {
  const ahead =
    clock.replay === null && source.maxFuture !== null && clock.time > appendTime + source.maxFuture;
  return ahead ? future(clock.time, appendTime, source.maxFuture ?? 0) : null;
}

/** A live producer's clock counts no further than the broker's own, like its events. */
export function afterClock(progress: Progress, clock: ClockMark, appendTime: number): Progress {
  const time = clock.replay === null ? Math.min(clock.time, appendTime) : clock.time;
  const raises = progress.runningMax === null || time >= progress.runningMax;
  return {
    ...progress,
    runningMax: raises ? time : progress.runningMax,
    byClock: raises || progress.byClock,
    clockOpen: clock.replay === null ? progress.clockOpen : clock.kind !== 'end',
  };
}

function future(time: number, appendTime: number, maxFuture: number): Rejected {
  return {
    stage: 'lateness',
    code: 'future_time',
    detail: `Time ${iso(time)} is ${time - appendTime} ms ahead of its append time ${iso(appendTime)}; at most ${maxFuture} ms are allowed.`,
  };
}

/** A time for a person, whatever number it is. */
export function iso(time: number): string {
  return Number.isFinite(time) && Math.abs(time) <= 8.64e15 ? new Date(time).toISOString() : String(time);
}
