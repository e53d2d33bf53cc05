/**
 * As much of the Protocol Buffers wire format as an ONNX file needs. Every length is held against the bytes that are
 * there, nothing is read twice and nothing is nested here: a hostile file can be refused, not hang or grow.
 */

/** A file that is no ONNX, or one that says what we do not know how to score. One sentence each. */
export class OnnxError extends Error {
  readonly code = 'onnx_refused';
  readonly retriable = false;

  constructor(message: string, cause?: unknown) {
    super(oneLine(message), cause === undefined ? undefined : { cause });
    this.name = 'OnnxError';
  }
}

/** Names in a damaged file may hold any character: one that is no text is written as `\u000a`. */
function oneLine(message: string): string {
  return message.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

export interface ProtoField {
  readonly number: number;
  /** Of a whole number: its value, signed (int64). Else 0. */
  readonly integer: number;
  /** Of a length-delimited or fixed field: its bytes. Else empty. */
  readonly bytes: Uint8Array;
  readonly wire: 'varint' | 'bytes' | 'fixed32' | 'fixed64';
}

const EMPTY = new Uint8Array(0);
const cut = () => new OnnxError('This is no ONNX file: it ends inside a field.');

interface Cursor {
  at: number;
}

/** Signed, as int32, int64, bool and enum are written. */
function varint(bytes: Uint8Array, cursor: Cursor): number {
  let low = 0;
  let high = 0;
  for (let shift = 0; shift < 70; shift += 7) {
    const byte = bytes[cursor.at++];
    if (byte === undefined) throw cut();
    if (shift < 28) low += (byte & 127) * 2 ** shift;
    else high += (byte & 127) * 2 ** (shift - 28);
    if (byte < 128) {
      const whole = (BigInt(high) << 28n) + BigInt(low);
      const value = Number(BigInt.asIntN(64, whole));
      if (!Number.isSafeInteger(value))
        throw new OnnxError(`This ONNX file holds ${value}, a whole number beyond 2^53.`);
      return value;
    }
  }
  throw new OnnxError('This is no ONNX file: a number in it does not end.');
}

export function* fieldsOf(bytes: Uint8Array): Generator<ProtoField> {
  const cursor: Cursor = { at: 0 };
  const readBytes = (length: number): Uint8Array => {
    if (length < 0 || length > bytes.length - cursor.at) throw cut();
    cursor.at += length;
    return bytes.subarray(cursor.at - length, cursor.at);
  };
  while (cursor.at < bytes.length) {
    const key = varint(bytes, cursor);
    const number = Math.floor(key / 8);
    if (number < 1) throw new OnnxError('This is no ONNX file: a field has no number.');
    switch (key % 8) {
      case 0:
        yield { number, wire: 'varint', integer: varint(bytes, cursor), bytes: EMPTY };
        break;
      case 1:
        yield { number, wire: 'fixed64', integer: 0, bytes: readBytes(8) };
        break;
      case 2:
        yield { number, wire: 'bytes', integer: 0, bytes: readBytes(varint(bytes, cursor)) };
        break;
      case 5:
        yield { number, wire: 'fixed32', integer: 0, bytes: readBytes(4) };
        break;
      default:
        throw new OnnxError(`This is no ONNX file: field ${number} has the unknown wire type ${key % 8}.`);
    }
  }
}

const decoder = new TextDecoder('utf-8');
export const textOf = (field: ProtoField): string => decoder.decode(field.bytes);

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Whole numbers of a repeated field, packed or one by one. */
export function integersOf({ wire, integer, bytes }: ProtoField): number[] {
  if (wire === 'varint') return [integer];
  const values: number[] = [];
  const cursor: Cursor = { at: 0 };
  while (cursor.at < bytes.length) values.push(varint(bytes, cursor));
  return values;
}

/** Single precision, packed or one by one. */
export function floatsOf({ bytes }: ProtoField): number[] {
  if (bytes.length % 4 !== 0) throw cut();
  const view = viewOf(bytes);
  return Array.from({ length: bytes.length / 4 }, (_, at) => view.getFloat32(at * 4, true));
}

export function doublesOf({ bytes }: ProtoField): number[] {
  if (bytes.length % 8 !== 0) throw cut();
  const view = viewOf(bytes);
  return Array.from({ length: bytes.length / 8 }, (_, at) => view.getFloat64(at * 8, true));
}
