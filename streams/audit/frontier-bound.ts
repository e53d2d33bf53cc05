import { PROMPT_AFTER } from '../../processors/lateness.ts';
import type { Source } from '../../schemas/project.ts';

/** Records of one source partition that the broker appended in one short stretch of time. Times in epoch ms, -1 for no offset. */
export interface Arrivals {
  /** Index into the partitions that the bound was made for. */
  readonly of: number;
  /** Largest time of an accepted event, capped by its arrival; null where none was accepted. Where no first arrival is kept, `time` is as the event says and `capped` is no later than its append time. */
  readonly time: number | null;
  readonly capped: number | null;
  readonly firstAppend: number;
  readonly lastAppend: number;
  /** Events among them, accepted or late, and the last offset of all. */
  readonly events: number;
  readonly lastOffset: number;
  /** Last record that came later than its source's outOfOrderness after its event time. */
  readonly lastTardy: number;
}

/** A clock record of a raw partition. `time` counts no further than the broker's clock where no replay sent it. */
export interface ClockArrival {
  readonly of: number;
  readonly time: number;
  readonly appendTime: number;
  /** Whether a replay is open on the partition behind it. */
  readonly open: boolean;
}

interface PartitionBound {
  readonly outOfOrderness: number;
  readonly idleAfterMs: number;
  /** Its source declares idleAfter: before that silence the broker's clock does not move it. */
  readonly patient: boolean;
  /** Largest accepted event time or clock. */
  runningMax: number;
  /** What the broker's clock may have moved the watermark to. */
  settled: number;
  lastAppend: number;
  /** Records that must still be prompt until the partition counts as prompt. */
  tardy: number;
  open: boolean;
}

const NEVER = Number.NEGATIVE_INFINITY;

/**
 * The highest frontier that the views of some sources can have had, had ingest never been disturbed, as the arrivals tell it. The rule,
 * which is that of processors/meta.ts and streams/ingest/idleness.ts with "was seen to be silent" read as "nothing arrived":
 *
 * - The running maximum of a partition is the largest accepted event time, capped by arrival, or clock. Its watermark is that less
 *   outOfOrderness, or the arrival clock less outOfOrderness while its last 20 events were prompt (moveOn; where the source declares
 *   idleAfter, only after that silence).
 * - A partition to which nothing was appended for `max(1 s, outOfOrderness, idleAfter)` may have been idle from then to its next record. No
 *   shorter silence can make it idle: the broker is asked for its end after that silence. While a replay is open it is not idle.
 * - The frontier is the least watermark of the partitions that are not idle. When all are, it is the largest running maximum, or
 *   the least watermark where that is more. It never falls.
 *
 * Whatever is not known counts as if it had raised the frontier: what arrives in one stretch arrives in the worst order, a partition
 * that may be idle is idle. So a contribution at or above the bound was refused wrongly, and one below it may have been refused rightly.
 */
export class FrontierBound {
  readonly #partitions: readonly PartitionBound[];
  #frontier = NEVER;

  constructor(partitions: ReadonlyArray<Pick<Source, 'outOfOrderness' | 'idleAfter'>>) {
    this.#partitions = partitions.map(({ outOfOrderness, idleAfter }) => ({
      outOfOrderness,
      idleAfterMs: Math.max(1_000, outOfOrderness, idleAfter ?? 0),
      patient: idleAfter !== null,
      runningMax: NEVER,
      settled: NEVER,
      lastAppend: NEVER,
      tardy: 0,
      open: false,
    }));
  }

  /** Epoch ms; minus infinity before the first event. */
  get frontier(): number {
    return this.#frontier;
  }

  /** Takes what arrived before `end` (epoch ms) and after the stretch before: at most some 100 ms. */
  take(end: number, arrivals: readonly Arrivals[], clocks: readonly ClockArrival[]): void {
    const firstOf = new Map<PartitionBound, number>();
    for (const { of, firstAppend } of arrivals) this.#first(firstOf, of, firstAppend);
    for (const { of, appendTime } of clocks) this.#first(firstOf, of, appendTime);
    for (const one of this.#partitions)
      if (isPrompt(one) && (!one.patient || isSilent(one, firstOf.get(one) ?? end)))
        one.settled = Math.max(one.settled, end - one.outOfOrderness);
    const awake = this.#partitions.filter((one) => !isSilent(one, firstOf.get(one) ?? end));
    this.#raise(awake.length > 0 ? leastWatermark(awake) : this.#idleFrontier());
    const opened = new Set(clocks.flatMap(({ of, open }) => (open ? [of] : [])));
    for (const one of arrivals) this.#arrive(one, opened.has(one.of));
    for (const one of clocks) this.#pass(one);
    // In the worst order those that woke count one by one.
    this.#raise(
      awake.length > 0 ? leastWatermark(awake) : Math.max(NEVER, ...[...firstOf.keys()].map(watermarkOf)),
    );
  }

  #first(firstOf: Map<PartitionBound, number>, of: number, appendTime: number): void {
    const one = this.#partitions[of];
    if (one !== undefined) firstOf.set(one, Math.min(appendTime, firstOf.get(one) ?? appendTime));
  }

  #arrive({ of, time, capped, lastAppend, events, lastOffset, lastTardy }: Arrivals, opened: boolean): void {
    const one = this.#partitions[of];
    if (one === undefined) return;
    one.runningMax = Math.max(one.runningMax, (one.open || opened ? time : capped) ?? NEVER);
    one.lastAppend = Math.max(one.lastAppend, lastAppend);
    // At most so many prompt ones came behind the last tardy one.
    const prompt = lastTardy >= 0 ? Math.min(events, lastOffset - lastTardy) : events;
    one.tardy = Math.max(0, (lastTardy >= 0 ? PROMPT_AFTER : one.tardy) - prompt);
  }

  #pass({ of, time, appendTime, open }: ClockArrival): void {
    const one = this.#partitions[of];
    if (one === undefined) return;
    one.runningMax = Math.max(one.runningMax, time);
    one.lastAppend = Math.max(one.lastAppend, appendTime);
    one.open = open;
  }

  #idleFrontier(): number {
    const known = this.#partitions.filter(({ runningMax }) => runningMax > NEVER);
    if (known.length === 0) return NEVER;
    return Math.max(leastWatermark(known), ...known.map(({ runningMax }) => runningMax));
  }

  #raise(to: number): void {
    if (to > this.#frontier) this.#frontier = to;
  }
}

const isSilent = ({ open, lastAppend, idleAfterMs }: PartitionBound, at: number) =>
  !open && at - lastAppend >= idleAfterMs;

const isPrompt = ({ tardy, runningMax, open }: PartitionBound) => tardy === 0 && runningMax > NEVER && !open;

const watermarkOf = ({ runningMax, outOfOrderness, settled }: PartitionBound) =>
  Math.max(runningMax - outOfOrderness, settled);

function leastWatermark(partitions: readonly PartitionBound[]): number {
  return partitions.reduce((least, one) => Math.min(least, watermarkOf(one)), Number.POSITIVE_INFINITY);
}
