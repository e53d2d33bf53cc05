import { Buffer } from 'node:buffer';
import type { Type, types } from 'avsc';
import { FlatText, NotFlat } from './flat-text.ts';

/** The value that bytes are from `from` on; FAILED where they are none, or hold what is left to avsc (a long beyond 2^51, say). */
export type FlatDecode = (bytes: Buffer, from: number) => unknown;

/** No value: avsc is to read the bytes, and to say what is wrong with them. */
export const FAILED = Symbol('failed');

/**
 * Reads values of a schema by one function written out for it, as flat-encoder.ts writes them. Whatever the bytes, it reads
 * within them, makes no list longer than they are, and gives a value only where avsc gives the same. Null where the schema has
 * what is not written out, or where the process forbids making functions from text.
 */
export function flatDecoder(type: Type): FlatDecode | null {
  try {
    const text = new Text();
    const lines = text.of(type, 'value', []);
    const make = new Function(
      'input',
      'FAILED',
      'tables',
      `'use strict';
${text.memory}
return function read(bytes, from) {
let at = from, b = 0, value;
const end = bytes.length;
${text.doubles ? 'input.open(bytes);\nconst { view, base } = input;' : ''}
${lines}
return at === end ? value : FAILED;
}`,
    ) as (input: Input, failed: symbol, tables: readonly unknown[]) => FlatDecode;
    return make(new Input(), FAILED, text.tables);
  } catch (error) {
    if (error instanceof NotFlat || error instanceof EvalError) return null;
    throw error;
  }
}

/** Buffer's own readers, without their checks of arguments. */
interface Sliceable {
  utf8Slice(from: number, to: number): string;
}

/** What takes more than a line. `at` is where the last read ended. */
class Input {
  at = 0;
  view: DataView = new DataView(new ArrayBuffer(0));
  /** Where the bytes begin in the view. */
  base = 0;

  /** A whole number; NaN past the end, or beyond what is exact here. */
  long(bytes: Uint8Array, from: number): number {
    let at = from;
    let value = 0;
    let unit = 1;
    for (;;) {
      const b = bytes[at];
      if (b === undefined || unit > 2 ** 49) return Number.NaN;
      at += 1;
      value += (b & 0x7f) * unit;
      if (b < 0x80) break;
      unit *= 128;
    }
    this.at = at;
    if (value >= 2 ** 52) return Number.NaN;
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  /** Records of a fetch are pieces of one buffer: its view is made once. */
  open({ buffer, byteOffset }: Uint8Array): void {
    if (this.view.buffer !== buffer) this.view = new DataView(buffer);
    this.base = byteOffset;
  }

  text(bytes: Buffer, from: number, to: number): string {
    return (bytes as Buffer & Sliceable).utf8Slice(from, to);
  }

  /** Whether the text that was read here before stands here again; from its end, where ids differ. */
  same(bytes: Uint8Array, from: number, kept: Uint8Array): boolean {
    for (let k = kept.length - 1; k >= 0; k -= 1) if (bytes[from + k] !== kept[k]) return false;
    return true;
  }

  copy(bytes: Uint8Array, from: number, to: number): Buffer {
    return Buffer.from(bytes.subarray(from, to));
  }
}

/** Items that take none could be claimed without end. */
const takesBytes = (type: Type): boolean =>
  type.typeName === 'record'
    ? (type as types.RecordType).fields.some((field) => takesBytes(field.type))
    : type.typeName !== 'null';

/** Makes the lines that read a value of a type into a variable. Names of fields go in as JSON text, nothing else of the schema does. */
class Text extends FlatText {
  /** Some field is a double. */
  doubles = false;

