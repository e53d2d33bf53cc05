import type { EventRecord } from '../schemas/event.ts';
import type { Source } from '../schemas/project.ts';
import type { Rejected } from '../schemas/refusal.ts';

/** What ingest remembers of a source partition: all that lateness depends on, and who has been told of it. */
export interface Progress {
  /** Next raw offset to read. */
  readonly next: number;
  /** Largest accepted event time or clock so far, epoch ms; null before the first. */
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
}

export const FRESH_PROGRESS: Progress = {
  next: 0,
  runningMax: null,
  byClock: false,
  clockOpen: false,
  fed: {},
};

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

/** Decides `late` and `future_time`: a pure function of the partition's order and the append time. */
export function checkTime(
  source: Source,
  progress: Progress,
  event: EventRecord,
  appendTime: number,
): Rejected | null {
  if (source.maxFuture !== null && event.time > appendTime + source.maxFuture)
    return future(event.time, appendTime, source.maxFuture);
  const watermark = watermarkOf(progress.runningMax, source.outOfOrderness);
  if (watermark !== null && event.time < watermark)
    return {
      stage: 'lateness',
      code: 'late',
      detail: `Event time ${iso(event.time)} is below the partition's watermark ${iso(watermark)} (outOfOrderness ${source.outOfOrderness} ms).`,
    };
  return null;
}

export function afterEvent(progress: Progress, eventTime: number): Progress {
  if (progress.runningMax !== null && eventTime <= progress.runningMax) return progress;
  return { ...progress, runningMax: eventTime, byClock: false };
}

/** A live clock too far ahead of its append time is refused; a replay's is not, since old data never is. */
export function checkClock(source: Source, clock: ClockMark, appendTime: number): Rejected | null {
  const ahead =
    clock.replay === null && source.maxFuture !== null && clock.time > appendTime + source.maxFuture;
  return ahead ? future(clock.time, appendTime, source.maxFuture ?? 0) : null;
}

export function afterClock(progress: Progress, clock: ClockMark): Progress {
  const raises = progress.runningMax === null || clock.time >= progress.runningMax;
  return {
    ...progress,
    runningMax: raises ? clock.time : progress.runningMax,
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

function iso(time: number): string {
  return Number.isFinite(time) && Math.abs(time) <= 8.64e15 ? new Date(time).toISOString() : String(time);
}
