import { isUtf8 } from 'node:buffer';

/** The bytes are not as our own encoder writes them: whoever reads them must decode them whole. */
export class NotAsWritten extends Error {
  constructor() {
    super('these bytes are not laid out as Millrace writes them');
    this.name = 'NotAsWritten';
  }
}

/** Made once: it is no failure, and a stack for each foreign record would cost more than decoding it. */
const NOT_AS_WRITTEN = new NotAsWritten();

/**
 * Walks over an Avro value without making an object. It takes only what our own encoder writes: canonical lengths, arrays in one
 * block, texts in UTF-8, whole numbers within 2^53. Throws NotAsWritten for everything else, bytes that end too soon among it.
 */
export class AvroCursor {
  bytes: Uint8Array = new Uint8Array(0);
  at = 0;
  /** Where the text that `text` stepped over begins and ends. */
  from = 0;
  to = 0;

  begin(bytes: Uint8Array, at: number): void {
    this.bytes = bytes;
    this.at = at;
  }

  /** Throws unless the value ends where the bytes do. */
  finish(): void {
    if (this.at !== this.bytes.length) throw NOT_AS_WRITTEN;
  }

  long(): number {
    const { bytes } = this;
    let low = 0;
    let byte = 0;
    // 28 bits in integers, the rest in doubles.
    for (let shift = 0; shift < 28; shift += 7) {
      byte = bytes[this.at++] ?? 256;
      if (byte > 255) throw NOT_AS_WRITTEN;
      low |= (byte & 127) << shift;
      if (byte < 128) return (low & 1) === 0 ? low >>> 1 : -(low >>> 1) - 1;
    }
    let zigzag = low;
    for (let scale = 2 ** 28; ; scale *= 128) {
      byte = bytes[this.at++] ?? 256;
      if (byte > 255 || scale > 2 ** 49) throw NOT_AS_WRITTEN;
      zigzag += (byte & 127) * scale;
      if (zigzag > Number.MAX_SAFE_INTEGER) throw NOT_AS_WRITTEN;
      if (byte < 128) break;
    }
    return zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
  }

  int(): number {
    const value = this.long();
    if (value !== (value | 0)) throw NOT_AS_WRITTEN;
    return value;
  }

  /** Steps over a text; `from` and `to` say where it stands. */
  text(): void {
    const length = this.long();
    const from = this.at;
    const to = from + length;
    const { bytes } = this;
    if (length < 0 || to > bytes.length) throw NOT_AS_WRITTEN;
    let all = 0;
    for (let at = from; at < to; at += 1) all |= bytes[at] as number;
    if (all > 127 && !isUtf8(bytes.subarray(from, to))) throw NOT_AS_WRITTEN;
    this.from = from;
    this.to = to;
    this.at = to;
  }

  /** Steps over that many bytes; answers where they begin. */
  skip(length: number): number {
    const from = this.at;
    this.at = from + length;
    if (this.at > this.bytes.length) throw NOT_AS_WRITTEN;
    return from;
  }

  bool(): number {
    const byte = this.bytes[this.at++];
    if (byte === undefined || byte > 1) throw NOT_AS_WRITTEN;
    return byte;
  }

  /** Whether a union of null and one other type holds the other one. */
  present(): boolean {
    const branch = this.long();
    if (branch !== 0 && branch !== 1) throw NOT_AS_WRITTEN;
    return branch === 1;
  }

  /** Items of the array's first block; 0: there is none. `end` must follow where there were some. */
  items(): number {
    const count = this.long();
    if (count < 0 || count > this.bytes.length) throw NOT_AS_WRITTEN;
    return count;
  }

  /** Throws unless the array ends here. */
  end(): void {
    if (this.long() !== 0) throw NOT_AS_WRITTEN;
  }
}