  of(type: Type, into: string, open: readonly Type[]): string {
    switch (type.typeName) {
      case 'null':
        return `${into} = null;`;
      case 'boolean':
        return `b = bytes[at++];\nif (!(b <= 1)) return FAILED;\n${into} = b === 1;`;
      case 'int':
        return `${long(into)}\nif (${into} !== (${into} | 0)) return FAILED;`;
      case 'long':
        return long(into);
      case 'double':
        this.doubles = true;
        return `if (at + 8 > end) return FAILED;\n${into} = view.getFloat64(base + at, true); at += 8;`;
      case 'string':
        return this.#string(into);
      case 'bytes':
        return this.#sized((from) => `${into} = input.copy(bytes, ${from}, at);`);
      case 'enum':
        return this.#symbol(type as types.EnumType, into);
      case 'array':
        return this.#array(type as types.ArrayType, into, open);
      case 'record':
        return this.#record(type as types.RecordType, into, open);
      case 'union:unwrapped':
        return this.#union(type as types.UnwrappedUnionType, into, open);
      default:
        throw new NotFlat();
    }
  }

  /** A length, and lines about the bytes from the given place to `at`. */
  #sized(lines: (from: string) => string): string {
    const size = this.name();
    const from = this.name();
    return `let ${size};\n${long(size)}
if (!(${size} >= 0 && ${size} <= end - at)) return FAILED;
const ${from} = at;
at += ${size};
${lines(from)}`;
  }

  /** A topic or a model is the same text again and again: it is not made anew. */
  #string(into: string): string {
    const kept = this.name();
    const made = this.name();
    this.memory += `let ${kept} = new Uint8Array(0), ${made} = '';\n`;
    return this.#sized(
      (
        from,
      ) => `if (at - ${from} === ${kept}.length && input.same(bytes, ${from}, ${kept})) ${into} = ${made};
else {
${into} = input.text(bytes, ${from}, at);
if (${kept}.length !== at - ${from}) ${kept} = new Uint8Array(at - ${from});
for (let k = ${from}; k < at; k++) ${kept}[k - ${from}] = bytes[k];
${made} = ${into};
}`,
    );
  }

  #symbol({ symbols }: types.EnumType, into: string): string {
    const place = this.name();
    const table = this.tables.push(symbols) - 1;
    return `let ${place};\n${long(place)}\n${into} = tables[${table}][${place}];\nif (${into} === undefined) return FAILED;`;
  }

  #array({ itemsType }: types.ArrayType, into: string, open: readonly Type[]): string {
    if (!takesBytes(itemsType)) throw new NotFlat();
    const count = this.name();
    const item = this.name();
    const k = this.name();
    const list = this.name();
    return `const ${list} = [];
for (;;) {
let ${count};
${long(count)}
if (${count} === 0) break;
if (!(${count} > 0 && ${count} <= end - at)) return FAILED;
for (let ${k} = 0; ${k} < ${count}; ${k}++) {
let ${item};
${this.of(itemsType, item, open)}
${list}.push(${item});
}
}
${into} = ${list};`;
  }

  #record(type: types.RecordType, into: string, open: readonly Type[]): string {
    const fields = this.fieldsOf(type, open).map(({ name, type: own }) => {
      const one = this.name();
      return {
        lines: `let ${one};\n${this.of(own, one, [...open, type])}`,
        entry: `${JSON.stringify(name)}: ${one}`,
      };
    });
    return `${fields.map(({ lines }) => lines).join('\n')}\n${into} = { ${fields.map(({ entry }) => entry).join(', ')} };`;
  }

  #union(type: types.UnwrappedUnionType, into: string, open: readonly Type[]): string {
    const { none, some } = this.branchesOf(type);
    return `b = bytes[at++];
if (b === ${none * 2}) ${into} = null;
else if (b === ${(1 - none) * 2}) {
${this.of(some, into, open)}
} else return FAILED;`;
  }
}

/** Reads a whole number; most take one byte. */
const long = (into: string) => `b = bytes[at];
if (b < 128) { ${into} = (b >>> 1) ^ -(b & 1); at++; }
else { ${into} = input.long(bytes, at); if (${into} !== ${into}) return FAILED; at = input.at; }`;
