import type { Kafka, KafkaRecord, Reader, TopicPartition } from '../infrastructure/kafka/port.ts';
import type { Clock } from '../schemas/clock.ts';
import { asError } from '../schemas/refusal.ts';
import type { EventSink } from './events.ts';

/** What a record says to readers of a feed; null: nothing (a clock, a repeat). */
export type ToEvent = (record: KafkaRecord) => { readonly event: string; readonly data: unknown } | null;

export interface FeedOptions {
  readonly kafka: Kafka;
  readonly clock: Clock;
  readonly topics: readonly string[];
  /** A fresh one for each pass over the topics: it may remember what it saw. */
  readonly reader: () => ToEvent;
  readonly onFailure: (error: Error) => void;
}

/** Records of some topics as server-sent events, for any number of readers. */
export interface Feed {
  /** From what comes now on, or from behind the event of `lastId`. Answers with how to end. */
  subscribe(sink: EventSink, lastId: string | undefined): Promise<() => void>;
  readonly readers: number;
  close(): Promise<void>;
}

const POLL_MS = 200;
const PAUSE_MS = 1_000;
/** With nobody left the topics are read on for so long, ms: a browser that comes back finds the tail there. */
const LINGER_MS = 10_000;
/** All wait for a reader that does not keep up no longer than this, once each record, until it is dropped, ms. */
const MOMENT_MS = 20;
/** Readers that catch up from Kafka at once; more wait for their turn. */
const CATCH_UPS = 4;

type Place = TopicPartition;

const keyOf = ({ topic, partition }: Place) => `${topic}:${partition}`;

/** Next offset of every partition: what an event's id says. */
class Positions {
  readonly places: readonly Place[];
  readonly next: number[];
  readonly #index: ReadonlyMap<string, number>;

  constructor(places: readonly Place[], next: readonly number[]) {
    this.places = places;
    this.next = [...next];
    this.#index = new Map(places.map((place, i) => [keyOf(place), i]));
  }

  /** False for a record that was passed before. */
  pass(record: KafkaRecord): boolean {
    const i = this.#index.get(keyOf(record));
    if (i === undefined || record.offset < (this.next[i] ?? 0)) return false;
    this.next[i] = record.offset + 1;
    return true;
  }

  /** Behind what nobody is handed: markers of transactions. */
  advance(reader: Reader): void {
    for (const [i, place] of this.places.entries())
      this.next[i] = Math.max(this.next[i] ?? 0, reader.position(place) ?? 0);
  }

  reached(other: Positions): boolean {
    return this.next.every((offset, i) => offset >= (other.next[i] ?? 0));
  }

  get id(): string {
    return this.next.join('.');
  }
}

/** Null where the id is none of this feed's. */
function parseId(id: string | undefined, length: number): number[] | null {
  if (id === undefined || !/^\d{1,15}(\.\d{1,15})*$/.test(id)) return null;
  const next = id.split('.').map(Number);
  return next.length === length ? next : null;
}

export function createFeed(options: FeedOptions): Feed {
  const { kafka, clock, onFailure } = options;
  const sinks = new Set<EventSink>();
  let tail: Promise<Tail> | null = null;
  let leave: NodeJS.Timeout | undefined;
  let catching = 0;
  let closed = false;

  function openTail(): Promise<Tail> {
    clearTimeout(leave);
    if (tail === null) {
      const opening = Tail.open(options, sinks);
      opening.catch(() => {
        tail = null;
      });
      tail = opening;
    }
    return tail;
  }

  function leaveSoon(): void {
    clearTimeout(leave);
    leave = setTimeout(() => {
      if (sinks.size === 0 && catching === 0) void closeTail().catch(onFailure);
    }, LINGER_MS);
    leave.unref();
  }

  async function closeTail(): Promise<void> {
    const open = tail;
    tail = null;
    await (await open?.catch(() => null))?.close();
  }

  /** Reads from `from` to where the tail is, and hands over to it in the same turn, so that nothing is lost or repeated. */
  async function catchUp(sink: EventSink, live: Tail, from: readonly number[]): Promise<boolean> {
    while (catching >= CATCH_UPS && !sink.closed.aborted) await clock.sleep(POLL_MS);
    catching += 1;
    try {
      const own = new Positions(live.positions.places, await withinLog(kafka, live.positions.places, from));
      const toEvent = options.reader();
      const reader = await kafka.reader(
        own.places.map((place, i) => ({ ...place, position: own.next[i] ?? 0 })),
      );
      try {
        while (!sink.closed.aborted && !closed) {
          if (own.reached(live.positions)) {
            sinks.add(sink);
            return true;
          }
          for (const { records } of await reader.poll(POLL_MS))
            for (const record of records) {
              const said = own.pass(record) ? toEvent(record) : null;
              if (said !== null && !sink.write({ id: own.id, ...said })) return false;
            }
          own.advance(reader);
          if (!(await sink.drained())) return false;
        }
        return false;
      } finally {
        await reader.close().catch(() => {});
      }
    } finally {
      catching -= 1;
    }
  }

  return {
    get readers() {
      return sinks.size;
    },
    async subscribe(sink, lastId) {
      const live = await openTail();
      const from = parseId(lastId, live.positions.places.length);
      const end = () => {
        sinks.delete(sink);
        if (sinks.size === 0) leaveSoon();
      };
      if (from === null) {
        sinks.add(sink);
        // Whoever is cut off before the first event comes back to here.
        sink.write({ id: live.positions.id, event: 'begin', data: {} });
        return end;
      }
      // In the background: the answer has begun, and what is written waits for its reader.
      void catchUp(sink, live, from)
        .catch(onFailureOf(onFailure))
        .then((caughtUp) => {
          if (caughtUp !== true || sink.closed.aborted) end();
        });
      return end;
    },
    async close() {
      closed = true;
      clearTimeout(leave);
      await closeTail();
    },
  };
}

