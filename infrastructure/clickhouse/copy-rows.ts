import { AvroCursor } from '../../schemas/avro-cursor.ts';
import type { FieldType } from '../../schemas/event.ts';
import type { Source } from '../../schemas/project.ts';
import type { RowBinaryWriter } from './row-binary.ts';

/**
 * From the Avro of our own topics straight to RowBinary: texts and doubles are the same bytes in both, so a row is copied, not decoded.
 * Each function writes the columns of its encoder in rows.ts, in the same order; a test holds the bytes of both against each other.
 * They throw NotAsWritten where a value is not laid out as our encoder writes it, with half a row written.
 */

/** Where a record stands in the topic that is archived. */
export interface Place {
  readonly partition: number;
  readonly offset: number;
  readonly appendTime: number;
}

const cursor = new AvroCursor();

/** The fields of a source after id, type and time; `offset` of the row that was copied last. */
export interface EventCopier {
  /** Answers with the offset in the raw topic. */
  copy(writer: RowBinaryWriter, value: Uint8Array, at: number, place: Place): number;
}

export function eventCopier(source: Source, sourceTopic: string): EventCopier {
  const types = source.fields.map(({ type }) => type);
  const topic = Buffer.from(sourceTopic);
  return {
    copy(writer, value, at, { partition, offset }) {
      cursor.begin(value, at);
      const sourceOffset = cursor.long();
      const appendTime = cursor.long();
      const arrivedAt = cursor.present() ? cursor.long() : null;
      copyText(writer);
      copyText(writer);
      writer.int64(cursor.long());
      writer.byte(0);
      writer.bytes(topic);
      writer.int32(partition);
      writer.int64(sourceOffset);
      writer.int64(appendTime);
      writer.int32(partition);
      writer.int64(offset);
      writer.nullableInt64(arrivedAt);
      for (let i = 0; i < types.length; i += 1) copyField(writer, types[i] as FieldType);
      cursor.finish();
      return sourceOffset;
    },
  };
}

function copyText(writer: RowBinaryWriter): void {
  cursor.text();
  writer.text(cursor.bytes, cursor.from, cursor.to);
}

function copyDouble(writer: RowBinaryWriter): void {
  const from = cursor.skip(8);
  writer.raw(cursor.bytes, from, from + 8);
}

function copyField(writer: RowBinaryWriter, type: FieldType): void {
  if (!cursor.present()) {
    writer.byte(1);
    return;
  }
  writer.byte(0);
  if (type === 'string') copyText(writer);
  else if (type === 'double') copyDouble(writer);
  else if (type === 'bool') writer.byte(cursor.bool());
  else writer.int64(cursor.long());
}

const STATUSES = [Buffer.from('scored'), Buffer.from('refused')];
const ABSENT_REASONS = [Buffer.from('missing_key'), Buffer.from('stale')];

/** What the archive must know of a prediction beside its row. */
export interface CopiedPrediction {
  format: number;
  modelVersion: number;
  sourcePartition: number;
  sourceOffset: number;
  /** The model's name is the one that was asked for. */
  sameModel: boolean;
}

/** Copies a prediction; `into` is told what the archive must know. `model`: name of the model that should have answered, UTF-8. */
export function copyPrediction(
  writer: RowBinaryWriter,
  value: Uint8Array,
  at: number,
  { partition, offset, appendTime }: Place,
  model: Uint8Array,
  into: CopiedPrediction,
): void {
  cursor.begin(value, at);
  into.format = cursor.int();
  copyText(writer);
  copyText(writer);
  writer.int64(cursor.long());
  copyEnum(writer, STATUSES);
  if (cursor.present()) copyText(writer);
  else writer.byte(0);
  cursor.text();
  into.sameModel = isText(model);
  writer.text(cursor.bytes, cursor.from, cursor.to);
  into.modelVersion = cursor.int();
  writer.int32(into.modelVersion);
  copyText(writer);
  copyField(writer, 'double');
  copyField(writer, 'bool');
  copyText(writer);
  copyVector(writer);
  copyReads(writer);
  copyText(writer);
  into.sourcePartition = cursor.int();
  writer.int32(into.sourcePartition);
  into.sourceOffset = cursor.long();
  writer.int64(into.sourceOffset);
  writer.int64(cursor.long());
  writer.int64(appendTime);
  for (let i = 0; i < 3; i += 1) copyDouble(writer);
  writer.int32(partition);
  writer.int64(offset);
  copyAbsent(writer);
  cursor.finish();
}

function isText(text: Uint8Array): boolean {
  const { bytes, from, to } = cursor;
  if (to - from !== text.length) return false;
  for (let i = 0; i < text.length; i += 1) if (bytes[from + i] !== text[i]) return false;
  return true;
}

function copyEnum(writer: RowBinaryWriter, symbols: readonly Uint8Array[]): void {
  const symbol = symbols[cursor.int()];
  if (symbol === undefined) cursor.skip(Number.POSITIVE_INFINITY);
  else writer.bytes(symbol);
}

function copyVector(writer: RowBinaryWriter): void {
  const count = cursor.items();
  writer.varint(count);
  if (count === 0) return;
  const from = cursor.skip(count * 8);
  writer.raw(cursor.bytes, from, cursor.at);
  cursor.end();
}

function copyReads(writer: RowBinaryWriter): void {
  const count = cursor.items();
  writer.varint(count);
  for (let i = 0; i < count; i += 1) {
    copyText(writer);
    copyText(writer);
    copyText(writer);
    writer.int64(cursor.long());
    writer.int64(cursor.long());
    copyField(writer, 'int');
    writer.int64(cursor.long());
  }
  if (count > 0) cursor.end();
}

function copyAbsent(writer: RowBinaryWriter): void {
  const count = cursor.items();
  writer.varint(count);
  for (let i = 0; i < count; i += 1) {
    copyText(writer);
    copyEnum(writer, ABSENT_REASONS);
  }
  if (count > 0) cursor.end();
}
