import type { Kafka, KafkaRecord } from '../../infrastructure/kafka/port.ts';
import { headers, topics } from '../../schemas/names.ts';
import type { Alert } from '../../schemas/records/alert.ts';
import { Checkpoint } from '../../streams/runtime/checkpoint.ts';
import type { Codec } from '../../streams/runtime/codecs.ts';
import { boundsOf, readTopic } from '../../streams/runtime/topic.ts';

interface AlertLogDeps {
  readonly kafka: Kafka;
  readonly codec: Codec<Alert>;
  readonly prefix: string;
}

/**
 * The alerts topic, which is the one memory of what fires: read whole once, and then from its end. Of an id the first
 * record counts. It grows by some hundred bytes a change and is kept for ever.
 */
export class AlertLog {
  readonly #kafka: Kafka;
  readonly #codec: Codec<Alert>;
  readonly #topic: string;
  readonly #checkpoint: Checkpoint;
  readonly #changes = new Map<string, Alert>();
  readonly #offsets = new Map<string, number>();
  #next = 0;

  constructor({ kafka, codec, prefix }: AlertLogDeps) {
    this.#kafka = kafka;
    this.#codec = codec;
    this.#topic = topics.alerts(prefix);
    this.#checkpoint = new Checkpoint({ kafka });
  }

  /** Reads what was appended since. Throws KafkaError. */
  async catchUp(): Promise<void> {
    const [bounds = { start: 0, end: 0 }] = await boundsOf(this.#kafka, this.#topic);
    // Somebody deleted records by hand: what is left is what is known.
    this.#next = Math.max(this.#next, bounds.start);
    const see = ({ offset, value }: KafkaRecord): void => {
      if (offset < this.#next) return;
      this.#next = offset + 1;
      const alert = value === null ? null : this.#codec.read(value);
      if (alert !== null) this.learn(alert, offset);
    };
    await readTopic(this.#kafka, this.#topic, [bounds], see, () => this.#next);
  }

  /** Every change, oldest first. */
  changes(): readonly Alert[] {
    return [...this.#changes.values()];
  }

  /** The last change of each alert that was made before `tick`, by fingerprint. */
  before(tick: number): ReadonlyMap<string, Alert> {
    const last = new Map<string, Alert>();
    for (const alert of this.#changes.values()) if (alert.tick < tick) last.set(alert.fingerprint, alert);
    return last;
  }

  /**
   * Appends those that the log does not have, all together, and answers with what the log now says of each. Call
   * `catchUp` first. Throws KafkaError; then it is not known whether they are in the log: catch up and append again.
   */
  async append(alerts: readonly Alert[]): Promise<readonly Alert[]> {
    const missing = alerts.filter(({ id }) => !this.#changes.has(id));
    const records = missing.map((alert, index) => ({
      topic: this.#topic,
      partition: 0,
      key: Buffer.from(alert.fingerprint),
      value: this.#codec.encode(alert),
      headers: { [headers.together]: `${index}/${missing.length}` },
    }));
    await this.#checkpoint.flush({ outputs: [records] });
    // Another process may have been faster: then its record counts.
    if (missing.length > 0) await this.catchUp();
    return alerts.map((alert) => this.#changes.get(alert.id) ?? alert);
  }

  async close(): Promise<void> {
    await this.#checkpoint.close();
  }

  /** What somebody else read of the log. False where it repeats an earlier record. */
  learn(alert: Alert, offset: number): boolean {
    const first = this.#offsets.get(alert.id);
    if (first !== undefined) return first === offset;
    this.#offsets.set(alert.id, offset);
    this.#changes.set(alert.id, alert);
    return true;
  }
}

/** Place of a record among those that were appended together. One that does not say stands alone. */
export function togetherOf(record: KafkaRecord): { readonly index: number; readonly count: number } {
  const bytes = record.headers?.[headers.together];
  const [, index, count] =
    /^(\d+)\/(\d+)$/.exec(bytes === undefined ? '' : Buffer.from(bytes).toString()) ?? [];
  return index === undefined || count === undefined
    ? { index: 0, count: 1 }
    : { index: Number(index), count: Number(count) };
}
