import { Buffer } from 'node:buffer';
import type { Schema, Type, types } from 'avsc';
import { asBuffer, createValueReader, parseSchema, type ValueReader } from './avro.ts';
import { flatEncoder } from './flat-encoder.ts';
import type { RefusalCode, Rejected } from './refusal.ts';

/**
 * Confluent wire format: a zero byte, the schema's id in 4 bytes (big-endian), the Avro value.
 * A record that cannot be decoded is answered as a value, never thrown.
 */

/** Bytes before the value. */
export const WIRE_HEADER = 5;

/** Why bytes are no record of ours: a refusal that can be told from any value by `instanceof`. */
export class DecodeFailure implements Rejected {
  readonly stage = 'decode';
  readonly code: RefusalCode;
  readonly detail: string;

  constructor(code: RefusalCode, detail: string) {
    this.code = code;
    this.detail = detail;
  }
}

/** Schema id of a record, or why there is none. */
export function wireId(bytes: Uint8Array): number | DecodeFailure {
  if (bytes.length < WIRE_HEADER) {
    return new DecodeFailure(
      'bad_wire_format',
      `the record has ${bytes.length} bytes; a schema id alone takes 5`,
    );
  }
  if (bytes[0] !== 0) {
    return new DecodeFailure(
      'bad_wire_format',
      `the record begins with byte ${bytes[0]}, not with the 0 of Avro`,
    );
  }
  return asBuffer(bytes).readUInt32BE(1);
}

/** Reads the value after the header. */
export function readWire(read: ValueReader, bytes: Uint8Array): unknown {
  try {
    return read(bytes, WIRE_HEADER);
  } catch (error) {
    return new DecodeFailure('bad_avro', `the bytes are no value of their schema: ${sentence(error)}`);
  }
}

function sentence(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (message.includes('call stack')) return 'it is nested too deeply';
  return message.length > 200 ? `${message.slice(0, 200)}...` : message;
}

export interface Codec<T> {
  readonly id: number;
  readonly type: Type;
  /** A fresh array. Throws TypeError where the record does not fit the schema: that is a bug of the caller. */
  encode(record: T): Uint8Array;
  decode(bytes: Uint8Array): T | DecodeFailure;
  /**
   * Takes records of another version of the schema from now on, answered in this one's form.
   * Throws TypeError where the two do not agree.
   */
  accept(id: number, writer: Schema | string): void;
}

let slab = Buffer.allocUnsafe(65_536);

/** Value in wire format. Values are written into one shared slab, which grows, and copied out. */
function encodeWire(type: Type, id: number, value: unknown): Uint8Array {
  let end = type.encode(value, slab, WIRE_HEADER);
  if (end < 0) {
    slab = Buffer.allocUnsafe(Math.max(slab.length * 2, slab.length - end + WIRE_HEADER));
    end = type.encode(value, slab, WIRE_HEADER);
  }
  slab[0] = 0;
  slab.writeUInt32BE(id, 1);
  const bytes = Buffer.allocUnsafe(end);
  slab.copy(bytes, 0, 0, end);
  return bytes;
}

/** Names of the record's own fields that hold bytes: avsc wants Buffers there. */
function bytesFields(type: Type): string[] {
  const isBytes = (field: Type): boolean =>
    field.typeName === 'bytes' || ((field as { types?: readonly Type[] }).types ?? []).some(isBytes);
  return ((type as Partial<types.RecordType>).fields ?? [])
    .filter((field) => isBytes(field.type))
    .map((field) => field.name);
}

/** Codec of one schema under the id that the registry gave it. */
export function createCodec<T extends object>(schema: Schema, id: number): Codec<T> {
  const type = parseSchema(schema);
  const own = createValueReader(type);
  const others = new Map<number, ValueReader>();
  const binary = bytesFields(type);
  const flat = flatEncoder(type);
  return {
    id,
    type,
    encode(record) {
      const written = flat?.(record, WIRE_HEADER) ?? null;
      if (written !== null) {
        written[0] = 0;
        written.writeUInt32BE(id, 1);
        return written;
      }
      if (binary.length === 0) return encodeWire(type, id, record);
      const copy = { ...record } as Record<string, unknown>;
      for (const name of binary) {
        const value = copy[name];
        if (value instanceof Uint8Array) copy[name] = asBuffer(value);
      }
      return encodeWire(type, id, copy);
    },
    decode(bytes) {
      const found = wireId(bytes);
      if (typeof found !== 'number') return found;
      const read = found === id ? own : others.get(found);
      if (read === undefined) {
        return new DecodeFailure(
          'unknown_schema',
          `the record names schema ${found}, which is not one of ours`,
        );
      }
      return readWire(read, bytes) as T | DecodeFailure;
    },
    accept(otherId, writer) {
      others.set(otherId, createValueReader(parseSchema(writer), type));
    },
  };
}