const onFailureOf = (onFailure: FeedOptions['onFailure']) => (error: unknown) => {
  onFailure(asError(error));
  return false;
};

/** Offsets that the log still has. */
async function withinLog(kafka: Kafka, places: readonly Place[], from: readonly number[]): Promise<number[]> {
  const admin = await kafka.admin();
  try {
    const bounds = new Map<string, Awaited<ReturnType<typeof admin.offsets>>>();
    for (const topic of new Set(places.map((place) => place.topic)))
      bounds.set(topic, await admin.offsets(topic));
    return places.map(({ topic, partition }, i) => {
      const { start, end } = bounds.get(topic)?.[partition] ?? { start: 0, end: 0 };
      return Math.min(end, Math.max(start, from[i] ?? start));
    });
  } finally {
    await admin.close();
  }
}

/** The one reader of what comes now, for all. */
class Tail {
  readonly positions: Positions;
  readonly #options: FeedOptions;
  readonly #sinks: ReadonlySet<EventSink>;
  #reader: Reader | null = null;
  #stopped = false;
  #running: Promise<void> = Promise.resolve();

  static async open(options: FeedOptions, sinks: ReadonlySet<EventSink>): Promise<Tail> {
    const admin = await options.kafka.admin();
    try {
      const places: Place[] = [];
      const next: number[] = [];
      for (const topic of options.topics)
        for (const [partition, { end }] of (await admin.offsets(topic)).entries()) {
          places.push({ topic, partition });
          next.push(end);
        }
      const tail = new Tail(options, sinks, new Positions(places, next));
      tail.#running = tail.#run();
      return tail;
    } finally {
      await admin.close();
    }
  }

  private constructor(options: FeedOptions, sinks: ReadonlySet<EventSink>, positions: Positions) {
    this.#options = options;
    this.#sinks = sinks;
    this.positions = positions;
  }

  async #run(): Promise<void> {
    const toEvent = this.#options.reader();
    while (!this.#stopped)
      try {
        await this.#poll(toEvent);
      } catch (error) {
        if (this.#stopped) return;
        this.#options.onFailure(asError(error));
        await this.#reader?.close().catch(() => {});
        this.#reader = null;
        await this.#options.clock.sleep(PAUSE_MS);
      }
  }

  async #poll(toEvent: ToEvent): Promise<void> {
    const { places, next } = this.positions;
    this.#reader ??= await this.#options.kafka.reader(
      places.map((place, i) => ({ ...place, position: next[i] ?? 0 })),
    );
    const batches = await this.#reader.poll(POLL_MS);
    for (const { records } of batches)
      for (const record of records) {
        const said = this.positions.pass(record) ? toEvent(record) : null;
        if (said === null) continue;
        const event = { id: this.positions.id, ...said };
        for (const sink of this.#sinks) sink.write(event);
        await this.#untilTaken();
      }
    this.positions.advance(this.#reader);
  }

  /** A burst comes in one turn of this process: its readers get a moment to take it. */
  async #untilTaken(): Promise<void> {
    for (let turn = 0; turn < MOMENT_MS; turn += 1) {
      let congested = false;
      for (const sink of this.#sinks) congested ||= sink.congested;
      if (!congested) return;
      await this.#options.clock.sleep(1);
    }
  }

  async close(): Promise<void> {
    this.#stopped = true;
    await this.#reader?.close().catch(() => {});
    await this.#running;
  }
}
