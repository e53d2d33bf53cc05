import type { PartitionBatch, TopicPartition } from '../../infrastructure/kafka/port.ts';
import type { ClockMark } from '../../processors/lateness.ts';
import type { ValidatedEvent } from '../../schemas/event.ts';
import { readClock } from '../runtime/clock-record.ts';
import type { Codec } from '../runtime/codecs.ts';
import type { Resume } from './resume.ts';
import type { Target } from './vector.ts';

/** A record of the validated topic, waiting for its turn. `request` is null for a clock, and for an event that asks for nothing. */
export interface Waiting {
  /** Offset in the validated topic. */
  readonly offset: number;
  /** Event time, or the clock's. */
  readonly time: number;
  readonly clock: ClockMark | null;
  readonly request: (ValidatedEvent & { readonly targets: readonly Target[] | null }) | null;
  /** A replay is open here: the gate waits without limit. */
  readonly replayed: boolean;
  /** When it came to the head of its queue and found the gate shut; monotonic ms, 0 before. */
  blockedAt: number;
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
  /** Largest source offset that a version is in the shadow topic with: what is at or below it is not sent again. */
  readonly shadowed: ReadonlyMap<number, number>;

  constructor({ topic, partition }: TopicPartition, start: Resume) {
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

  get replayed(): boolean {
    return this.#replayed;
  }

  head(): Waiting | undefined {
    return this.#items[this.#at];
  }

  take(): void {
    this.#at += 1;
    if (this.#at > 1_024 && this.#at * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#at);
      this.#at = 0;
    }
  }

  add(
    batch: PartitionBatch,
    codec: Codec<ValidatedEvent>,
    targetsOf: (event: ValidatedEvent) => readonly Target[] | null | 'not a request',
  ): void {
    for (const record of batch.records) {
      if (record.offset < this.#next) continue;
      this.#next = record.offset + 1;
      const clock = readClock(record);
      if (clock !== null) {
        if (clock.replay !== null) this.#replayed = clock.kind !== 'end';
        this.#items.push({
          offset: record.offset,
          time: clock.time,
          clock,
          request: null,
          replayed: this.#replayed,
          blockedAt: 0,
        });
        continue;
      }
      if (record.value === null) continue;
      const event = codec.decode(record.value);
      const repeat = event.offset <= this.#seen;
      this.#seen = Math.max(this.#seen, event.offset);
      const targets = repeat ? 'not a request' : targetsOf(event);
      const request = targets === 'not a request' ? null : { ...event, targets };
      this.#items.push({
        offset: record.offset,
        time: event.event.time,
        clock: null,
        request,
        replayed: this.#replayed,
        blockedAt: 0,
      });
    }
  }
}

/** A record whose turn has come, and where it waited. */
export type Ready = Waiting & { readonly queue: RequestQueue };

/** Takes up to `most` that may go, the earliest event of all partitions first, in order within each. */
export function takeReady(
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
    queue.take();
    ready.push(Object.assign(waiting, { queue }));
    if (queue.size === 0) open.splice(first, 1);
  }
  return { ready, blocked };
}
