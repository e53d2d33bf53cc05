/**
 * Writer of ClickHouse's RowBinary (https://clickhouse.com/docs/interfaces/formats/RowBinary): little-endian
 * values one after another, strings and arrays behind a LEB128 length, a nullable behind a byte that is 1
 * for null. Grows by doubling; reused from batch to batch.
 */
export class RowBinaryWriter {
  private buffer: Buffer;
  private view: DataView;
  private at = 0;

  constructor(bytes = 1 << 16) {
    this.buffer = Buffer.allocUnsafe(bytes);
    this.view = new DataView(this.buffer.buffer, this.buffer.byteOffset, this.buffer.byteLength);
  }

  private room(bytes: number): void {
    if (this.at + bytes <= this.buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.at + bytes));
    this.buffer.copy(larger, 0, 0, this.at);
    this.buffer = larger;
    this.view = new DataView(larger.buffer, larger.byteOffset, larger.byteLength);
  }

  get length(): number {
    return this.at;
  }

  byte(value: number): void {
    this.room(1);
    this.buffer[this.at++] = value;
  }

  int32(value: number): void {
    this.room(4);
    this.view.setInt32(this.at, value, true);
    this.at += 4;
  }

  /** Int64, UInt64 below 2^53, DateTime64(3) from epoch ms. `value` is an integer. */
  int64(value: number): void {
    this.room(8);
    const high = Math.floor(value / 4_294_967_296);
    this.view.setUint32(this.at, value - high * 4_294_967_296, true);
    this.view.setInt32(this.at + 4, high, true);
    this.at += 8;
  }

  float64(value: number): void {
    this.room(8);
    this.view.setFloat64(this.at, value, true);
    this.at += 8;
  }

  varint(value: number): void {
    this.room(8);
    let rest = value;
    while (rest > 127) {
      this.buffer[this.at++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    this.buffer[this.at++] = rest;
  }

  string(value: string): void {
    const { length } = value;
    this.room(length * 3 + 8);
    const before = this.at;
    this.varint(length);
    const written = this.buffer.write(value, this.at);
    if (written === length) {
      this.at += written;
      return;
    }
    // Not all ASCII: the length in front was wrong.
    this.at = before;
    this.varint(written);
    this.at += this.buffer.write(value, this.at);
  }

  bytes(value: Uint8Array): void {
    this.varint(value.length);
    this.room(value.length);
    this.buffer.set(value, this.at);
    this.at += value.length;
  }

  /** Bytes of another array as they are. */
  raw(bytes: Uint8Array, from: number, to: number): void {
    const length = to - from;
    this.room(length);
    const { buffer } = this;
    // A call into the engine costs more than a few bytes.
    if (length > 64) buffer.set(bytes.subarray(from, to), this.at);
    else for (let i = 0; i < length; i += 1) buffer[this.at + i] = bytes[from + i] as number;
    this.at += length;
  }

  /** A text whose UTF-8 stands in another array. */
  text(bytes: Uint8Array, from: number, to: number): void {
    this.varint(to - from);
    this.raw(bytes, from, to);
  }

  /** Forgets what was written after the first `length` bytes. */
  truncate(length: number): void {
    this.at = Math.min(this.at, length);
  }

  /** The byte before a nullable value; the value follows where this is true. */
  present<T>(value: T): value is NonNullable<T> {
    const present = value !== null && value !== undefined;
    this.byte(present ? 0 : 1);
    return present;
  }

  nullableString(value: string | null): void {
    if (this.present(value)) this.string(value);
  }

  nullableBytes(value: Uint8Array | null): void {
    if (this.present(value)) this.bytes(value);
  }

  nullableInt64(value: number | null): void {
    if (this.present(value)) this.int64(value);
  }

  nullableFloat64(value: number | null): void {
    if (this.present(value)) this.float64(value);
  }

  nullableBool(value: boolean | null): void {
    if (this.present(value)) this.byte(value ? 1 : 0);
  }

  /** What was written, copied, and the writer empty again. */
  drain(): Uint8Array {
    const taken = Uint8Array.prototype.slice.call(this.buffer, 0, this.at);
    this.at = 0;
    return taken;
  }
}
