import { MillraceError } from '../../schemas/refusal.ts';

const KAFKA_ERROR_CODES = [
  /** No broker answers at the given addresses. */
  'unreachable',
  /** The broker does not let us in: TLS, SASL or access rules. */
  'not_allowed',
  'unknown_topic',
  /** A send failed; whether its records were stored is not known. */
  'send_failed',
  /** A record is larger than its topic takes: it can never be sent as it is. */
  'record_too_large',
  /** The producer had failed before: make a new one. */
  'producer_dead',
  /** The group has moved on, so an offset of an older generation was not committed. */
  'stale_generation',
  /** The consumer stopped by itself: make a new one. */
  'consumer_stopped',
  /** A reader's position is not in the log (any more). */
  'position_deleted',
  /** Any other refusal of a request. */
  'request_failed',
  /** The client has been closed. */
  'closed',
] as const;
export type KafkaErrorCode = (typeof KAFKA_ERROR_CODES)[number];

export class KafkaError extends MillraceError {
  readonly code: KafkaErrorCode;
  readonly retriable: boolean;
  override readonly final: boolean;

  constructor(code: KafkaErrorCode, message: string, options: { retriable: boolean; cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.final = code === 'closed';
    this.retriable = options.retriable;
  }
}

/** A record alone is more than its topic takes (`max.message.bytes`). */
export class RecordTooLarge extends KafkaError {
  readonly topic: string;
  /** Bytes of the batch that was refused, with this record alone in it. */
  readonly bytes: number;

  constructor(topic: string, partition: number, bytes: number) {
    super(
      'record_too_large',
      `${topic}:${partition} does not take a record of ${bytes} bytes; raise max.message.bytes of the topic, or send less`,
      { retriable: false },
    );
    this.topic = topic;
    this.bytes = bytes;
  }
}
