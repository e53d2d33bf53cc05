import { Buffer } from 'node:buffer';
import type { Type, types } from 'avsc';
import { FlatText, NotFlat } from './flat-text.ts';

/**
 * Writes a value at `at` of the encoder's buffer, and answers where it ends; -1 where the value does not fit the type, or is
 * one that this encoder leaves to avsc (a default for a field that is missing, say).
 */
type Write = (out: Output, value: unknown, at: number) => number;

/** The bytes of a value, after `from` bytes for the caller to fill; null where it is left to avsc. */
export type FlatEncode = (value: unknown, from: number) => Buffer | null;

/**
 * `avsc` in a straight line: one function written out for a whole schema, where avsc calls one for each field and measures each
 * string before it writes it. The bytes are avsc's. Null where a schema has what is not written out here (maps, fixed,
 * unions of more than null and one type, a record inside itself), or where the process forbids making functions from text.
 */
export function flatEncoder(type: Type): FlatEncode | null {
  let write: Write;
  try {
    write = compile(type);
  } catch (error) {
    if (error instanceof NotFlat || error instanceof EvalError) return null;
    throw error;
  }
  return (value, from) => {
    const end = write(output, value, from);
    if (end < 0) return null;
    const bytes = Buffer.allocUnsafe(end);
    output.bytes.copy(bytes, 0, 0, end);
    return bytes;
  };
}

/** Where values are written, one after another; it grows. */
class Output {
  bytes = Buffer.allocUnsafeSlow(65_536);
  view = viewOf(this.bytes);

  /** Room for `more` bytes at `at`. */
  reserve(at: number, more: number): void {
    if (at + more <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, at + more));
    larger.set(this.bytes);
    this.bytes = larger;
    this.view = viewOf(larger);
  }

  /** A whole number, folded to be unsigned, seven bits a byte. Answers where it ends; at most ten bytes. */
  long(value: number, at: number): number {
    const { bytes } = this;
    let next = at;
    if (value >= -0x40000000 && value < 0x40000000) {
      let rest = (value << 1) ^ (value >> 31);
      for (; rest > 0x7f; rest >>>= 7) bytes[next++] = (rest & 0x7f) | 0x80;
      bytes[next++] = rest;
      return next;
    }
    if (value > -(2 ** 51) && value < 2 ** 51) {
      let rest = value >= 0 ? value * 2 : value * -2 - 1;
      for (; rest > 0x7fffffff; rest = Math.floor(rest / 128)) bytes[next++] = (rest % 128) | 0x80;
      let low = rest;
      for (; low > 0x7f; low >>>= 7) bytes[next++] = (low & 0x7f) | 0x80;
      bytes[next++] = low;
      return next;
    }
    let rest = value >= 0 ? BigInt(value) * 2n : BigInt(value) * -2n - 1n;
    for (; rest > 0x7fn; rest >>= 7n) bytes[next++] = Number(rest & 0x7fn) | 0x80;
    bytes[next++] = Number(rest);
    return next;
  }

  /** A string with its length in front. Answers where it ends. */
  text(value: string, at: number): number {
    const { length } = value;
    this.reserve(at, length * 3 + 5);
    const { bytes } = this;
    if (length < 64) {
      let next = at + 1;
      let k = 0;
      for (; k < length; k += 1) {
        const code = value.charCodeAt(k);
        if (code >= 0x80) break;
        bytes[next++] = code;
      }
      if (k === length) {
        bytes[at] = length * 2;
        return next;
      }
    }
    const size = Buffer.byteLength(value);
    const next = this.long(size, at);
    return next + bytes.write(value, next);
  }

  binary(value: Uint8Array, at: number): number {
    this.reserve(at, value.length + 10);
    const next = this.long(value.length, at);
    this.bytes.set(value, next);
    return next + value.length;
  }
}

const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array) =>
  new DataView(buffer, byteOffset, byteLength);

/** Encoding is synchronous, and its result is copied out, so all encoders share one. */
const output = new Output();

function compile(type: Type): Write {
  const text = new Text();
  const lines = text.of(type, 'value', []);
  const make = new Function(
    'tables',
    `'use strict';\n${text.memory}return function write(out, value, at) {\nconst ROOM = ${text.room};\nout.reserve(at, ROOM);\n${lines}\nreturn at;\n}`,
  ) as (tables: readonly unknown[]) => Write;
  return make(text.tables);
}

/** Types whose values take a bounded number of bytes. */
const FIXED = new Set(['boolean', 'int', 'long', 'double', 'enum']);

/** Fails the value: it does not fit. */
const UNFIT = 'return -1;';

