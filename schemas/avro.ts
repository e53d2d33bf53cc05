import { Buffer } from 'node:buffer';
import avsc, { type Schema, type Type } from 'avsc';
import { FAILED, flatDecoder } from './flat-decoder.ts';

/**
 * avsc types that survive hostile bytes. Plain avsc hangs for ever on 6 bytes for any schema with a map,
 * exhausts memory on 5 bytes of `array<null>`, steps backwards on a negative block size, and lets a map key
 * `__proto__` become the prototype of the value. Every parser of Avro in Millrace goes through `parseSchema`.
 */

interface Tap {
  buf: Uint8Array;
  pos: number;
  readLong(): number;
  writeLong(value: number): void;
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

/** avsc's arithmetic on the wire's doubled value is exact below this, and so for every value that it gives below it. */
const EXACT_BY_AVSC = 2 ** 51;

/** A long as it stands on the wire: a bigint beyond the safe integers. */
function readLong(tap: Tap): number | bigint {
  const start = tap.pos;
  const value = tap.readLong();
  if (value > -EXACT_BY_AVSC && value < EXACT_BY_AVSC) return value;
  let zigzag = 0n;
  for (let at = start, shift = 0n; at < tap.pos; at += 1, shift += 7n) {
    if (shift > 63n) throw new RangeError('a long is longer than 64 bits');
    zigzag |= BigInt((tap.buf[at] ?? 0) & 0x7f) << shift;
  }
  const exact = (zigzag >> 1n) ^ -(zigzag & 1n);
  const narrow = Number(exact);
  return Number.isSafeInteger(narrow) ? narrow : exact;
}

/**
 * avsc rounds longs from 2^52 on, and refuses the largest safe integers. Here every safe integer is written and read back the same, and
 * a larger one is read as a bigint, so that whoever needs it can say what it is and nobody else is disturbed.
 */
class ExactLong extends avsc.types.LongType {
  _check(value: unknown, _flags: unknown, hook?: (value: unknown, type: Type) => void): boolean {
    const fits = Number.isSafeInteger(value);
    if (!fits && hook !== undefined) hook(value, this);
    return fits;
  }

  _read(tap: Tap): number | bigint {
    return readLong(tap);
  }

