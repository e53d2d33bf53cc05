import { Buffer } from 'node:buffer';
import avsc, { type Schema, type Type } from 'avsc';

/**
 * avsc types that survive hostile bytes. Plain avsc hangs for ever on 6 bytes for any schema with a map,
 * exhausts memory on 5 bytes of `array<null>`, steps backwards on a negative block size, and lets a map key
 * `__proto__` become the prototype of the value. Every parser of Avro in Millrace goes through `parseSchema`.
 */

interface Tap {
  buf: Uint8Array;
  pos: number;
  readLong(): number;
  readString(): string;
  skipLong(): void;
  skipString(): void;
}

interface Readable {
  _read(tap: Tap): unknown;
  _skip(tap: Tap): void;
}

/**
 * Items that the message in hand may still bring, over all its arrays and maps: as many as it has bytes, since an
 * item takes one at least. (Items without bytes, as in `array<null>`, count the same.) Decoding is synchronous,
 * so one counter serves all types.
 */
let itemsLeft = 0;

/** Block of an array or map: its number of items, 0 at the end. Throws where the bytes cannot hold it. */
function readCount(tap: Tap): number {
  let count = tap.readLong();
  if (count < 0) {
    count = -count;
    tap.skipLong();
  }
  if (!(count <= itemsLeft)) throw new RangeError('a block claims more items than the message has bytes');
  itemsLeft -= count;
  return count;
}

/** The same where the block is to be skipped: one that tells its size is stepped over, and -1 answered. */
function skipCount(tap: Tap): number {
  const count = tap.readLong();
  if (count >= 0) {
    if (!(count <= itemsLeft)) throw new RangeError('a block claims more items than the message has bytes');
    itemsLeft -= count;
    return count;
  }
  if (Number.isNaN(count)) throw new RangeError('a block has no count');
  const size = tap.readLong();
  if (!(size >= 0 && size <= tap.buf.length - tap.pos))
    throw new RangeError('a block claims a size it has not');
  tap.pos += size;
  return -1;
}

class BoundedArray extends avsc.types.ArrayType {
  _read(tap: Tap): unknown[] {
    const items = this.itemsType as unknown as Readable;
    let count = readCount(tap);
    // Most arrays are one block: their length is known, and bounded, beforehand.
    const values: unknown[] = new Array(count);
    for (let i = 0; i < count; i++) values[i] = items._read(tap);
    while (count > 0) {
      count = readCount(tap);
      for (let i = 0; i < count; i++) values.push(items._read(tap));
    }
    return values;
  }

  _skip(tap: Tap): void {
    const items = this.itemsType as unknown as Readable;
    for (let count = skipCount(tap); count !== 0; count = skipCount(tap)) {
      for (let i = 0; i < count; i++) items._skip(tap);
    }
  }
}

class BoundedMap extends avsc.types.MapType {
  _read(tap: Tap): Record<string, unknown> {
    const items = this.valuesType as Readable;
    const values: Record<string, unknown> = {};
    for (let count = readCount(tap); count > 0; count = readCount(tap)) {
      for (let i = 0; i < count; i++) {
        const key = tap.readString();
        if (key === '__proto__') throw new RangeError('a map has the key __proto__');
        values[key] = items._read(tap);
      }
    }
    return values;
  }

  _skip(tap: Tap): void {
    const items = this.valuesType as Readable;
    for (let count = skipCount(tap); count !== 0; count = skipCount(tap)) {
      for (let i = 0; i < count; i++) {
        tap.skipString();
        items._skip(tap);
      }
    }
  }
}

/** avsc reads an int of any length, infinity included. */
class BoundedInt extends avsc.types.IntType {
  _read(tap: Tap): number {
    const value = tap.readLong();
    if (value !== (value | 0)) throw new RangeError('an int is beyond 32 bits');
    return value;
  }
}

function boundedType(schema: Schema, options: object): Type | undefined {
  const type = typeof schema === 'object' && 'type' in schema ? schema.type : schema;
  if (type === 'int') return new BoundedInt();
  if (type === 'array') return new BoundedArray(schema, options);
  if (type === 'map') return new BoundedMap(schema, options);
  return undefined;
}

/** A schema text longer than this, or one that unfolds to more nodes than that, is refused. */
const MAX_SCHEMA_TEXT = 262_144;
const MAX_SCHEMA_NODES = 20_000;

/**
 * Nodes that one value unfolds to without bytes of its own: records hold records, so 30 small ones may make 2^30.
 * A record inside itself through arrays, maps and unions is fine: each step takes a byte.
 */
function unfoldedSize(type: Type, open: Set<Type>, known: Map<Type, number>): number {
  if (!avsc.Type.isType(type, 'record', 'error')) return 1;
  const size = known.get(type);
  if (size !== undefined) return size;
  if (open.has(type))
    throw new TypeError(`the record ${type.name ?? ''} holds itself, so no value of it ends`);
  open.add(type);
  let sum = 1;
  for (const field of (type as avsc.types.RecordType).fields) {
    if (field.name === '__proto__') throw new TypeError('a field may not be named __proto__');
    sum += unfoldedSize(field.type, open, known);
    if (sum > MAX_SCHEMA_NODES)
      throw new TypeError(`one value unfolds to more than ${MAX_SCHEMA_NODES} fields`);
  }
  open.delete(type);
  known.set(type, sum);
  return sum;
}

/** Every record type that `type` reaches is checked, whatever stands between. */
function checkUnfolding(type: Type, seen: Set<Type>, known: Map<Type, number>): void {
  if (seen.has(type)) return;
  seen.add(type);
  const inner = type as Partial<avsc.types.ArrayType & avsc.types.MapType & avsc.types.RecordType> & {
    readonly types?: readonly Type[];
  };
  for (const field of inner.fields ?? []) checkUnfolding(field.type, seen, known);
  for (const branch of inner.types ?? []) checkUnfolding(branch, seen, known);
  if (inner.itemsType !== undefined) checkUnfolding(inner.itemsType, seen, known);
  if (inner.valuesType !== undefined) checkUnfolding(inner.valuesType as Type, seen, known);
  unfoldedSize(type, new Set(), known);
}

/**
 * Type of a schema, as JSON or its text, with bounded reading. Throws TypeError, with one sentence, where the
 * schema itself is no good.
 */
export function parseSchema(schema: Schema | string): Type {
  let parsed: Schema = schema;
  try {
    if (typeof schema === 'string') {
      if (schema.length > MAX_SCHEMA_TEXT) throw new TypeError(`its text is longer than ${MAX_SCHEMA_TEXT}`);
      parsed = /^\s*[[{"]/.test(schema) ? (JSON.parse(schema) as Schema) : schema;
    }
    const type = avsc.Type.forSchema(parsed, { typeHook: boundedType, omitRecordMethods: true });
    checkUnfolding(type, new Set(), new Map());
    return type;
  } catch (cause) {
    throw new TypeError(`the Avro schema cannot be used: ${(cause as Error).message}`, { cause });
  }
}

/** Turns the bytes of one value into it; throws for bytes that are not one, whole, with nothing after it. */
export type ValueReader = (bytes: Uint8Array) => unknown;

/** Reader of values written as `writer`, answered as `reader` (the same where left out). Throws where they do not agree. */
export function createValueReader(writer: Type, reader: Type = writer): ValueReader {
  const resolver = reader === writer ? undefined : reader.createResolver(writer);
  return (bytes) => {
    itemsLeft = bytes.length;
    return reader.fromBuffer(asBuffer(bytes), resolver);
  };
}

/** The same bytes as a Buffer, which avsc and kafkajs ask for. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
