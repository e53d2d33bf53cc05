import { isAscii } from 'node:buffer';

/**
 * Reader of ClickHouse's Native format as HTTP sends it: blocks of columns, each a name, a type and its values
 * one after another. Columns stay columns: a value costs no call where its array can be viewed.
 * Knows String, Float64, Int32, UInt8 and Bool, Nullable of each, and LowCardinality(String) (which a server
 * may or may not send as String over HTTP); a query casts to these.
 */

export type ColumnValues = Float64Array | Int32Array | Uint8Array | readonly string[];

export interface NativeColumn {
  readonly name: string;
  readonly values: ColumnValues;
  /** 1 where the value is null; absent where none can be. */
  readonly nulls: Uint8Array | undefined;
}

export interface NativeBlock {
  readonly rows: number;
  readonly columns: readonly NativeColumn[];
}

/** A slice of a longer string keeps all of it alive: from this length on V8 slices and we copy. */
const SLICED_FROM = 13;

class NativeReader {
  private readonly bytes: Buffer;
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get done(): boolean {
    return this.at >= this.bytes.length;
  }

  private varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) throw new RangeError('the answer of ClickHouse ends inside a block');
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  private string(): string {
    const length = this.varint();
    this.at += length;
    return this.bytes.toString('utf8', this.at - length, this.at);
  }

  private readBytes(bytes: number): Buffer {
    const end = this.at + bytes;
    if (end > this.bytes.length) throw new RangeError('the answer of ClickHouse ends inside a column');
    const taken = this.bytes.subarray(this.at, end);
    this.at = end;
    return taken;
  }

  /** Copied: values lie at any address, a typed array must be aligned. */
  private aligned(bytes: number): ArrayBuffer {
    const copy = new ArrayBuffer(bytes);
    new Uint8Array(copy).set(this.readBytes(bytes));
    return copy;
  }

  private strings(rows: number): string[] {
    const { bytes } = this;
    const from = this.at;
    const ends = new Uint32Array(rows);
    const lengths = new Uint32Array(rows);
    for (let row = 0; row < rows; row++) {
      const length = this.varint();
      this.at += length;
      lengths[row] = length;
      ends[row] = this.at - from;
    }
    if (this.at > bytes.length) throw new RangeError('the answer of ClickHouse ends inside a column');
    const area = bytes.subarray(from, this.at);
    const values = new Array<string>(rows);
    // One call into the engine for all short strings of a column; a length below 128 is a character as well.
    const text = isAscii(area) ? area.toString('latin1') : undefined;
    for (let row = 0; row < rows; row++) {
      const end = ends[row] ?? 0;
      const length = lengths[row] ?? 0;
      values[row] =
        text === undefined
          ? area.toString('utf8', end - length, end)
          : length < SLICED_FROM
            ? text.substring(end - length, end)
            : area.toString('latin1', end - length, end);
    }
    return values;
  }

  private uint64(): number {
    const bytes = this.readBytes(8);
    return bytes.readUInt32LE(0) + bytes.readUInt32LE(4) * 4_294_967_296;
  }

  /**
   * Words of a block once, then an index a row. Flags: the low byte is the width of an index (2^n bytes),
   * 256 a dictionary over several blocks (which Native does not use), 512 words follow.
   */
  private words(rows: number): string[] {
    const version = this.uint64();
    const flags = this.uint64();
    if (version !== 1 || (flags & 256) !== 0 || (flags & 512) === 0) {
      throw new TypeError(
        `the Native reader does not know LowCardinality version ${version}, flags ${flags}`,
      );
    }
    const words = this.strings(this.uint64());
    const count = this.uint64();
    const width = flags & 255;
    const bytes = this.aligned(count << width);
    const places =
      width === 0 ? new Uint8Array(bytes) : width === 1 ? new Uint16Array(bytes) : new Uint32Array(bytes);
    const values = new Array<string>(rows);
    for (let row = 0; row < rows; row++) values[row] = words[places[row] ?? 0] ?? '';
    return values;
  }

  private values(type: string, rows: number): ColumnValues {
    switch (type) {
      case 'String':
        return this.strings(rows);
      case 'LowCardinality(String)':
        return rows === 0 ? [] : this.words(rows);
      case 'Float64':
        return new Float64Array(this.aligned(rows * 8));
      case 'Int32':
        return new Int32Array(this.aligned(rows * 4));
      case 'UInt8':
      case 'Bool':
        return this.readBytes(rows);
      default:
        throw new TypeError(`the Native reader does not know ${type}: cast the column in the query`);
    }
  }

  block(): NativeBlock {
    const count = this.varint();
    const rows = this.varint();
    const columns: NativeColumn[] = [];
    for (let i = 0; i < count; i++) {
      const name = this.string();
      const type = this.string();
      const inner = /^Nullable\((.+)\)$/.exec(type)?.[1];
      const nulls = inner === undefined || rows === 0 ? undefined : this.readBytes(rows);
      columns.push({ name, nulls, values: this.values(inner ?? type, rows) });
    }
    return { rows, columns };
  }
}

/** The blocks of one whole answer. */
export function* readBlocks(bytes: Uint8Array): Generator<NativeBlock> {
  const reader = new NativeReader(bytes);
  while (!reader.done) {
    const block = reader.block();
    if (block.rows > 0) yield block;
  }
}

/** One buffer of all pieces. */
export async function gather(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const list: Uint8Array[] = [];
  for await (const piece of pieces) list.push(piece);
  return list.length === 1 && list[0] !== undefined ? list[0] : Buffer.concat(list);
}
