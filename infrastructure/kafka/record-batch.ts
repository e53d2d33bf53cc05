import { Buffer } from 'node:buffer';
import { crc32c } from './crc32c.ts';
import type { OutgoingRecord } from './port.ts';
import { varintSize, writeInt64, writeVarint } from './wire.ts';

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

export const HEADER = 61;
const CRC_FROM = 21;

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

/** Upper bound of the bytes of a batch that holds this record alone: what a topic's limit is compared with. */
export function loneBatchSize(record: OutgoingRecord): number {
  return HEADER + recordSize(record);
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
    const value = headers?.[name] ?? '';
    at = typeof value === 'string' ? writeText(value, at) : writeBytes(value, at);
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
