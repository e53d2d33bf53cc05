import type { Kafka, KafkaRecord } from '../../infrastructure/kafka/port.ts';
import { Finding, type Found } from './books.ts';

/** Whose clock stamped the records of a raw topic. */
export interface Stamps {
  /** Records with their producers' own times. */
  readonly byProducers: Found;
  /** The topic keeps producers' times now. */
  readonly still: boolean;
}

/** Follows the records of one topic, in order within a partition. */
export class StampBook {
  readonly #byProducers = new Finding();
  readonly #newest = new Map<number, boolean>();

  see({ partition, offset, producerStamped = false }: KafkaRecord): void {
    if (producerStamped) this.#byProducers.add(partition, offset);
    this.#newest.set(partition, producerStamped);
  }

  /** Asks the broker what the topic keeps; where that may not be read, its newest records say it. Throws KafkaError. */
  async close(kafka: Pick<Kafka, 'admin'>, topic: string): Promise<Stamps> {
    const admin = await kafka.admin();
    try {
      const [type = null] = await admin.timestampTypes([topic]);
      const still = type === null ? [...this.#newest.values()].includes(true) : type === 'CreateTime';
      return { byProducers: this.#byProducers, still };
    } finally {
      await admin.close();
    }
  }
}
