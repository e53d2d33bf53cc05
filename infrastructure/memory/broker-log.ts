import { Buffer } from 'node:buffer';
import type { Clock } from '../../schemas/clock.ts';
import { KafkaError, RecordTooLarge } from '../kafka/errors.ts';
import type {
  KafkaRecord,
  OutgoingRecord,
  Position,
  TimestampType,
  TopicFacts,
  TopicSpec,
} from '../kafka/port.ts';
import { loneBatchSize } from '../kafka/record-batch.ts';

/** A transaction of a producer: its records are delivered once it is committed, and never if it is aborted. */
export interface Transaction {
  state: 'open' | 'committed' | 'aborted';
}

/** One partition: records and transaction markers by offset, from `start` on. */
export class PartitionLog {
  readonly topic: string;
  readonly partition: number;
  start = 0;
  /** Null is a transaction's marker: it takes an offset, and nobody gets it. */
  readonly #records: Array<KafkaRecord | null> = [];
  /** The transaction of a record that has one, by offset. */
  readonly #transactionOf = new Map<number, Transaction>();
  /** First offset of each open transaction. */
  readonly #open = new Map<Transaction, number>();
  #markers = 0;

  constructor(topic: string, partition: number) {
    this.topic = topic;
    this.partition = partition;
  }

  /** The offset after the last record or marker, open transactions included. */
  get end(): number {
    return this.start + this.#records.length;
  }

  /** Where reading ends: the first record of an open transaction, or the end of the log. */
  get readableEnd(): number {
    return this.#open.size === 0 ? this.end : Math.min(...this.#open.values());
  }

