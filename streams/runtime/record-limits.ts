import type { RecordTooLarge } from '../../infrastructure/kafka/errors.ts';
import type { Kafka, OutgoingRecord } from '../../infrastructure/kafka/port.ts';
import { loneBatchSize } from '../../infrastructure/kafka/record-batch.ts';

/** Kafka's default for `max.message.bytes`: taken where the broker does not let us read it. */
const DEFAULT_LIMIT_BYTES = 1_048_588;

/**
 * How large a record each topic takes, so that what is larger is told before it is sent. A stream keeps one for its whole life,
 * restarts included: what a broker refuses all the same (it hides its settings, or somebody lowers one) is learnt from.
 */
export class RecordLimits {
  readonly #told = new Map<string, number>();
  readonly #learnt = new Map<string, number>();

  /** Asks the broker. Throws KafkaError. */
  async read(kafka: Pick<Kafka, 'admin'>, topics: readonly string[]): Promise<void> {
    const admin = await kafka.admin();
    try {
      const limits = await admin.recordLimits(topics);
      for (const [i, topic] of topics.entries()) this.#told.set(topic, limits[i] ?? DEFAULT_LIMIT_BYTES);
    } finally {
      await admin.close();
    }
  }

  /** Bytes that a batch with one record may have. */
  of(topic: string): number {
    return Math.min(
      this.#told.get(topic) ?? DEFAULT_LIMIT_BYTES,
      this.#learnt.get(topic) ?? Number.POSITIVE_INFINITY,
    );
  }

  fits(record: OutgoingRecord): boolean {
    return loneBatchSize(record) <= this.of(record.topic);
  }

  /** The broker did not take a record: from now on nothing so large counts as fitting. */
  learn({ topic, bytes }: RecordTooLarge): void {
    this.#learnt.set(topic, Math.min(this.of(topic), bytes - 1));
  }
}
