/** What streams need of Kafka. Drivers: kafkajs, and the in-memory broker. All times are epoch ms. */

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

export interface KafkaRecord extends TopicPartition {
  readonly offset: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: Readonly<Record<string, Uint8Array>> | null;
  /** Stamped by the broker (topics are LogAppendTime), except where `producerStamped`. */
  readonly appendTime: number;
  /** The topic was CreateTime when the record came: `appendTime` is what its producer's clock said. */
  readonly producerStamped?: boolean;
  /** Its batch could not be read: why, and size and SHA-256 of the batch as the broker has it. Key, value and headers are null then. */
  readonly unreadable?: { readonly detail: string; readonly bytes: number; readonly sha256: string };
}

/** Whose clock stamps the records of a topic: the broker's (LogAppendTime) or their producers' (CreateTime, Kafka's default). */
export type TimestampType = 'LogAppendTime' | 'CreateTime';

export interface OutgoingRecord extends TopicPartition {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers?: Readonly<Record<string, string | Uint8Array>>;
}

/** Records of one partition, in offset order, and where the partition ended when they were fetched. */
export interface PartitionBatch extends TopicPartition {
  readonly records: readonly KafkaRecord[];
  /** Offset after the last record of the partition as the broker knew it at the fetch. */
  readonly highWatermark: number;
}

/**
 * Idempotent, in order per partition, acks from all replicas. After any failed `send` the producer is
 * dead: every later `send` fails at once, and the caller makes a new one (a new producer id) and starts
 * again from its committed position.
 */
export interface Producer {
  /**
   * Resolves once every record is acknowledged, with the broker's clock: the least append time it stamped on any of them, epoch ms;
   * null where it stamped none. Throws KafkaError.
   */
  send(records: readonly OutgoingRecord[]): Promise<number | null>;
  /**
   * The same, and answers with the offset of each record; null where the broker had stored it in an attempt whose answer was lost
   * and did not say where. Throws KafkaError.
   */
  place(records: readonly OutgoingRecord[]): Promise<ReadonlyArray<number | null>>;
  close(): Promise<void>;
}

/**
 * Where to start a partition: an offset, the log's start, or its end. An offset that the log no longer
 * holds surfaces as a `cut` partition in the next poll, never as a silent reset.
 */
export type Position = number | 'earliest' | 'latest';

export interface ConsumerOptions {
  readonly group: string;
  readonly topics: readonly string[];
  /**
   * Called with every new assignment, before any of its records is delivered; what was buffered of the
   * assignment before is dropped. Must answer for every partition given.
   */
  readonly onAssigned: (assigned: readonly TopicPartition[]) => Promise<readonly Position[]>;
  /** Most records a poll returns over all partitions. */
  readonly maxPollRecords: number;
  /** Most bytes buffered per partition, unpacked, before fetching pauses. */
  readonly maxBufferedBytes?: number;
  /**
   * What becomes of a batch that cannot be read (damaged, of an old format, unfolding to too much): `fail` throws KafkaError,
   * `hand_out` hands out each of its records as `unreadable`. Default `fail`.
   */
  readonly unreadable?: 'fail' | 'hand_out';
  /** Whether a topic that is gone for a minute fails the consumer, or is waited for while others are read. Default `fail`. */
  readonly missing?: 'fail' | 'wait';
}

export interface Poll {
  /** Grows with every assignment. Work of an older generation must not be committed. */
  readonly generation: number;
  /** Partitions that brought records; several at once where there are. Empty when the wait ended. */
  readonly batches: readonly PartitionBatch[];
  /** Partitions whose position has been deleted from the log, with the log's start. */
  readonly cut: ReadonlyArray<TopicPartition & { readonly start: number }>;
  /** Partitions held with nothing buffered and nothing left to fetch, as of this poll. */
  readonly atEnd: readonly TopicPartition[];
}