  append(
    record: OutgoingRecord,
    appendTime: number,
    transaction: Transaction | null = null,
    producerStamped = false,
    unreadable: KafkaRecord['unreadable'] = undefined,
  ): void {
    const headers = Object.entries(record.headers ?? {}).map(([name, value]) => [name, Buffer.from(value)]);
    if (transaction !== null) {
      this.#transactionOf.set(this.end, transaction);
      if (!this.#open.has(transaction)) this.#open.set(transaction, this.end);
    }
    this.#records.push({
      topic: this.topic,
      partition: this.partition,
      offset: this.end,
      key: record.key,
      value: record.value,
      headers: headers.length === 0 ? null : Object.fromEntries(headers),
      appendTime,
      producerStamped,
      ...(unreadable === undefined ? {} : { unreadable }),
    });
  }

  /** Writes the marker that ends a transaction, where it has records here. */
  mark(transaction: Transaction): void {
    if (!this.#open.delete(transaction)) return;
    this.#markers += 1;
    this.#records.push(null);
  }

  /** Deliverable records from `from` on, at most `most`, none at `end` or after it; and the offset to go on from. */
  read(from: number, end: number, most = Number.POSITIVE_INFINITY): { records: KafkaRecord[]; next: number } {
    if (this.#markers === 0) {
      const records = this.#records.slice(from - this.start, Math.min(from + most, end) - this.start);
      return { records: records as KafkaRecord[], next: from + records.length };
    }
    const records: KafkaRecord[] = [];
    for (let offset = from; offset < end; offset += 1) {
      const record = this.#records[offset - this.start] ?? null;
      if (record === null || this.#transactionOf.get(offset)?.state === 'aborted') continue;
      if (records.length === most) return { records, next: (records.at(-1)?.offset ?? from - 1) + 1 };
      records.push(record);
    }
    return { records, next: end };
  }

  /** Deletes what is before `offset`; past the end, everything, as DeleteRecords and retention do. */
  truncate(offset: number): void {
    const count = Math.min(offset, this.end) - this.start;
    if (count <= 0) return;
    this.#records.splice(0, count);
    this.start += count;
  }

  resolve(position: Position): number {
    return position === 'earliest' ? this.start : position === 'latest' ? this.readableEnd : position;
  }

  holds(position: number): boolean {
    return position >= this.start && position <= this.end;
  }
}

/** What of a topic's settings the twin knows. */
export interface TopicSettings {
  timestampType: TimestampType;
  /** Told, but nothing is removed. */
  readonly compacted: boolean;
  /** What this broker's access rules let its clients do with the settings. */
  access: 'change' | 'read' | 'none';
  /** Bytes that a batch may have. */
  maxMessageBytes: number;
  /** Given when the topic was made. */
  readonly id: string;
}

/** Somebody who waits for records of some topics until a deadline, epoch ms. */
interface Waiter {
  readonly topics: ReadonlySet<string>;
  readonly deadline: number;
  readonly go: () => void;
}

/** Kafka's default. */
const MAX_MESSAGE_BYTES = 1_048_588;

/** All topics of the broker, and who waits for records. Retention and compaction are left out. */
export class Logs {
  readonly clock: Clock;
  readonly #topics = new Map<string, PartitionLog[]>();
  #made = 0;
  readonly #settings = new Map<string, TopicSettings>();
  #waiting: Waiter[] = [];
  /** When the next deadline is looked at, epoch ms. */
  #alarmAt = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  topics(): Array<{ name: string; partitions: number }> {
    return [...this.#topics].map(([name, partitions]) => ({ name, partitions: partitions.length }));
  }

  create(spec: TopicSpec): boolean {
    if (this.#topics.has(spec.name)) return false;
    this.#topics.set(
      spec.name,
      Array.from({ length: spec.partitions }, (_, partition) => new PartitionLog(spec.name, partition)),
    );
    this.#settings.set(spec.name, {
      timestampType: 'LogAppendTime',
      compacted: spec.compacted,
      access: 'change',
      maxMessageBytes: MAX_MESSAGE_BYTES,
      id: `topic-${++this.#made}`,
    });
    return true;
  }

  remove(name: string): void {
    this.#topics.delete(name);
    this.#settings.delete(name);
    this.wake();
  }

  grow(name: string, partitions: number): void {
    const logs = this.#topics.get(name);
    if (logs === undefined || partitions <= logs.length)
      throw new KafkaError('request_failed', `the topic ${name} cannot grow to ${partitions} partitions`, {
        retriable: false,
      });
    while (logs.length < partitions) logs.push(new PartitionLog(name, logs.length));
  }

  facts(topic: string): TopicFacts {
    const logs = this.#topics.get(topic);
    return { topic, id: this.#settings.get(topic)?.id ?? null, partitions: logs?.length ?? 0 };
  }

  /** The log of a partition as it is now; undefined where it is not there. */
  find(topic: string, partition: number): PartitionLog | undefined {
    return this.#topics.get(topic)?.[partition];
  }

  settings(topic: string): TopicSettings {
    this.topic(topic); // Throws for one that is not there.
    return this.#settings.get(topic) as TopicSettings;
  }

  topic(name: string): readonly PartitionLog[] {
    const partitions = this.#topics.get(name);
    if (partitions === undefined) {
      throw new KafkaError(
        'unknown_topic',
        `the topic ${name} is not there; 'millrace apply' creates topics`,
        {
          retriable: false,
        },
      );
    }
    return partitions;
  }

  partition(topic: string, partition: number): PartitionLog {
    const log = this.topic(topic)[partition];
    if (log === undefined) {
      throw new KafkaError('unknown_topic', `the topic ${topic} has no partition ${partition}`, {
        retriable: false,
      });
    }
    return log;
  }

  /**
   * `producerTime` is what the producer's clock says, epoch ms. Answers with the time that the broker stamped; null where it
   * stamped no record.
   */
  append(
    records: readonly OutgoingRecord[],
    transaction: Transaction | null = null,
    producerTime = this.clock.now(),
  ): number | null {
    const now = this.clock.now();
    const logs = records.map((record) => this.partition(record.topic, record.partition));
    for (const record of records) {
      const bytes = loneBatchSize(record);
      if (bytes > this.settings(record.topic).maxMessageBytes)
        throw new RecordTooLarge(record.topic, record.partition, bytes);
    }
    let stamped: number | null = null;
    for (const [i, record] of records.entries()) {
      const byProducer = this.settings(record.topic).timestampType === 'CreateTime';
      logs[i]?.append(record, byProducer ? producerTime : now, transaction, byProducer);
      if (!byProducer) stamped = now;
    }
    this.wake(new Set(records.map(({ topic }) => topic)));
    return stamped;
  }

  /** Appends a record whatever its size, or one of a batch that nobody can read. */
  appendRaw({ unreadable, ...record }: OutgoingRecord & Pick<KafkaRecord, 'unreadable'>): void {
    this.partition(record.topic, record.partition).append(record, this.clock.now(), null, false, unreadable);
    this.wake(new Set([record.topic]));
  }

  /** The offsets that these records get if they are appended now. */
  nextOffsets(records: readonly OutgoingRecord[]): readonly number[] {
    const next = new Map<string, number>();
    return records.map(({ topic, partition }) => {
      const key = `${topic}:${partition}`;
      const offset = next.get(key) ?? this.partition(topic, partition).end;
      next.set(key, offset + 1);
      return offset;
    });
  }

  /** Ends a transaction: its marker goes to every partition that has records of it. */
  finish(transaction: Transaction, state: 'committed' | 'aborted'): void {
    transaction.state = state;
    for (const logs of this.#topics.values()) for (const log of logs) log.mark(transaction);
    this.wake();
  }

  /** Wakes who waits for records of these topics; everybody where something else has changed. */
  wake(topics?: ReadonlySet<string>): void {
    this.#wakeIf((waiter) => topics === undefined || [...topics].some((topic) => waiter.topics.has(topic)));
  }

  /** Until something has come to one of the topics, but no longer than to `deadline`, epoch ms. */
  wait(topics: ReadonlySet<string>, deadline: number): Promise<void> {
    return new Promise((go) => {
      this.#waiting.push({ topics, deadline, go });
      this.#setAlarm(deadline);
    });
  }

  #wakeIf(may: (waiter: Waiter) => boolean): void {
    const waiting = this.#waiting;
    this.#waiting = waiting.filter((waiter) => !may(waiter));
    for (const waiter of waiting) if (may(waiter)) waiter.go();
  }

  /** One alarm for all: most are woken long before their deadline. */
  #setAlarm(at: number): void {
    if (at >= this.#alarmAt) return;
    this.#alarmAt = at;
    void this.clock.sleep(Math.max(0, at - this.clock.now())).then(() => {
      if (this.#alarmAt === at) this.#alarmAt = Number.POSITIVE_INFINITY;
      const now = this.clock.now();
      this.#wakeIf(({ deadline }) => deadline <= now);
      if (this.#waiting.length > 0)
        this.#setAlarm(Math.min(...this.#waiting.map(({ deadline }) => deadline)));
    });
  }
}