  _write(tap: Tap, value: number): void {
    if (!Number.isSafeInteger(value)) throw new TypeError(`${String(value)} is no whole number within 2^53`);
    if (value > -EXACT_BY_AVSC && value < EXACT_BY_AVSC) {
      tap.writeLong(value);
      return;
    }
    let rest = value >= 0 ? BigInt(value) * 2n : BigInt(value) * -2n - 1n;
    for (; rest > 0x7fn; rest >>= 7n) tap.buf[tap.pos++] = Number(rest & 0x7fn) | 0x80;
    tap.buf[tap.pos++] = Number(rest);
  }
}

/** Of a writer's long, where a double is asked for, avsc makes the nearest double. Here it is a bigint where that is another number. */
class ExactDouble extends avsc.types.DoubleType {
  _update(resolver: { _read?: (tap: Tap) => unknown }, type: Type): void {
    if (type.typeName === 'long')
      resolver._read = (tap) => {
        const value = readLong(tap);
        return BigInt(Number(value)) === BigInt(value) ? Number(value) : value;
      };
    else updateDouble.call(this, resolver, type);
  }
}
const updateDouble = (
  avsc.types.DoubleType.prototype as unknown as {
    _update(this: unknown, resolver: object, type: Type): void;
  }
)._update;

/** What a number of a time counts: thousandths, millionths or billionths of a second since 1970, or days. */
export type TimeUnit = 'ms' | 'us' | 'ns' | 'days';

const LOGICAL_UNITS: Readonly<Record<string, TimeUnit>> = {
  'timestamp-millis': 'ms',
  'local-timestamp-millis': 'ms',
  'timestamp-micros': 'us',
  'local-timestamp-micros': 'us',
  'timestamp-nanos': 'ns',
  'local-timestamp-nanos': 'ns',
  date: 'days',
};

/** Units of the types whose schema names one; avsc's types are frozen. */
const unitOf = new WeakMap<Type, TimeUnit>();

function withUnit(type: Type, schema: Schema): Type {
  const { logicalType } = schema as { readonly logicalType?: unknown };
  const unit = typeof logicalType === 'string' ? LOGICAL_UNITS[logicalType] : undefined;
  if (unit !== undefined) unitOf.set(type, unit);
  return type;
}

/** The unit that a schema gives to the number at a path of its records; null where it gives none. */
export function timeUnitAt(type: Type, path: readonly string[]): TimeUnit | null {
  const branches = (one: Type): readonly Type[] =>
    (one as { readonly types?: readonly Type[] }).types ?? [one];
  let found = branches(type);
  for (const step of path)
    found = found.flatMap((one) => {
      const field = (one as Partial<avsc.types.RecordType>).fields?.find(({ name }) => name === step);
      return field === undefined ? [] : branches(field.type);
    });
  for (const one of found) {
    const unit = unitOf.get(one);
    if (unit !== undefined) return unit;
  }
  return null;
}

function boundedType(schema: Schema, options: object): Type | undefined {
  const type = typeof schema === 'object' && 'type' in schema ? schema.type : schema;
  if (type === 'int') return withUnit(new BoundedInt(), schema);
  if (type === 'long') return withUnit(new ExactLong(), schema);
  if (type === 'double') return new ExactDouble();
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
 * Type of a schema, as JSON or its text, with bounded reading. `references` are texts of the schemas that it names, each before
 * those that name it. Throws TypeError, with one sentence, where the schema itself is no good.
 */
export function parseSchema(schema: Schema | string, references: readonly string[] = []): Type {
  try {
    const length = references.reduce(
      (sum, text) => sum + text.length,
      typeof schema === 'string' ? schema.length : 0,
    );
    if (length > MAX_SCHEMA_TEXT) throw new TypeError(`its text is longer than ${MAX_SCHEMA_TEXT}`);
    const options = { typeHook: boundedType, omitRecordMethods: true, registry: {} };
    for (const text of references) avsc.Type.forSchema(schemaOf(text), options);
    const type = avsc.Type.forSchema(schemaOf(schema), options);
    checkUnfolding(type, new Set(), new Map());
    return type;
  } catch (cause) {
    throw new TypeError(`the Avro schema cannot be used: ${(cause as Error).message}`, { cause });
  }
}

const schemaOf = (schema: Schema | string): Schema =>
  typeof schema === 'string' && /^\s*[[{"]/.test(schema) ? (JSON.parse(schema) as Schema) : schema;

/** Turns the bytes of one value, from `from` (default 0) on, into it; throws for bytes that are not one, whole, with nothing after it. */
export type ValueReader = (bytes: Uint8Array, from?: number) => unknown;

/** Reader of values written as `writer`, answered as `reader` (the same where left out). Throws where they do not agree. */
export function createValueReader(writer: Type, reader: Type = writer): ValueReader {
  const resolver = isSame(writer, reader) ? undefined : reader.createResolver(writer);
  const flat = resolver === undefined ? flatDecoder(reader) : null;
  return (bytes, from = 0) => {
    const buffer = asBuffer(bytes);
    const value = flat === null ? FAILED : flat(buffer, from);
    if (value !== FAILED) return value;
    const own = buffer.subarray(from);
    itemsLeft = own.length;
    return reader.fromBuffer(own, resolver);
  };
}

/** Whether values of both are written and read alike. */
const isSame = (one: Type, other: Type): boolean =>
  one === other || JSON.stringify(one.schema()) === JSON.stringify(other.schema());

/** The same bytes as a Buffer, which avsc and kafkajs ask for. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
