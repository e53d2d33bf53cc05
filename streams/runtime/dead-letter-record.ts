import { createHash } from 'node:crypto';
import type { KafkaRecord, OutgoingRecord } from '../../infrastructure/kafka/port.ts';
import type { DeadLetter, LetterHeader } from '../../schemas/records/dead-letter.ts';
import type { Codecs } from './codecs.ts';
import type { RecordLimits } from './record-limits.ts';

/** What is kept of a value and of a key that are cut, bytes: enough to recognise them by. */
const KEPT_VALUE_BYTES = 65_536;
const KEPT_KEY_BYTES = 1_024;
/** What is kept of headers whose letter is cut, bytes. */
const KEPT_HEADERS_BYTES = 4_096;
/** What is kept of texts beside them, characters. */
const KEPT_TEXT = 1_000;
/** Room for all of a cut letter but its key and value, bytes. */
const FRAME_BYTES = 10_000;

/** What a dead letter says whose raw record is whole and has no headers, or is not there at all. */
export const NOT_CUT = {
  valueBytes: null,
  valueSha256: null,
  keyBytes: null,
  keySha256: null,
  headers: [],
  headersBytes: null,
} as const;

/** A dead letter, before it is known whether the topic takes it whole. */
export type WholeLetter = Omit<DeadLetter, 'format' | keyof typeof NOT_CUT> &
  Partial<Pick<DeadLetter, 'valueBytes' | 'valueSha256' | 'headers'>>;

export interface LetterPlace {
  readonly topic: string;
  readonly partition: number;
  /** Whether the letter travels under the key of the raw record. */
  readonly keyed: boolean;
}

/**
 * The record of a dead letter: whole where its topic takes that, else with the beginnings of the raw key, value and headers, their
 * sizes, and the hashes of key and value. The whole record stands in the raw topic at the letter's source offset.
 */
export function deadLetterRecord(
  codecs: Pick<Codecs, 'deadLetters'>,
  limits: Pick<RecordLimits, 'of' | 'fits'>,
  { topic, partition, keyed }: LetterPlace,
  letter: WholeLetter,
): OutgoingRecord {
  const recordOf = (one: DeadLetter): OutgoingRecord => ({
    topic,
    partition,
    key: keyed ? one.key : null,
    value: codecs.deadLetters.encode(one),
  });
  const whole: DeadLetter = { ...NOT_CUT, ...letter, format: 1 };
  const record = recordOf(whole);
  return limits.fits(record) ? record : recordOf(cut(whole, limits.of(topic)));
}

function cut(letter: DeadLetter, limit: number): DeadLetter {
  const room = Math.max(0, limit - FRAME_BYTES);
  const key = cutBytes(letter.key, Math.min(KEPT_KEY_BYTES, room >> 2));
  const value = cutBytes(letter.value, Math.min(KEPT_VALUE_BYTES, room >> 1));
  const headers = cutHeaders(letter.headers, Math.min(KEPT_HEADERS_BYTES, room >> 3));
  return {
    ...letter,
    detail: letter.detail.slice(0, KEPT_TEXT),
    eventId: letter.eventId === null ? null : letter.eventId.slice(0, KEPT_TEXT),
    key: key.bytes,
    keyBytes: key.size,
    keySha256: key.sha256,
    value: value.bytes,
    valueBytes: value.size ?? letter.valueBytes,
    valueSha256: value.sha256 ?? letter.valueSha256,
    ...headers,
  };
}

/** The headers of a raw record as its dead letter keeps them. */
export function letterHeaders({ headers }: Pick<KafkaRecord, 'headers'>): LetterHeader[] {
  return Object.entries(headers ?? {}).map(([name, value]) => ({ name, value: Buffer.from(value) }));
}

const headerBytes = ({ name, value }: LetterHeader) => Buffer.byteLength(name) + value.length;

function cutHeaders(
  headers: readonly LetterHeader[],
  most: number,
): Pick<DeadLetter, 'headers' | 'headersBytes'> {
  const size = headers.reduce((sum, header) => sum + headerBytes(header), 0);
  if (size <= most) return { headers, headersBytes: null };
  let left = most;
  const kept = headers.filter((header) => {
    left -= headerBytes(header);
    return left >= 0;
  });
  return { headers: kept, headersBytes: size };
}

interface Cut {
  readonly bytes: Uint8Array | null;
  /** Size and hash of the whole, where it was cut. */
  readonly size: number | null;
  readonly sha256: string | null;
}

function cutBytes(bytes: Uint8Array | null, most: number): Cut {
  if (bytes === null || bytes.length <= most) return { bytes, size: null, sha256: null };
  return {
    bytes: bytes.subarray(0, most),
    size: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  };
}
