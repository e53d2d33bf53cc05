import { KafkaError, RecordTooLarge } from '../../infrastructure/kafka/errors.ts';
import type {
  Consumer,
  Kafka,
  OutgoingRecord,
  Producer,
  TopicPartition,
} from '../../infrastructure/kafka/port.ts';
import type { Commit, CommitResult } from '../../infrastructure/redis/port.ts';
import type { RecordLimits } from './record-limits.ts';

const REPORT_EVERY_MS = 1_000;

/** What a store answers for one state: `committed`, or why it is not set. */
export interface StateResult {
  readonly status: string;
}

/**
 * Whatever keeps a stream's state: the online store, or the warehouse. A state that is not set is an answer, not an error (the
 * state was not what the batch began from, or an insert failed).
 */
export interface StateStore<State, Result extends StateResult = CommitResult> {
  /** Results in order. Throws what concerns all of them. */
  commit(states: readonly State[]): Promise<readonly Result[]>;
}

export type NextOffset = TopicPartition & { readonly offset: number };

/** One batch of a stream, worked. */
export interface Flush<State> {
  /** Stages: a later one is sent once the one before is acknowledged. */
  readonly outputs?: ReadonlyArray<readonly OutgoingRecord[]>;
  readonly state?: readonly State[];
  /** State that speaks for all of `state`: it is set once every one of `state` is committed, else not at all. */
  readonly closing?: readonly State[];
  /** Next offsets of the partitions worked: with states, the i-th entry belongs to the i-th state. */
  readonly offsets?: ReadonlyArray<NextOffset | readonly NextOffset[]>;
}

export interface Flushed<Result extends StateResult = CommitResult> {
  /** Of `state`, in order. */
  readonly results: readonly Result[];
  /** Of `closing`, in order; empty where it was not set. */
  readonly closed: readonly Result[];
  /** The broker's clock: least append time of the outputs, epoch ms; null where nothing was sent. */
  readonly appendTime: number | null;
  /** Time that the outputs and the state took, ms. */
  readonly sendMs: number;
  readonly commitMs: number;
}

export interface CheckpointOptions<State, Result extends StateResult> {
  readonly kafka: Pick<Kafka, 'producer'>;
  /** Where the stream keeps state; absent where its outputs alone say how far it came. */
  readonly store?: StateStore<State, Result>;
  /** Whom offsets are told to. */
  readonly consumer?: Pick<Consumer, 'commit' | 'close'>;
  /** Learns what a topic does not take. Such a failure passes then: the batch is worked again, and made to fit. */
  readonly limits?: Pick<RecordLimits, 'learn'>;
  /** Wall clock, epoch ms. */
  readonly now?: () => number;
}

/**
 * Performs the one commit order of every stream:
 *
 *   1. outputs   sent and acknowledged, stage after stage
 *   2. state     compared and set in the online store, or inserted into the warehouse
 *   3. closing   state that speaks for all of step 2 (the clocks behind archived rows), set only if all of it is
 *   4. offsets   of what was set, told to Kafka for lag alone; nobody resumes from them
 *
 * Any failure before the end means: forget the batch, read the state again, seek to what it says, go on.
 * That is harmless because outputs carry their lineage (a repeat is dropped by whoever keeps state), and
 * state is set only against the exact state that the batch began from (an insert carries a token of its exact range, and
 * the rows themselves say how far it came).
 *
 * After any failed send the producer is thrown away, and with it its producer id: kafkajs takes its sequence
 * numbers back after an error, and the broker could swallow a batch that was cut anew as a repeat.
 */
export class Checkpoint<State = Commit, Result extends StateResult = CommitResult> {
  readonly #options: CheckpointOptions<State, Result>;
  readonly #offsets = new Map<string, NextOffset>();
  #reportedAt = Number.NEGATIVE_INFINITY;
  #producer: Producer | null = null;

  constructor(options: CheckpointOptions<State, Result>) {
    this.#options = options;
  }

  /** Throws KafkaError where an output may not be stored (then nothing after it was sent or set), or what the store throws. */
  async flush({
    outputs = [],
    state = [],
    closing = [],
    offsets = [],
  }: Flush<State>): Promise<Flushed<Result>> {
    const started = performance.now();
    let appendTime: number | null = null;
    for (const stage of outputs) appendTime = later(appendTime, await this.#send(stage));
    const sent = performance.now();
    const results = await this.#set(state);
    const closed = results.every(isCommitted) ? await this.#set(closing) : [];
    const told = state.length === 0 ? offsets : offsets.filter((_, i) => isCommitted(results[i]));
    for (const at of told.flat()) this.#offsets.set(`${at.topic}:${at.partition}`, at);
    this.report();
    return { results, closed, appendTime, sendMs: sent - started, commitMs: performance.now() - sent };
  }

  async #set(states: readonly State[]): Promise<readonly Result[]> {
    const { store } = this.#options;
    if (states.length === 0) return [];
    if (store === undefined) throw new Error('this checkpoint keeps no state');
    return store.commit(states);
  }

  async #send(records: readonly OutgoingRecord[]): Promise<number | null> {
    if (records.length === 0) return null;
    this.#producer ??= await this.#options.kafka.producer();
    const producer = this.#producer;
    try {
      return await producer.send(records);
    } catch (error) {
      this.#producer = null;
      await producer.close().catch(() => {});
      const { limits } = this.#options;
      if (limits === undefined || !(error instanceof RecordTooLarge)) throw error;
      limits.learn(error);
      throw new KafkaError(error.code, error.message, { retriable: true, cause: error });
    }
  }

  /**
   * Tells Kafka how far flushes came, for lag alone. Once a second at most and without waiting, so a stream calls it every turn: what
   * the last flush before a rest left untold goes with a later turn. A failure loses nothing, so it is swallowed.
   */
  report(): void {
    const { consumer, now = Date.now } = this.#options;
    if (consumer === undefined || this.#offsets.size === 0) return;
    if (now() - this.#reportedAt < REPORT_EVERY_MS) return;
    this.#reportedAt = now();
    void this.#tell(consumer);
  }

  async #tell(consumer: Pick<Consumer, 'commit'>): Promise<void> {
    const offsets = [...this.#offsets.values()];
    this.#offsets.clear();
    if (offsets.length > 0) await consumer.commit(offsets).catch(() => {});
  }

  /** After the last batch: tells Kafka where it ended, leaves the group, closes the producer. */
  async close(): Promise<void> {
    const { consumer } = this.#options;
    if (consumer !== undefined) {
      await this.#tell(consumer);
      await consumer.close().catch(() => {});
    }
    const producer = this.#producer;
    this.#producer = null;
    await producer?.close().catch(() => {});
  }
}

const isCommitted = (result: StateResult | undefined) => result?.status === 'committed';

function later(a: number | null, b: number | null): number | null {
  return b === null ? a : a === null ? b : Math.max(a, b);
}
