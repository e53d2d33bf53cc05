import type { ByteWriter } from './bytes.ts';
import { cursor, wideSigned, wideUnsigned } from './bytes.ts';
import { addLast, addValue, LAST, LIMB, LIMBS, MAX, MIN, type RowLayout, SQUARE, SUM } from './columns.ts';

/**
 * A numeric tile on the wire. An input of a tile is absent (no contribution had it), single (one had) or many.
 *
 *   tile    := place*4+flags, states? | count?, input*
 *   flags   := 0 every input is single | 1 every input is many | 2 states follow
 *            | 3 every input is many, and all have the same count, which stands in front of them (u) and not in them
 *   states  := 2 bits an input, four inputs a byte: 0 absent, 1 single, 2 many
 *   input   := (absent) nothing
 *            | (single) value s, then for `last` the time after the tile's start u; nothing if it is only counted
 *            | (many)   count u, then in order of the row: sum s, square u (or high u, low u), min s, max s,
 *                       last time after the tile's start u, last value s
 *
 * u and s are the unsigned and signed integers of bytes.ts; `place` is the caller's (see log-layout.ts). A time after
 * the tile's start is seconds*2+1 where it is whole seconds, as most data is, else ms*2.
 */
const ALL_SINGLE = 0;
const ALL_MANY = 1;
const STATES = 2;
const ALL_EQUAL = 3;

function packTime(after: number): number {
  return after % 1000 === 0 ? (after / 1000) * 2 + 1 : after * 2;
}

function unpackTime(packed: number): number {
  return (packed & 1) === 1 ? (packed >>> 1) * 1000 : packed / 2;
}

export function writeNumericTile(
  writer: ByteWriter,
  layout: RowLayout,
  place: number,
  start: number,
  rows: Float64Array,
  base: number,
): void {
  const { at, parts } = layout;
  const inputs = at.length;
  const firstCount = rows[base] as number;
  let singles = 0;
  let many = 0;
  let equal = 0;
  for (let i = 0; i < inputs; i += 1) {
    const count = rows[base + (at[i] as number)] as number;
    if (count === 1) singles += 1;
    else if (count > 1) many += 1;
    if (count === firstCount) equal += 1;
  }
  let flags = STATES;
  if (singles === inputs) flags = ALL_SINGLE;
  else if (many === inputs) flags = equal === inputs && inputs > 1 ? ALL_EQUAL : ALL_MANY;
  writer.unsigned(place * 4 + flags);
  if (flags === ALL_EQUAL) writer.unsigned(firstCount);
  if (flags === STATES) {
    for (let from = 0; from < inputs; from += 4) {
      let byte = 0;
      for (let i = from; i < from + 4 && i < inputs; i += 1) {
        const count = rows[base + (at[i] as number)] as number;
        byte |= Math.min(count, 2) << ((i - from) * 2);
      }
      writer.byte(byte);
    }
  }
  for (let i = 0; i < inputs; i += 1) {
    const part = parts[i] as number;
    let slot = base + (at[i] as number);
    const count = rows[slot] as number;
    slot += 1;
    if (count === 0) continue;
    if (count === 1) {
      if (part === 0) continue;
      // Of a single value every column is the value itself; `last` stands at the end.
      let end = slot;
      for (let bit = SUM; bit <= LAST; bit *= 2)
        if ((part & bit) !== 0) end += bit === LIMBS || bit === LAST ? 2 : 1;
      writer.signed(rows[(part & (SUM | MIN | MAX)) !== 0 ? slot : end - 1] as number);
      if ((part & LAST) !== 0) writer.unsigned(packTime((rows[end - 2] as number) - start));
      continue;
    }
    if (flags !== ALL_EQUAL) writer.unsigned(count);
    if ((part & SUM) !== 0) {
      writer.signed(rows[slot] as number);
      slot += 1;
    }
    if ((part & SQUARE) !== 0) {
      writer.unsigned(rows[slot] as number);
      slot += 1;
    }
    if ((part & LIMBS) !== 0) {
      const carry = Math.floor((rows[slot + 1] as number) / LIMB);
      writer.unsigned((rows[slot] as number) + carry);
      writer.unsigned((rows[slot + 1] as number) - carry * LIMB);
      slot += 2;
    }
    if ((part & MIN) !== 0) {
      writer.signed(rows[slot] as number);
      slot += 1;
    }
    if ((part & MAX) !== 0) {
      writer.signed(rows[slot] as number);
      slot += 1;
    }
    if ((part & LAST) !== 0) {
      writer.unsigned(packTime((rows[slot] as number) - start));
      writer.signed(rows[slot + 1] as number);
    }
  }
}

/**
 * Adds the tile whose inputs begin at `from` to the row at `base`, and answers where the tile ends.
 * compile-scan.ts writes the same out for one layout.
 */
export function addNumericTile(
  bytes: Uint8Array,
  from: number,
  flags: number,
  start: number,
  layout: RowLayout,
  rows: Float64Array,
  base: number,
): number {
  const { at, parts } = layout;
  const inputs = at.length;
  let next = from;
  const states = next;
  let count = 0;
  if (flags === STATES) next += (inputs + 3) >> 2;
  else if (flags === ALL_EQUAL) {
    count = wideUnsigned(bytes, next);
    next = cursor.at;
  }
  const all = flags === ALL_SINGLE ? 1 : 2;
  for (let i = 0; i < inputs; i += 1) {
    const state = flags === STATES ? ((bytes[states + (i >> 2)] as number) >> ((i & 3) << 1)) & 3 : all;
    if (state === 0) continue;
    const part = parts[i] as number;
    if (state === 1) {
      let x = 0;
      let time = start;
      if (part !== 0) {
        x = wideSigned(bytes, next);
        next = cursor.at;
      }
      if ((part & LAST) !== 0) {
        time += unpackTime(wideUnsigned(bytes, next));
        next = cursor.at;
      }
      addValue(layout, i, rows, base, x, time);
      continue;
    }
    let slot = base + (at[i] as number);
    if (flags !== ALL_EQUAL) {
      count = wideUnsigned(bytes, next);
      next = cursor.at;
    }
    rows[slot] = (rows[slot] as number) + count;
    if (part === 0) continue;
    slot += 1;
    if ((part & SUM) !== 0) {
      rows[slot] = (rows[slot] as number) + wideSigned(bytes, next);
      next = cursor.at;
      slot += 1;
    }
    if ((part & (SQUARE | LIMBS)) !== 0) {
      rows[slot] = (rows[slot] as number) + wideUnsigned(bytes, next);
      next = cursor.at;
      slot += 1;
      if ((part & LIMBS) !== 0) {
        rows[slot] = (rows[slot] as number) + wideUnsigned(bytes, next);
        next = cursor.at;
        slot += 1;
      }
    }
    if ((part & MIN) !== 0) {
      const value = wideSigned(bytes, next);
      next = cursor.at;
      if (value < (rows[slot] as number)) rows[slot] = value;
      slot += 1;
    }
    if ((part & MAX) !== 0) {
      const value = wideSigned(bytes, next);
      next = cursor.at;
      if (value > (rows[slot] as number)) rows[slot] = value;
      slot += 1;
    }
    if ((part & LAST) !== 0) {
      const after = wideUnsigned(bytes, next);
      const value = wideSigned(bytes, cursor.at);
      next = cursor.at;
      addLast(rows, slot, start + unpackTime(after), value);
    }
  }
  return next;
}
