import type { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { KafkaError } from './errors.ts';
import type { KafkaRecord } from './port.ts';
import { HEADER } from './record-batch.ts';
import { CODECS } from './unpack.ts';
import { Cursor, readInt64 } from './wire.ts';

/** Up to the end of a message without key and value in the format of before 2017. */
const OLD_HEADER = 26;

/** Attribute bits. */
const CODEC = 0x07;
const LOG_APPEND_TIME = 0x08;
const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;

/** Unpacked bytes after which the rest of a fetch is left for the next one. */
const MAX_DECODED_BYTES = 16_777_216;
/** Of a batch that cannot be read, at most so many records are handed out; the last stands for all after it. */
const MAX_UNREADABLE = 10_000;

/** What a fetch brought of one partition. */
export interface DecodedRecords {
  readonly records: KafkaRecord[];
  /** Offset to fetch from next: after the last batch taken, whether or not its records are handed out. */
  readonly next: number;
  /** Bytes that the records take in memory. */
  readonly bytes: number;
}

/** A batch that cannot be read fails the read, or each of its records is handed out as `unreadable`. */
export type Unreadable = 'fail' | 'hand_out';

export interface AbortedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
}

/** A batch of the record set, by its place there. */
interface Batch {
  readonly topic: string;
  readonly partition: number;
  readonly set: Buffer;
  readonly start: number;
  readonly end: number;
  readonly base: number;
  readonly last: number;
  readonly attributes: number;
}

/**
 * Records of a record set from `position` on. The last batch may be cut short by the fetch's size: it is left for
 * the next one, and so are batches that unfold to much more than was fetched. Control batches and the batches of aborted
 * transactions are left out. Throws KafkaError for what no broker should send, unless it is to be handed out.
 */
export function decodeRecords(
  topic: string,
  partition: number,
  set: Buffer,
  position: number,
  aborted: readonly AbortedTransaction[],
  unreadable: Unreadable = 'fail',
): DecodedRecords {
  const records: KafkaRecord[] = [];
  const abortedNow = new Set<number>();
  const toCome = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset);
  let next = position;
  let bytes = 0;
  for (let start = 0; start + OLD_HEADER <= set.length && bytes < MAX_DECODED_BYTES; ) {
    const end = start + 12 + set.readInt32BE(start + 8);
    const old = set[start + 16] !== 2;
    if (end > set.length || end < start + (old ? OLD_HEADER : HEADER)) break;
    const base = readInt64(set, start);
    const last = old ? base : base + set.readInt32BE(start + 23);
    const attributes = old ? 0 : set.readInt16BE(start + 21);
    const batch: Batch = { topic, partition, set, start, end, base, last, attributes };
    const producerId = old ? -1 : readInt64(set, start + 43);
    while (toCome[0] !== undefined && toCome[0].firstOffset <= last) {
      abortedNow.add((toCome.shift() as AbortedTransaction).producerId);
    }
    if ((attributes & CONTROL) !== 0) {
      abortedNow.delete(producerId); // Commit or abort: either way the producer's next batch begins anew.
    } else if ((attributes & TRANSACTIONAL) === 0 || !abortedNow.has(producerId)) {
      bytes += readOrTell(batch, position, records, unreadable);
    }
    next = last + 1;
    start = end;
  }
  return { records, next, bytes };
}

/** Reads a batch; answers with the bytes of its records. Where it cannot be read, its records are handed out as unreadable. */
function readOrTell(batch: Batch, position: number, records: KafkaRecord[], unreadable: Unreadable): number {
  const before = records.length;
  try {
    return readBatch(batch, position, records);
  } catch (error) {
    if (unreadable === 'fail' || !(error instanceof KafkaError)) throw error;
    records.length = before;
    addUnreadable(batch, position, records, error.message);
    return batch.end - batch.start;
  }
}

function addUnreadable(
  { topic, partition, set, start, end, base, last, attributes }: Batch,
  position: number,
  records: KafkaRecord[],
  detail: string,
): void {
  const packed = set.subarray(start, end);
  const unreadable = {
    detail,
    bytes: packed.length,
    sha256: createHash('sha256').update(packed).digest('hex'),
  };
  const appended = (attributes & LOG_APPEND_TIME) !== 0;
  const appendTime = set[start + 16] === 2 ? readInt64(set, start + 35) : 0;
  for (let offset = Math.max(base, position), count = 1; offset <= last; offset += 1, count += 1) {
    const stands = count < MAX_UNREADABLE ? offset : last;
    records.push({
      topic,
      partition,
      offset: stands,
      key: null,
      value: null,
      headers: null,
      appendTime,
      producerStamped: !appended,
      unreadable,
    });
    if (stands === last) return;
  }
}

function readBatch(batch: Batch, position: number, records: KafkaRecord[]): number {
  const { topic, partition, set, start, end, base, attributes } = batch;
  if (set[start + 16] !== 2) throw refused(batch, base, `of the old format ${set[start + 16]}`);
  const appended = (attributes & LOG_APPEND_TIME) !== 0;
  const baseTime = readInt64(set, start + (appended ? 35 : 27));
  const count = set.readInt32BE(start + 57);
  const codec = attributes & CODEC;
  const body = set.subarray(start + HEADER, end);
  const cursor = new Cursor(codec === 0 ? body : unpack(batch, codec, body), 0);
  for (let i = 0; i < count; i++) {
    const length = cursor.varint();
    const to = cursor.pos + length;
    cursor.pos++;
    const delta = cursor.varint();
    const offset = base + cursor.varint();
    const key = cursor.bytes();
    const value = cursor.bytes();
    const headers = readHeaders(cursor);
    if (length < 0 || cursor.pos !== to || to > cursor.buf.length) {
      throw refused(batch, offset, 'that is damaged');
    }
    if (offset < position) continue;
    records.push({
      topic,
      partition,
      offset,
      key,
      value,
      headers,
      appendTime: appended ? baseTime : baseTime + delta,
      producerStamped: !appended,
    });
  }
  return cursor.buf.length;
}

function readHeaders(cursor: Cursor): Record<string, Uint8Array> | null {
  const count = cursor.varint();
  if (count <= 0) return null;
  const headers: Record<string, Uint8Array> = {};
  for (let i = 0; i < count && cursor.pos < cursor.buf.length; i++) {
    const name = cursor.bytes()?.toString('utf8') ?? '';
    const value = cursor.bytes();
    if (value !== null && name !== '__proto__') headers[name] = value;
  }
  return headers;
}

function unpack(batch: Batch, codec: number, body: Buffer): Buffer {
  const found = CODECS[codec];
  if (found === undefined) throw refused(batch, batch.base, `packed in an unknown way (${codec})`);
  try {
    return found.unpack(body);
  } catch (cause) {
    const what = `packed with ${found.name} that cannot be unpacked: ${(cause as Error).message}`;
    throw refused(batch, batch.base, what, cause);
  }
}

function refused({ topic, partition }: Batch, offset: number, what: string, cause?: unknown): KafkaError {
  const message = `${topic}:${partition} has at offset ${offset} a batch ${what}`;
  return new KafkaError('request_failed', message, { retriable: false, cause });
}
