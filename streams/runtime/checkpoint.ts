import type {
  Consumer,
  Kafka,
  OutgoingRecord,
  Producer,
  TopicPartition,
} from '../../infrastructure/kafka/port.ts';
import type { Commit, CommitResult, OnlineStore } from '../../infrastructure/redis/port.ts';

const REPORT_EVERY_MS = 1_000;

/**
 * The one commit order of every stream:
 *
 *   1. outputs   sent and acknowledged, stage after stage (a later stage only once the one before is)
 *   2. state     compared and set in the online store
 *   3. offsets   told to Kafka, for lag alone; nobody resumes from them
 *
 * Any failure before the end means: forget the batch, read the state again, seek to what it says, go on.
 * That is harmless because outputs carry their lineage (a repeat is dropped by whoever keeps state), and
 * state is set only against the exact state that the batch began from.
 *
 * After any failed send the producer is thrown away, and with it its producer id: kafkajs takes its sequence
 * numbers back after an error, and the broker could swallow a batch that was cut anew as a repeat.
 */
export class Checkpoint {
  readonly #kafka: Pick<Kafka, 'producer'>;
  readonly #store: OnlineStore | null;
  readonly #offsets = new Map<string, TopicPartition & { readonly offset: number }>();
  #reportedAt = Number.NEGATIVE_INFINITY;
  #producer: Producer | null = null;

  constructor(kafka: Pick<Kafka, 'producer'>, store: OnlineStore | null) {
    this.#kafka = kafka;
    this.#store = store;
  }

  /** Step 1, one stage. Throws KafkaError; then nothing more of this flush may be sent. */
  async send(records: readonly OutgoingRecord[]): Promise<void> {
    if (records.length === 0) return;
    this.#producer ??= await this.#kafka.producer();
    const producer = this.#producer;
    try {
      await producer.send(records);
    } catch (error) {
      this.#producer = null;
      await producer.close().catch(() => {});
      throw error;
    }
  }

  /** Step 2. Results in order; a conflict is an answer, not an exception. Throws StoreError. */
  async commit(commits: readonly Commit[]): Promise<readonly CommitResult[]> {
    if (this.#store === null || commits.length === 0) return [];
    return this.#store.commit(commits);
  }

  /**
   * Step 3, once a second at most and without waiting: nobody resumes from these offsets, they only show the
   * lag. A failure loses nothing, so it is swallowed; the next report tells Kafka again.
   */
  report(
    consumer: Consumer,
    offsets: ReadonlyArray<TopicPartition & { readonly offset: number }>,
    now: number,
  ): void {
    for (const at of offsets) this.#offsets.set(`${at.topic}:${at.partition}`, at);
    if (now - this.#reportedAt < REPORT_EVERY_MS) return;
    this.#reportedAt = now;
    void this.#tell(consumer);
  }

  async #tell(consumer: Consumer): Promise<void> {
    const offsets = [...this.#offsets.values()];
    this.#offsets.clear();
    if (offsets.length > 0) await consumer.commit(offsets).catch(() => {});
  }

  /** Forgets the producer after a failure elsewhere in the batch. */
  async abandon(): Promise<void> {
    const producer = this.#producer;
    this.#producer = null;
    await producer?.close().catch(() => {});
  }

  /** After the last batch: tells Kafka where it ended, leaves the group, closes the producer. */
  async close(consumer?: Consumer): Promise<void> {
    if (consumer !== undefined) {
      await this.#tell(consumer);
      await consumer.close().catch(() => {});
    }
    await this.abandon();
  }
}
