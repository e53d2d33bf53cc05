import { Buffer } from 'node:buffer';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';

/** What a compressed record batch may unfold to. */
const MAX_UNPACKED_BYTES = 67_108_864;

export const CODECS: Readonly<Record<number, { name: string; unpack: (packed: Buffer) => Buffer }>> = {
  1: { name: 'gzip', unpack: (packed) => gunzipSync(packed, { maxOutputLength: MAX_UNPACKED_BYTES }) },
  2: { name: 'snappy', unpack: unpackSnappy },
  3: { name: 'lz4', unpack: unpackLz4 },
  4: {
    name: 'zstd',
    unpack: (packed) => zstdDecompressSync(packed, { maxOutputLength: MAX_UNPACKED_BYTES }),
  },
};

/** Bytes unpacked so far: literals are appended, copies repeat what is there already. */
class Output {
  #buf: Buffer;
  #at = 0;

  constructor(size: number) {
    this.#buf = Buffer.allocUnsafe(Math.min(size, MAX_UNPACKED_BYTES));
  }

  #room(bytes: number): void {
    const need = this.#at + bytes;
    if (need <= this.#buf.length) return;
    if (need > MAX_UNPACKED_BYTES)
      throw new RangeError(`it unfolds to more than ${MAX_UNPACKED_BYTES} bytes`);
    const larger = Buffer.allocUnsafe(Math.min(MAX_UNPACKED_BYTES, Math.max(need, this.#buf.length * 2)));
    this.#buf.copy(larger, 0, 0, this.#at);
    this.#buf = larger;
  }

  literal(from: Buffer, start: number, length: number): void {
    if (start + length > from.length) throw new RangeError('it is cut short');
    this.#room(length);
    from.copy(this.#buf, this.#at, start, start + length);
    this.#at += length;
  }

  /** A copy may reach into what it is writing: then it repeats a pattern. */
  copy(distance: number, length: number): void {
    if (distance <= 0 || distance > this.#at) throw new RangeError('it refers to bytes before its beginning');
    this.#room(length);
    const buf = this.#buf;
    let at = this.#at;
    this.#at += length;
    if (distance >= length) buf.copyWithin(at, at - distance, at - distance + length);
    else for (; at < this.#at; at++) buf[at] = buf[at - distance] as number;
  }

  done(): Buffer {
    return this.#buf.subarray(0, this.#at);
  }
}

const XERIAL = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0]);

/** Raw snappy, or its blocks in the frame of snappy-java (magic, two versions, then length and block each). */
function unpackSnappy(packed: Buffer): Buffer {
  const output = new Output(packed.length * 4);
  if (!packed.subarray(0, 8).equals(XERIAL)) {
    snappyBlock(packed, output);
    return output.done();
  }
  for (let at = 16; at < packed.length; ) {
    const length = packed.readInt32BE(at);
    at += 4;
    if (length < 0 || at + length > packed.length) throw new RangeError('it is cut short');
    snappyBlock(packed.subarray(at, at + length), output);
    at += length;
  }
  return output.done();
}

/** https://github.com/google/snappy/blob/main/format_description.txt */
function snappyBlock(block: Buffer, output: Output): void {
  let at = 0;
  while ((block[at++] ?? 0) >= 0x80); // The unpacked length, which the output does not need.
  while (at < block.length) {
    const tag = block[at++] as number;
    const kind = tag & 3;
    if (kind === 0) {
      let length = tag >> 2;
      if (length >= 60) {
        const bytes = length - 59;
        length = block.readUIntLE(at, bytes);
        at += bytes;
      }
      output.literal(block, at, length + 1);
      at += length + 1;
    } else if (kind === 1) {
      output.copy(((tag >> 5) << 8) | (block[at++] ?? 0), ((tag >> 2) & 7) + 4);
    } else {
      const bytes = kind === 2 ? 2 : 4;
      output.copy(block.readUIntLE(at, bytes), (tag >> 2) + 1);
      at += bytes;
    }
  }
}

/** https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md; checksums are passed over. */
function unpackLz4(packed: Buffer): Buffer {
  if (packed.readUInt32LE(0) !== 0x184d2204) throw new RangeError('it is no LZ4 frame');
  const flags = packed[4] ?? 0;
  const output = new Output(packed.length * 4);
  let at = 7 + ((flags & 0x08) === 0 ? 0 : 8) + ((flags & 0x01) === 0 ? 0 : 4);
  for (;;) {
    const size = packed.readUInt32LE(at);
    at += 4;
    if (size === 0) return output.done();
    const length = size & 0x7fffffff;
    if (at + length > packed.length) throw new RangeError('it is cut short');
    if (size >= 0x80000000) output.literal(packed, at, length);
    else lz4Block(packed.subarray(at, at + length), output);
    at += length + ((flags & 0x10) === 0 ? 0 : 4);
  }
}

/** https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md */
function lz4Block(block: Buffer, output: Output): void {
  let at = 0;
  const lengthFrom = (nibble: number): number => {
    let length = nibble;
    if (nibble === 15) {
      let more: number;
      do {
        more = block[at++] ?? 0;
        length += more;
      } while (more === 255);
    }
    return length;
  };
  while (at < block.length) {
    const token = block[at++] as number;
    const literals = lengthFrom(token >> 4);
    output.literal(block, at, literals);
    at += literals;
    if (at >= block.length) return; // The last sequence has no copy.
    const distance = block.readUInt16LE(at);
    at += 2;
    output.copy(distance, lengthFrom(token & 15) + 4);
  }
}