/** Makes the lines that write a value of a type. Names of fields go in as JSON text, nothing else of the schema does. */
class Text extends FlatText {
  /** Bytes that everything of bounded size outside of arrays takes at most: ROOM in the lines, known in the end. */
  room = 16;

  of(type: Type, value: string, open: readonly Type[]): string {
    switch (type.typeName) {
      case 'null':
        return `if (${value} !== null) ${UNFIT}`;
      case 'boolean':
        this.room += 1;
        return `if (${value} !== true && ${value} !== false) ${UNFIT}\nout.bytes[at++] = ${value} ? 1 : 0;`;
      case 'int':
        this.room += 10;
        return `if (${value} !== (${value} | 0)) ${UNFIT}\nat = out.long(${value}, at);`;
      case 'long':
        this.room += 10;
        return `if (!Number.isSafeInteger(${value})) ${UNFIT}\nat = out.long(${value}, at);`;
      case 'double':
        this.room += 8;
        return `if (typeof ${value} !== 'number') ${UNFIT}\nout.view.setFloat64(at, ${value}, true); at += 8;`;
      case 'string':
        return this.#string(value);
      case 'bytes':
        return `if (!(${value} instanceof Uint8Array)) ${UNFIT}\nat = out.binary(${value}, at);\nout.reserve(at, ROOM);`;
      case 'enum':
        return this.#symbol(type as types.EnumType, value);
      case 'array':
        return this.#array(type as types.ArrayType, value, open);
      case 'record':
        return this.#record(type as types.RecordType, value, open);
      case 'union:unwrapped':
        return this.#union(type as types.UnwrappedUnionType, value, open);
      default:
        throw new NotFlat();
    }
  }

  /** Topics, models and hashes are the same text again and again: then the bytes of the last time are copied. */
  #string(value: string): string {
    const before = this.name();
    const kept = this.name();
    this.memory += `let ${before} = null, ${kept} = null;\n`;
    const from = this.name();
    return `if (typeof ${value} !== 'string') ${UNFIT}
if (${value} !== ${before}) { ${before} = ${value}; ${kept} = null; at = out.text(${value}, at); out.reserve(at, ROOM); }
else if (${kept} === null) { const ${from} = at; at = out.text(${value}, at); ${kept} = new Uint8Array(out.bytes.subarray(${from}, at)); out.reserve(at, ROOM); }
else { out.reserve(at, ${kept}.length + ROOM); out.bytes.set(${kept}, at); at += ${kept}.length; }`;
  }

  #symbol({ symbols }: types.EnumType, value: string): string {
    this.room += 10;
    const place = this.name();
    const table = this.tables.push(new Map(symbols.map((symbol, i) => [symbol, i]))) - 1;
    return `const ${place} = tables[${table}].get(${value});\nif (${place} === undefined) ${UNFIT}\nat = out.long(${place}, at);`;
  }

  #array({ itemsType }: types.ArrayType, value: string, open: readonly Type[]): string {
    const k = this.name();
    const item = this.name();
    const outside = this.room;
    this.room = 16;
    const lines = this.of(itemsType, item, open);
    const inside = this.room;
    this.room = outside + 20;
    const fixed = FIXED.has(itemsType.typeName);
    return `if (!Array.isArray(${value})) ${UNFIT}
if (${value}.length > 0) {
at = out.long(${value}.length, at);
${fixed ? `out.reserve(at, ${value}.length * ${inside} + ROOM);` : ''}
for (let ${k} = 0; ${k} < ${value}.length; ${k}++) {
const ${item} = ${value}[${k}];
${fixed ? '' : `out.reserve(at, ${inside} + ROOM);`}
${lines}
}
}
out.bytes[at++] = 0;
out.reserve(at, ROOM);`;
  }

  #record(type: types.RecordType, value: string, open: readonly Type[]): string {
    const lines = this.fieldsOf(type, open).map((field) => {
      const one = this.name();
      return `const ${one} = ${value}[${JSON.stringify(field.name)}];\n${this.of(field.type, one, [...open, type])}`;
    });
    return `if (typeof ${value} !== 'object' || ${value} === null) ${UNFIT}\n${lines.join('\n')}`;
  }

  #union(type: types.UnwrappedUnionType, value: string, open: readonly Type[]): string {
    const { none, some } = this.branchesOf(type);
    this.room += 1;
    return `if (${value} === null) out.bytes[at++] = ${none * 2};
else { out.bytes[at++] = ${(1 - none) * 2};
${this.of(some, value, open)}
}`;
  }
}
