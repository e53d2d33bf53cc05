import type { IdMemory } from '../../processors/id-memory.ts';
import { isPrompt, type Progress, watermarkOf } from '../../processors/lateness.ts';
import type { SegmentPlan } from '../../processors/segment.ts';
import type { Source } from '../../schemas/project.ts';
import type { MillraceError } from '../../schemas/refusal.ts';
import type { View } from '../../schemas/view.ts';
import { BACKLOG_AFTER_MS } from '../runtime/backlog.ts';
import { RecordQueue, timeOf } from './record-queue.ts';
import { SchemaWait } from './schema-wait.ts';

/** A raw partition that this process owns. */
export class RawPartition {
  readonly plan: SegmentPlan;
  readonly topic: string;
  readonly partition: number;
  readonly queue = new RecordQueue();
  progress: Progress;
  /** The ids that it accepted lately, as of `progress`; null where its source does not deduplicate. */
  memory: IdMemory | null = null;
  /** The progress as the online store has it, byte for byte. */
  expected: Uint8Array;
  /** When its last record came to this process, by this process' clock. */
  lastRecordAt: number;
  /** The broker may have more of it than came to this process, as of the last poll. */
  more = true;
  /** Schemas that its next records need and that the registry does not know yet. */
  readonly schemaWait = new SchemaWait();
  /** Why nothing is read of it; null where it is read. */
  stopped: MillraceError | null = null;
  /** Its views have been told that it is idle. */
  toldIdle = false;
  /** Every view partition must hear of it at once: a new owner, or a partition that fell idle. */
  announce = true;
  /** The broker's clock when the partition was last found at its end, less outOfOrderness; null where that never was. */
  settled: number | null = null;
  /** When the broker's clock was last asked for its sake, and when its backlog was last told; this process' clock. */
  askedClockAt = Number.NEGATIVE_INFINITY;
  toldBacklogAt = Number.NEGATIVE_INFINITY;

  constructor(
    plan: SegmentPlan,
    place: { readonly topic: string; readonly partition: number },
    known: { readonly progress: Progress; readonly bytes: Uint8Array },
    now: number,
  ) {
    this.plan = plan;
    this.topic = place.topic;
    this.partition = place.partition;
    this.progress = known.progress;
    this.expected = known.bytes;
    this.lastRecordAt = now;
  }

  get source(): Source {
    return this.plan.source;
  }

  get partitions(): number {
    return this.source.partitions;
  }

  /** No event below is expected any more after `progress`. */
  watermark(progress: Progress = this.progress): number | null {
    const own = watermarkOf(progress.runningMax, this.source.outOfOrderness);
    return own !== null && this.settled !== null ? Math.max(own, this.settled) : own;
  }

  /**
   * What a view is told of a watermark of this partition. Another source of the view may take longer to bring its events, and while that
   * one is idle, it is only the told watermarks that keep the frontier below them. A read loses nothing: `readDelay` is no shorter.
   */
  toldTo({ outOfOrderness }: Pick<View, 'outOfOrderness'>, watermark: number): number {
    return watermark - (outOfOrderness - this.source.outOfOrderness);
  }

  /**
   * The watermark that a view is told after `progress`. Of a local view it depends on the partition's log alone: neither idleness nor the
   * broker's clock moves it, so whoever folds the log comes to the same.
   */
  told(view: Pick<View, 'local' | 'outOfOrderness'>, progress: Progress): number | null {
    const watermark = view.local
      ? watermarkOf(progress.runningMax, this.source.outOfOrderness)
      : this.watermark(progress);
    return watermark === null ? null : this.toldTo(view, watermark);
  }

  /**
   * Silence after which it may fall idle, ms. When all partitions of a view are idle, its frontier is the newest event: by then no
   * source of the view may still bring older ones.
   */
  get idleAfterMs(): number {
    const { idleAfter, outOfOrderness } = this.source;
    const own = Math.max(1_000, outOfOrderness, idleAfter ?? 0);
    if (this.progress.runningMax === null) return own;
    return this.plan.views.reduce((most, { outOfOrderness }) => Math.max(most, outOfOrderness), own);
  }

  /**
   * Whether the broker's clock may move its watermark on while there is nothing to read. Where the source declares `idleAfter`, its events
   * may be that old when they come, however prompt the last ones were.
   */
  mayMoveOn(now: number): boolean {
    const { idleAfter } = this.source;
    return isPrompt(this.progress) && (idleAfter === null || now - this.lastRecordAt >= this.idleAfterMs);
  }

  /**
   * Event time of its next record, `after` records on, where that is backlog; null where it keeps up. Where that record
   * has not been fetched yet and the last one was backlog, `progress` says how far it has come.
   */
  backlogAt(now: number, progress: Progress = this.progress, after = 0): number | null {
    const next = this.queue.at(after);
    if (next === undefined && !this.more) return null;
    const appendTime = next?.appendTime ?? progress.appendTime;
    if (appendTime === null || now - appendTime <= BACKLOG_AFTER_MS || progress.clockOpen) return null;
    const time = next === undefined ? Number.NEGATIVE_INFINITY : timeOf(next);
    return Number.isFinite(time) ? time : progress.runningMax;
  }

  /** Takes what the store has, and forgets what was fetched. */
  restart(known: { readonly progress: Progress; readonly bytes: Uint8Array }, now: number): void {
    // Another owner may have read records since the last that came here: its silence begins anew.
    this.lastRecordAt = now;
    this.progress = known.progress;
    this.expected = known.bytes;
    this.toldIdle = false;
    this.announce = true;
    this.stopped = null;
    this.queue.clear();
  }
}
