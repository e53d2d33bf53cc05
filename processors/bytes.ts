import { MillraceError } from '../schemas/refusal.ts';

/** Bytes of state in a format that this version does not know. Never guessed at. */
export class UnknownStateFormat extends MillraceError {
  readonly code = 'unknown_state_format';
  readonly retriable = false;
}

/** Bytes of state that end in the middle of a value, or say what cannot be. */
export class CorruptState extends MillraceError {
  readonly code = 'corrupt_state';
  readonly retriable = false;
}

/**
 * Integers on the wire, up to 53 bits:
 *   unsigned = groups of 7 bits, low ones first, bit 7 set where more follow;
 *   signed   = the same, but the first byte holds 6 bits of the magnitude and, in bit 6, the sign.
 */
export class ByteWriter {
  bytes: Uint8Array;
  length = 0;

  constructor(capacity = 4096) {
    this.bytes = new Uint8Array(capacity);
  }

  /** Makes room for `more` bytes. */
  reserve(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.length + more));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  byte(value: number): void {
    this.reserve(1);
    this.bytes[this.length] = value;
    this.length += 1;
  }

  unsigned(value: number): void {
    this.reserve(8);
    const { bytes } = this;
    let at = this.length;
    let rest = value;
    while (rest >= 0x80000000) {
      bytes[at] = (rest % 128) | 128;
      at += 1;
      rest = Math.floor(rest / 128);
    }
    while (rest >= 128) {
      bytes[at] = (rest & 127) | 128;
      at += 1;
      rest >>>= 7;
    }
    bytes[at] = rest;
    this.length = at + 1;
  }

  signed(value: number): void {
    const magnitude = value < 0 ? -value : value;
    const sign = value < 0 ? 64 : 0;
    if (magnitude < 64) {
      this.byte(sign | magnitude);
      return;
    }
    this.byte((magnitude % 64) | sign | 128);
    this.unsigned(Math.floor(magnitude / 64));
  }

  append(source: Uint8Array): void {
    this.reserve(source.length);
    this.bytes.set(source, this.length);
    this.length += source.length;
  }

  /** A copy of what was written. */
  copy(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }
}

/** Where the last `wide…` read stopped. One for all: reading is synchronous. */
export const cursor = { at: 0 };

/** Reads an unsigned integer of any length at `at`; leaves the place after it in `cursor`. */
export function wideUnsigned(bytes: Uint8Array, at: number): number {
  // Beyond the end bytes are undefined, which is not below 128: that ends in longUnsigned, which throws.
  const first = bytes[at] as number;
  if (first < 128) {
    cursor.at = at + 1;
    return first;
  }
  const second = bytes[at + 1] as number;
  if (second < 128) {
    cursor.at = at + 2;
    return (first & 127) | (second << 7);
  }
  const third = bytes[at + 2] as number;
  if (third < 128) {
    cursor.at = at + 3;
    return (first & 127) | ((second & 127) << 7) | (third << 14);
  }
  const fourth = bytes[at + 3] as number;
  if (fourth < 128) {
    cursor.at = at + 4;
    return (first & 127) | ((second & 127) << 7) | ((third & 127) << 14) | (fourth << 21);
  }
  return longUnsigned(bytes, at);
}

function longUnsigned(bytes: Uint8Array, at: number): number {
  let value = 0;
  let scale = 1;
  for (let i = at; i < at + 8; i += 1) {
    const byte = bytes[i];
    if (byte === undefined) throw new CorruptState('A state log ends in the middle of a number.');
    value += (byte & 127) * scale;
    if (byte < 128) {
      cursor.at = i + 1;
      return value;
    }
    scale *= 128;
  }
  throw new CorruptState('A number in a state log is longer than 53 bits.');
}

/** Reads a signed integer of any length at `at`; leaves the place after it in `cursor`. */
export function wideSigned(bytes: Uint8Array, at: number): number {
  const first = bytes[at];
  if (first === undefined) throw new CorruptState('A state log ends in the middle of a number.');
  let magnitude = first & 63;
  if (first < 128) cursor.at = at + 1;
  else {
    const second = bytes[at + 1] as number;
    if (second < 128) {
      cursor.at = at + 2;
      magnitude |= second << 6;
    } else magnitude += wideUnsigned(bytes, at + 1) * 64;
  }
  return (first & 64) === 0 ? magnitude : -magnitude;
}
