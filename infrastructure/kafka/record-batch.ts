import { Buffer } from 'node:buffer';
import { crc32c } from './crc32c.ts';
import { KafkaError } from './errors.ts';
import type { KafkaRecord, OutgoingRecord } from './port.ts';
import { CODECS } from './unpack.ts';
import { Cursor, readInt64, varintSize, writeInt64, writeVarint } from './wire.ts';

/**
 * Kafka's record batch, magic 2:
 *
 *   baseOffset int64, batchLength int32, partitionLeaderEpoch int32, magic int8, crc uint32 (of all that follows),
 *   attributes int16, lastOffsetDelta int32, baseTimestamp int64, maxTimestamp int64,
 *   producerId int64, producerEpoch int16, baseSequence int32, count int32, record*
 *
 *   record: length varint, attributes int8, timestampDelta varint, offsetDelta varint,
 *           key bytes, value bytes, (name bytes, value bytes)*    (lengths and counts are varints, -1 is null)
 */

const HEADER = 61;
const CRC_FROM = 21;

/** Attribute bits. */
const CODEC = 0x07;
const LOG_APPEND_TIME = 0x08;
const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;

let slab = Buffer.allocUnsafe(262_144);

export interface BatchIdentity {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
}

/** Upper bound of the bytes of one record in a batch. */
export function recordSize(record: OutgoingRecord): number {
  let size = 32 + (record.key?.length ?? 0) + (record.value?.length ?? 0);
  if (record.headers !== undefined) {
    for (const name in record.headers) size += 10 + 3 * (name.length + (record.headers[name] ?? '').length);
  }
  return size;
}

/** One uncompressed batch of one partition. `timestamp` is epoch ms; LogAppendTime topics replace it. */
export function encodeBatch(
  records: readonly OutgoingRecord[],
  identity: BatchIdentity,
  timestamp: number,
): Buffer {
  let bound = HEADER;
  for (const record of records) bound += recordSize(record);
  if (bound > slab.length) slab = Buffer.allocUnsafe(bound * 2);
  let at = HEADER;
  for (let i = 0; i < records.length; i++) at = writeRecord(records[i] as OutgoingRecord, i, at);
  writeInt64(slab, 0, 0);
  slab.writeInt32BE(at - 12, 8);
  slab.writeInt32BE(-1, 12);
  slab[16] = 2;
  slab.writeInt16BE(0, 21);
  slab.writeInt32BE(records.length - 1, 23);
  writeInt64(slab, timestamp, 27);
  writeInt64(slab, timestamp, 35);
  writeInt64(slab, identity.producerId, 43);
  slab.writeInt16BE(identity.producerEpoch, 51);
  slab.writeInt32BE(identity.baseSequence, 53);
  slab.writeInt32BE(records.length, 57);
  slab.writeUInt32BE(crc32c(slab, CRC_FROM, at), 17);
  const batch = Buffer.allocUnsafe(at);
  slab.copy(batch, 0, 0, at);
  return batch;
}

function writeRecord(record: OutgoingRecord, offsetDelta: number, start: number): number {
  const { key, value, headers } = record;
  const names = headers === undefined ? [] : Object.keys(headers);
  let size = 2 + varintSize(offsetDelta) + bytesSize(key) + bytesSize(value) + varintSize(names.length);
  for (const name of names) {
    const nameLength = Buffer.byteLength(name);
    const textLength = Buffer.byteLength(headers?.[name] ?? '');
    size += varintSize(nameLength) + nameLength + varintSize(textLength) + textLength;
  }
  let at = writeVarint(slab, size, start);
  slab[at++] = 0;
  slab[at++] = 0;
  at = writeVarint(slab, offsetDelta, at);
  at = writeBytes(key, at);
  at = writeBytes(value, at);
  at = writeVarint(slab, names.length, at);
  for (const name of names) {
    at = writeText(name, at);
    at = writeText(headers?.[name] ?? '', at);
  }
  return at;
}

function bytesSize(bytes: Uint8Array | null): number {
  return bytes === null ? 1 : varintSize(bytes.length) + bytes.length;
}

function writeBytes(bytes: Uint8Array | null, at: number): number {
  if (bytes === null) return writeVarint(slab, -1, at);
  const from = writeVarint(slab, bytes.length, at);
  slab.set(bytes, from);
  return from + bytes.length;
}

function writeText(text: string, at: number): number {
  const from = writeVarint(slab, Buffer.byteLength(text), at);
  return from + slab.write(text, from, 'utf8');
}

/** What a fetch brought of one partition. */
export interface DecodedRecords {
  readonly records: KafkaRecord[];
  /** Offset to fetch from next: after the last whole batch, whether or not its records are handed out. */
  readonly next: number;
}

export interface AbortedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
}

/**
 * Records of a record set from `position` on. The last batch may be cut short by the fetch's size: it is left for
 * the next one. Control batches and the batches of aborted transactions are left out.
 * Throws KafkaError for what no broker should send.
 */
export function decodeRecords(
  topic: string,
  partition: number,
  set: Buffer,
  position: number,
  aborted: readonly AbortedTransaction[],
): DecodedRecords {
  const records: KafkaRecord[] = [];
  const abortedNow = new Set<number>();
  const toCome = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset);
  let next = position;
  for (let start = 0; start + HEADER <= set.length; ) {
    const end = start + 12 + set.readInt32BE(start + 8);
    if (end > set.length || end < start + HEADER) break;
    if (set[start + 16] !== 2) throw refused(topic, partition, next, `of the old format ${set[start + 16]}`);
    const attributes = set.readInt16BE(start + 21);
    const base = readInt64(set, start);
    const last = base + set.readInt32BE(start + 23);
    const producerId = readInt64(set, start + 43);
    while (toCome[0] !== undefined && toCome[0].firstOffset <= last) {
      abortedNow.add((toCome.shift() as AbortedTransaction).producerId);
    }
    if ((attributes & CONTROL) !== 0) {
      abortedNow.delete(producerId); // Commit or abort: either way the producer's next batch begins anew.
    } else if ((attributes & TRANSACTIONAL) === 0 || !abortedNow.has(producerId)) {
      readBatch(topic, partition, set, start, end, attributes, base, position, records);
    }
    next = last + 1;
    start = end;
  }
  return { records, next };
}

function readBatch(
  topic: string,
  partition: number,
  set: Buffer,
  start: number,
  end: number,
  attributes: number,
  base: number,
  position: number,
  records: KafkaRecord[],
): void {
  const appended = (attributes & LOG_APPEND_TIME) !== 0;
  const baseTime = readInt64(set, start + (appended ? 35 : 27));
  const count = set.readInt32BE(start + 57);
  const codec = attributes & CODEC;
  const body = set.subarray(start + HEADER, end);
  const cursor = new Cursor(codec === 0 ? body : unpack(codec, body, topic, partition, base), 0);
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
      throw refused(topic, partition, offset, 'that is damaged');
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

function unpack(codec: number, body: Buffer, topic: string, partition: number, offset: number): Buffer {
  const found = CODECS[codec];
  if (found === undefined) throw refused(topic, partition, offset, `packed in an unknown way (${codec})`);
  try {
    return found.unpack(body);
  } catch (cause) {
    const what = `packed with ${found.name} that cannot be unpacked: ${(cause as Error).message}`;
    throw refused(topic, partition, offset, what, cause);
  }
}

function refused(
  topic: string,
  partition: number,
  offset: number,
  what: string,
  cause?: unknown,
): KafkaError {
  const message = `${topic}:${partition} has at offset ${offset} a batch ${what}`;
  return new KafkaError('request_failed', message, { retriable: false, cause });
}
