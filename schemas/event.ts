/** What an event may carry in a field. Times are epoch milliseconds. */
export type Scalar = string | number | boolean | null;

export const FIELD_TYPES = ['string', 'int', 'double', 'bool', 'timestamp'] as const;
export type FieldType = (typeof FIELD_TYPES)[number];

/**
 * One event, flat: the three names that every event has, and the declared fields of its source
 * beside them. All events of a source have all fields of the source (null where absent), so that
 * they keep one shape.
 */
export interface EventRecord {
  readonly id: string;
  readonly type: string;
  /** Event time, epoch ms. */
  readonly time: number;
  readonly [field: string]: Scalar;
}

/** An accepted event as the validated topic carries it. */
export interface ValidatedEvent {
  readonly event: EventRecord;
  /** Offset in the raw topic; the partition is the same in both. */
  readonly offset: number;
  /** When the broker appended the raw record, epoch ms. */
  readonly appendTime: number;
  /**
   * When the event first arrived at Kafka, epoch ms: `appendTime`, or what a replayed record carries of the
   * append time it had once. Null for history that has none.
   */
  readonly arrivedAt: number | null;
}

/**
 * An event's time as watermarks and reads take it, epoch ms: no later than its arrival, so that a producer whose clock is
 * fast moves nobody else's time. An event without an arrival time is taken at its word.
 */
export function cappedTime(eventTime: number, arrivedAt: number | null): number {
  return arrivedAt === null ? eventTime : Math.min(eventTime, arrivedAt);
}

/** An expression compiled to a plain function of an event. Null where an operand is null. */
export type EventExpression<T extends Scalar = Scalar> = (event: EventRecord) => T | null;