/** A member of a consumer group. One caller at a time. */
export interface Consumer {
  /** Waits up to maxWaitMs for the first record, then takes what is buffered, merged over partitions. Throws KafkaError. */
  poll(maxWaitMs: number): Promise<Poll>;
  /** Drops what is buffered of the partition and goes on from `offset`. */
  seek(partition: TopicPartition, offset: number): Promise<void>;
  /** Stops handing out a partition (and, past its buffer bound, fetching it) until resumed. */
  pause(partitions: readonly TopicPartition[]): void;
  resume(partitions: readonly TopicPartition[]): void;
  /** Kafka's committed offsets: next offset to read; only for lag. One request for all. */
  commit(offsets: ReadonlyArray<TopicPartition & { readonly offset: number }>): Promise<void>;
  assignment(): readonly TopicPartition[];
  /** True once the group has decided something that `poll` has not taken up yet. */
  moved(): boolean;
  /**
   * The next offset to fetch of partitions that had nothing unread when the broker was asked, after this call began: nothing
   * buffered here, and that offset at their end; null for the others. Records of open transactions count as unread. Throws KafkaError.
   */
  atEnd(partitions: readonly TopicPartition[]): Promise<ReadonlyArray<number | null>>;
  /**
   * The offset after the last record or transaction marker of partitions of this consumer's topics, whoever holds them, when the
   * broker was asked after this call began. Throws KafkaError.
   */
  ends(partitions: readonly TopicPartition[]): Promise<readonly number[]>;
  /** What the broker says now of this consumer's topics, in order of its options. Throws KafkaError. */
  facts(): Promise<readonly TopicFacts[]>;
  close(): Promise<void>;
}

/** What tells a topic from another one that had its name before. */
export interface TopicFacts {
  readonly topic: string;
  /** Given when it was made; null where the broker does not tell, or where the topic is not there. */
  readonly id: string | null;
  /** 0 where it is not there. */
  readonly partitions: number;
}

export interface TopicSpec {
  readonly name: string;
  readonly partitions: number;
  /** ms; -1 keeps for ever. */
  readonly retentionMs: number;
  readonly compacted: boolean;
}

export interface Admin {
  topics(): Promise<ReadonlyArray<{ readonly name: string; readonly partitions: number }>>;
  /** In order of `names`. Throws KafkaError. */
  facts(names: readonly string[]): Promise<readonly TopicFacts[]>;
  /** Gives topics more partitions; the others keep what they have. Throws KafkaError. */
  addPartitions(grown: ReadonlyArray<Pick<TopicSpec, 'name' | 'partitions'>>): Promise<void>;
  /** Creates what is missing; answers with the names it created. Existing topics are left alone. */
  createTopics(specs: readonly TopicSpec[]): Promise<readonly string[]>;
  /** By topic, in order of `names`; null where the broker does not let us read a topic's settings. Throws KafkaError. */
  timestampTypes(names: readonly string[]): Promise<ReadonlyArray<TimestampType | null>>;
  /** Whether Kafka removes old records of a key (`cleanup.policy`), likewise. */
  compacted(names: readonly string[]): Promise<ReadonlyArray<boolean | null>>;
  /**
   * Bytes that a batch of each topic may have (`max.message.bytes`), in order of `names`; null where the broker does not let us read a
   * topic's settings. Throws KafkaError.
   */
  recordLimits(names: readonly string[]): Promise<ReadonlyArray<number | null>>;
  /** Lets the broker stamp what comes from now on (LogAppendTime); the topic's other settings stay. Throws KafkaError. */
  stampByBroker(topic: string): Promise<void>;
  deleteTopics(names: readonly string[]): Promise<void>;
  deleteGroups(names: readonly string[]): Promise<void>;
  groups(): Promise<readonly string[]>;
  /** Start and end (next) offset of every partition, by partition number. */
  offsets(topic: string): Promise<ReadonlyArray<{ readonly start: number; readonly end: number }>>;
  /** What a group has committed of every partition, by partition number; null where nothing. Empty for an unknown topic. */
  committed(group: string, topic: string): Promise<ReadonlyArray<number | null>>;
  /** Deletes all records before `before` (DeleteRecords). */
  deleteRecords(
    topic: string,
    before: ReadonlyArray<{ readonly partition: number; readonly offset: number }>,
  ): Promise<void>;
  close(): Promise<void>;
}

/** A reader without a group: explicit partitions from explicit positions. For subscribers, registries and reading ends back. */
export interface Reader {
  poll(maxWaitMs: number): Promise<readonly PartitionBatch[]>;
  /**
   * The offset that a partition goes on from, transaction markers and aborted records passed over; null while records are buffered
   * and for partitions that are not read.
   */
  position(partition: TopicPartition): number | null;
  close(): Promise<void>;
}

export interface Kafka {
  producer(): Promise<Producer>;
  consumer(options: ConsumerOptions): Promise<Consumer>;
  reader(
    positions: ReadonlyArray<TopicPartition & { readonly position: Position }>,
    options?: Pick<ConsumerOptions, 'unreadable'>,
  ): Promise<Reader>;
  admin(): Promise<Admin>;
  close(): Promise<void>;
}
