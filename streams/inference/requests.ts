import type { PartitionBatch, TopicPartition } from '../../infrastructure/kafka/port.ts';
import type { ClockMark } from '../../processors/lateness.ts';
import { cappedTime, type ValidatedEvent } from '../../schemas/event.ts';
import { BACKLOG_AFTER_MS } from '../runtime/backlog.ts';
import { readClock } from '../runtime/clock-record.ts';
import type { Codec } from '../runtime/codecs.ts';
import type { Resume } from './resume.ts';
import type { Target } from './vector.ts';

/** A record of the validated topic, waiting for its turn. `request` is null for a clock, and for an event that asks for nothing. */
export interface Waiting {
  /** Offset in the validated topic. */
  readonly offset: number;
  /** Event time as it is read by, or the clock's. */
  readonly time: number;
  readonly clock: ClockMark | null;
  readonly request: (ValidatedEvent & { readonly targets: readonly Target[] | null }) | null;
  /** A replay is open here: the gate waits without limit. */
  readonly replayed: boolean;
  /** It was old when it was first seen: the gate waits while a frontier that it needs moves. */
  readonly backlog: boolean;
  /** When it came to the head of its queue and found the gate shut; 0 before. */
  blockedAt: number;
  /** It passed the gate because its features were there, not for want of time. */
  promised: boolean;
}

export interface RequestCodec {
  readonly codec: Codec<ValidatedEvent>;
  /** Where the reads of an event go; null where it lacks a part of a key. */
  targetsOf(event: ValidatedEvent, time: number): readonly Target[] | null | 'not a request';
}

/** The waiting records of one partition, in order. */
export class RequestQueue {
  readonly topic: string;
  readonly partition: number;
  #items: Waiting[] = [];
  #at = 0;
  #replayed: boolean;
  #next: number;
  /** Largest source offset taken or answered: what is at or below it is a repeat (ingest went back). */
  #seen: number;
  /** Records taken and not acknowledged yet. */
  #underWay = 0;
  /** Largest time of the records acknowledged. */
  #acknowledged = Number.NEGATIVE_INFINITY;
  /** Nothing was left to fetch as of the last poll. */
  ended = false;
  /** Largest source offset that a version is in the shadow topic with: what is at or below it is not sent again. */
  readonly shadowed: ReadonlyMap<number, number>;

  constructor({ topic, partition }: TopicPartition, start: Omit<Resume, 'through'>) {
    this.topic = topic;
    this.partition = partition;
    this.#next = start.next;
    this.#seen = start.answered;
    this.#replayed = start.replayed;
    this.shadowed = start.shadowed;
  }

  get size(): number {
    return this.#items.length - this.#at;
  }

  head(): Waiting | undefined {
    return this.#items[this.#at];
  }

  shift(): void {
    this.#at += 1;
    this.#underWay += 1;
    if (this.#at > 1_024 && this.#at * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#at);
      this.#at = 0;
    }
  }

  /** A record that was taken is answered, and the answer acknowledged. */
  acknowledge({ time }: Waiting): void {
    this.#underWay -= 1;
    if (time > this.#acknowledged) this.#acknowledged = time;
  }

  /** A live partition of which nothing is left to fetch, to answer or to acknowledge, as of the last poll. */
  get quiet(): boolean {
    return this.ended && this.size === 0 && this.#underWay === 0 && !this.#replayed;
  }

  /**
   * The least time that this partition may still ask for, after this process or the next; minus infinity where that is not
   * known. Validated events are no older than the largest time before them, less outOfOrderness. `comesFrom`: whatever is still to come
   * is no older, where that is known of a quiet partition.
   */
  least(outOfOrderness: number, comesFrom = Number.NEGATIVE_INFINITY): number {
    const head = this.#underWay === 0 ? this.head() : undefined;
    const time = head?.time ?? (this.quiet ? comesFrom : Number.NEGATIVE_INFINITY);
    return Math.max(this.#acknowledged, time) - outOfOrderness;
  }

  add(batch: PartitionBatch, { codec, targetsOf }: RequestCodec, now: number): void {
    for (const record of batch.records) {
      if (record.offset < this.#next) continue;
      this.#next = record.offset + 1;
      const clock = readClock(record);
      if (clock !== null) {
        if (clock.replay !== null) this.#replayed = clock.kind !== 'end';
        this.#push(record.offset, clock.time, clock, null, false);
        continue;
      }
      if (record.value === null) continue;
      const event = codec.read(record.value);
      if (event === null) continue;
      const repeat = event.offset <= this.#seen;
      this.#seen = Math.max(this.#seen, event.offset);
      const time = cappedTime(event.event.time, event.arrivedAt);
      const targets = repeat ? 'not a request' : targetsOf(event, time);
      const request = targets === 'not a request' ? null : { ...event, targets };
      this.#push(record.offset, time, null, request, now - event.appendTime > BACKLOG_AFTER_MS);
    }
  }

  #push(
    offset: number,
    time: number,
    clock: ClockMark | null,
    request: Waiting['request'],
    backlog: boolean,
  ): void {
    this.#items.push({
      offset,
      time,
      clock,
      request,
      replayed: this.#replayed,
      backlog,
      blockedAt: 0,
      promised: false,
    });
  }
}

/** A record whose turn has come, and where it waited. */
export type Ready = Waiting & { readonly queue: RequestQueue };

/** All that answering needs to know of where it waited. */
export type Turn = Waiting & { readonly queue: Pick<RequestQueue, 'partition' | 'shadowed'> };

/** Takes up to `most` records that may go off their queues, the earliest event of all partitions first, in order within each. */
export function chooseReady(
  queues: readonly RequestQueue[],
  most: number,
  mayGo: (head: Waiting) => boolean,
): { ready: Ready[]; blocked: boolean } {
  const ready: Ready[] = [];
  const open = queues.filter(({ size }) => size > 0);
  let blocked = false;
  while (open.length > 0 && ready.length < most) {
    let first = 0;
    for (let i = 1; i < open.length; i += 1)
      if ((open[i]?.head()?.time ?? 0) < (open[first]?.head()?.time ?? 0)) first = i;
    const queue = open[first];
    const waiting = queue?.head();
    if (queue === undefined || waiting === undefined) break;
    if (!mayGo(waiting)) {
      blocked = true;
      open.splice(first, 1);
      continue;
    }
    queue.shift();
    ready.push(Object.assign(waiting, { queue }));
    if (queue.size === 0) open.splice(first, 1);
  }
  return { ready, blocked };
}
