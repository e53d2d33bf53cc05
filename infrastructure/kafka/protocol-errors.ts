/** Kafka's error codes that Millrace tells apart; the others are told by number. */
export const CODES = {
  OFFSET_OUT_OF_RANGE: 1,
  CORRUPT_MESSAGE: 2,
  UNKNOWN_TOPIC_OR_PARTITION: 3,
  LEADER_NOT_AVAILABLE: 5,
  NOT_LEADER_OR_FOLLOWER: 6,
  REQUEST_TIMED_OUT: 7,
  REPLICA_NOT_AVAILABLE: 9,
  MESSAGE_TOO_LARGE: 10,
  NETWORK_EXCEPTION: 13,
  RECORD_LIST_TOO_LARGE: 18,
  NOT_ENOUGH_REPLICAS: 19,
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: 20,
  TOPIC_AUTHORIZATION_FAILED: 29,
  CLUSTER_AUTHORIZATION_FAILED: 31,
  INVALID_TIMESTAMP: 32,
  INVALID_CONFIG: 40,
  POLICY_VIOLATION: 44,
  OUT_OF_ORDER_SEQUENCE_NUMBER: 45,
  DUPLICATE_SEQUENCE_NUMBER: 46,
  INVALID_PRODUCER_EPOCH: 47,
  KAFKA_STORAGE_ERROR: 56,
  UNKNOWN_PRODUCER_ID: 59,
  FENCED_LEADER_EPOCH: 74,
  UNKNOWN_LEADER_EPOCH: 75,
  OFFSET_NOT_AVAILABLE: 78,
  INVALID_RECORD: 87,
} as const;

const NAMES = new Map<number, string>(Object.entries(CODES).map(([name, code]) => [code, name]));

/** Codes after which the same request may succeed with newer metadata, or later. */
export const PASSING: ReadonlySet<number> = new Set([
  CODES.UNKNOWN_TOPIC_OR_PARTITION,
  CODES.LEADER_NOT_AVAILABLE,
  CODES.NOT_LEADER_OR_FOLLOWER,
  CODES.REQUEST_TIMED_OUT,
  CODES.REPLICA_NOT_AVAILABLE,
  CODES.NETWORK_EXCEPTION,
  CODES.NOT_ENOUGH_REPLICAS,
  CODES.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
  CODES.KAFKA_STORAGE_ERROR,
  CODES.FENCED_LEADER_EPOCH,
  CODES.UNKNOWN_LEADER_EPOCH,
  CODES.OFFSET_NOT_AVAILABLE,
]);

const protocolError = (code: number): string => NAMES.get(code) ?? `Kafka's error ${code}`;

/** What a broker answered instead of doing what it was asked; `type` and `retriable` are read by `kafkaError`, as of kafkajs' errors. */
export class ProtocolError extends Error {
  readonly protocolCode: number;
  readonly type: string;
  readonly retriable: boolean;

  /** `sentence` is given the name of the code. */
  constructor(code: number, retriable: boolean, sentence: (type: string) => string) {
    const type = protocolError(code);
    super(sentence(type));
    this.protocolCode = code;
    this.type = type;
    this.retriable = retriable;
  }
}
