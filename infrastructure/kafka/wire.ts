import { Buffer } from 'node:buffer';

/** Kafka's primitive types. Offsets and times stay below 2^53, so int64 is a number. */

const HIGH = 4_294_967_296;

export function readInt64(buf: Buffer, at: number): number {
  return buf.readInt32BE(at) * HIGH + buf.readUInt32BE(at + 4);
}

export function writeInt64(buf: Buffer, value: number, at: number): void {
  buf.writeInt32BE(Math.floor(value / HIGH), at);
  buf.writeUInt32BE(((value % HIGH) + HIGH) % HIGH, at + 4);
}

/** Bytes of a zigzag varint of a value within 32 bits. */
export function varintSize(value: number): number {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0;
  return zigzag < 0x80 ? 1 : zigzag < 0x4000 ? 2 : zigzag < 0x200000 ? 3 : zigzag < 0x10000000 ? 4 : 5;
}

/** Writes a zigzag varint of a value within 32 bits; answers the place after it. */
export function writeVarint(buf: Buffer, value: number, start: number): number {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0;
  let at = start;
  while (rest > 0x7f) {
    buf[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  buf[at++] = rest;
  return at;
}

/** Reads a buffer from front to back. Past its end everything reads as 0. */
export class Cursor {
  readonly buf: Buffer;
  pos: number;

  constructor(buf: Buffer, pos: number) {
    this.buf = buf;
    this.pos = pos;
  }

  /** Zigzag varint; also a varlong below 2^53. */
  varint(): number {
    const { buf } = this;
    let byte = buf[this.pos++] ?? 0;
    if (byte < 0x80) return (byte >>> 1) ^ -(byte & 1);
    let value = byte & 0x7f;
    let shift = 7;
    while (shift < 28) {
      byte = buf[this.pos++] ?? 0;
      value |= (byte & 0x7f) << shift;
      shift += 7;
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1);
    }
    let scale = 2 ** 28;
    let wide = value;
    do {
      byte = buf[this.pos++] ?? 0;
      wide += (byte & 0x7f) * scale;
      scale *= 128;
    } while (byte >= 0x80 && scale < 2 ** 63);
    return wide % 2 === 0 ? wide / 2 : -(wide + 1) / 2;
  }

  /** Bytes with their length as a varint; null where it is negative. */
  bytes(): Buffer | null {
    const length = this.varint();
    if (length < 0) return null;
    const from = this.pos;
    this.pos += length;
    return this.buf.subarray(from, this.pos);
  }

  int16(): number {
    this.pos += 2;
    return this.buf.readInt16BE(this.pos - 2);
  }

  int32(): number {
    this.pos += 4;
    return this.buf.readInt32BE(this.pos - 4);
  }

  int64(): number {
    this.pos += 8;
    return readInt64(this.buf, this.pos - 8);
  }

  /** Text with its length as an int16. */
  text(): string {
    const length = Math.max(0, this.int16());
    const from = this.pos;
    this.pos += length;
    return this.buf.toString('utf8', from, this.pos);
  }

  /** Bytes with their length as an int32; none where it is negative. */
  block(): Buffer {
    const length = Math.max(0, this.int32());
    const from = this.pos;
    this.pos += length;
    return this.buf.subarray(from, this.pos);
  }
}

/** A request, written piece by piece. */
export class Writer {
  #buf = Buffer.allocUnsafe(1_024);
  #at = 0;

  #room(bytes: number): number {
    const at = this.#at;
    if (at + bytes > this.#buf.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#buf.length * 2, at + bytes));
      this.#buf.copy(larger, 0, 0, at);
      this.#buf = larger;
    }
    this.#at = at + bytes;
    return at;
  }

  int8(value: number): this {
    const at = this.#room(1);
    this.#buf.writeInt8(value, at);
    return this;
  }

  int16(value: number): this {
    const at = this.#room(2);
    this.#buf.writeInt16BE(value, at);
    return this;
  }

  int32(value: number): this {
    const at = this.#room(4);
    this.#buf.writeInt32BE(value, at);
    return this;
  }

  int64(value: number): this {
    const at = this.#room(8);
    writeInt64(this.#buf, value, at);
    return this;
  }

  text(value: string | null): this {
    if (value === null) return this.int16(-1);
    const length = Buffer.byteLength(value);
    this.int16(length);
    const at = this.#room(length);
    this.#buf.write(value, at, 'utf8');
    return this;
  }

  block(bytes: Uint8Array): this {
    this.int32(bytes.length);
    const at = this.#room(bytes.length);
    this.#buf.set(bytes, at);
    return this;
  }

  done(): Buffer {
    return this.#buf.subarray(0, this.#at);
  }
}
