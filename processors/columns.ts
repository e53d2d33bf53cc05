import type { Column, ColumnKind } from '../schemas/view.ts';

/**
 * A row is the aggregate of some contributions, as doubles that hold exact integers. All columns of one
 * input stand together, in a fixed order, and always begin with how many contributions had that input:
 *
 *   count, sum?, square? | (square_high, square_low)?, min?, max?, (last_time, last_value)?
 *
 * Merging rows is commutative and associative, to the bit: integers below 2^53 are added, extremes are
 * compared, and `last` is the pair with the greater time, then the greater value.
 */
export const SUM = 1;
export const SQUARE = 2;
export const LIMBS = 4;
export const MIN = 8;
export const MAX = 16;
export const LAST = 32;

/** Two limbs of a sum of squares: value = high * LIMB + low. */
export const LIMB = 2 ** 26;

export interface RowLayout {
  /** Index into a contribution's values, for each input of the layout. */
  readonly inputs: Int32Array;
  /** Slot of each input's count. */
  readonly at: Int32Array;
  /** What follows the count: SUM, SQUARE, ... */
  readonly parts: Int32Array;
  /** Slots in a row. */
  readonly width: number;
  /** A row of nothing. */
  readonly empty: Float64Array;
  /** Slot of each column of the set, in the set's own order. */
  readonly slots: readonly number[];
  /** Slot of the count of each column's input. */
  readonly counts: readonly number[];
  /** How each slot merges. */
  readonly merges: Uint8Array;
}

const ADD = 0;
const LEAST = 1;
const GREATEST = 2;
/** The slot is a last_time; the next one is its last_value, which is not visited by itself. */
const LATEST = 3;

const PART_OF: Record<ColumnKind, number> = {
  count: 0,
  sum: SUM,
  square: SQUARE,
  square_high: LIMBS,
  square_low: LIMBS,
  min: MIN,
  max: MAX,
  last_time: LAST,
  last_value: LAST,
};

const PARTS: ReadonlyArray<{
  readonly part: number;
  readonly kinds: ReadonlyArray<{ kind: ColumnKind; empty: number; merge: number }>;
}> = [
  { part: SUM, kinds: [{ kind: 'sum', empty: 0, merge: ADD }] },
  { part: SQUARE, kinds: [{ kind: 'square', empty: 0, merge: ADD }] },
  {
    part: LIMBS,
    kinds: [
      { kind: 'square_high', empty: 0, merge: ADD },
      { kind: 'square_low', empty: 0, merge: ADD },
    ],
  },
  { part: MIN, kinds: [{ kind: 'min', empty: Number.POSITIVE_INFINITY, merge: LEAST }] },
  { part: MAX, kinds: [{ kind: 'max', empty: Number.NEGATIVE_INFINITY, merge: GREATEST }] },
  {
    part: LAST,
    kinds: [
      { kind: 'last_time', empty: Number.NEGATIVE_INFINITY, merge: LATEST },
      { kind: 'last_value', empty: Number.NEGATIVE_INFINITY, merge: LATEST },
    ],
  },
];

export function layoutOf(columns: readonly Column[]): RowLayout {
  const inputs = [...new Set(columns.map(({ input }) => input))].sort((a, b) => a - b);
  const at: number[] = [];
  const parts: number[] = [];
  const empty: number[] = [];
  const merges: number[] = [];
  const slotOf = new Map<string, number>();
  for (const input of inputs) {
    let part = 0;
    for (const column of columns) if (column.input === input) part |= PART_OF[column.kind];
    // The value of a single contribution is read back from its sum, so squares never come without one.
    if ((part & (SQUARE | LIMBS)) !== 0) part |= SUM;
    at.push(empty.length);
    parts.push(part);
    slotOf.set(`count:${input}`, empty.length);
    empty.push(0);
    merges.push(ADD);
    for (const group of PARTS) {
      if ((part & group.part) === 0) continue;
      for (const one of group.kinds) {
        slotOf.set(`${one.kind}:${input}`, empty.length);
        empty.push(one.empty);
        merges.push(one.merge);
      }
    }
  }
  return {
    inputs: Int32Array.from(inputs),
    at: Int32Array.from(at),
    parts: Int32Array.from(parts),
    width: empty.length,
    empty: Float64Array.from(empty),
    slots: columns.map(({ kind, input }) => slotOf.get(`${kind}:${input}`) as number),
    counts: columns.map(({ input }) => slotOf.get(`count:${input}`) as number),
    merges: Uint8Array.from(merges),
  };
}

/** Adds x^2, which may pass 2^53, to two limbs. |x| < 2^39, so that every partial product is exact. */
export function addSquare(rows: Float64Array, slot: number, x: number): void {
  const magnitude = Math.abs(x);
  const high = Math.floor(magnitude / LIMB);
  const low = magnitude - high * LIMB;
  const lowSquare = low * low;
  const carry = Math.floor(lowSquare / LIMB);
  rows[slot] = (rows[slot] as number) + (high * high * LIMB + 2 * high * low + carry);
  rows[slot + 1] = (rows[slot + 1] as number) + (lowSquare - carry * LIMB);
}

/** Adds one value `x` of input `i` of the layout, seen at `time`, to the row at `base`. */
export function addValue(
  layout: RowLayout,
  i: number,
  rows: Float64Array,
  base: number,
  x: number,
  time: number,
): void {
  const part = layout.parts[i] as number;
  let slot = base + (layout.at[i] as number);
  rows[slot] = (rows[slot] as number) + 1;
  slot += 1;
  if (part === 0) return;
  if ((part & SUM) !== 0) {
    rows[slot] = (rows[slot] as number) + x;
    slot += 1;
  }
  if ((part & SQUARE) !== 0) {
    rows[slot] = (rows[slot] as number) + x * x;
    slot += 1;
  }
  if ((part & LIMBS) !== 0) {
    addSquare(rows, slot, x);
    slot += 2;
  }
  if ((part & MIN) !== 0) {
    if (x < (rows[slot] as number)) rows[slot] = x;
    slot += 1;
  }
  if ((part & MAX) !== 0) {
    if (x > (rows[slot] as number)) rows[slot] = x;
    slot += 1;
  }
  if ((part & LAST) !== 0) addLast(rows, slot, time, x);
}

/** Keeps the later of two (time, value) pairs; of the same time, the greater value. */
export function addLast(rows: Float64Array, slot: number, time: number, value: number): void {
  const known = rows[slot] as number;
  if (time > known || (time === known && value > (rows[slot + 1] as number))) {
    rows[slot] = time;
    rows[slot + 1] = value;
  }
}

/** Merges a row into another. */
export function mergeRow(
  layout: RowLayout,
  from: Float64Array,
  fromBase: number,
  into: Float64Array,
  base: number,
): void {
  const { merges, width } = layout;
  for (let k = 0; k < width; k += 1) {
    const value = from[fromBase + k] as number;
    const slot = base + k;
    const merge = merges[k] as number;
    if (merge === ADD) into[slot] = (into[slot] as number) + value;
    else if (merge === LEAST) {
      if (value < (into[slot] as number)) into[slot] = value;
    } else if (merge === GREATEST) {
      if (value > (into[slot] as number)) into[slot] = value;
    } else {
      addLast(into, slot, value, from[fromBase + k + 1] as number);
      k += 1;
    }
  }
}

/** Slots of a row by how they merge. `latest` has the first of each (time, value) pair. */
export interface SlotKinds {
  readonly sums: Int32Array;
  readonly least: Int32Array;
  readonly greatest: Int32Array;
  readonly latest: Int32Array;
}

export function slotKindsOf({ merges }: RowLayout): SlotKinds {
  const sums: number[] = [];
  const least: number[] = [];
  const greatest: number[] = [];
  const latest: number[] = [];
  for (let slot = 0; slot < merges.length; slot += 1) {
    if (merges[slot] === ADD) sums.push(slot);
    else if (merges[slot] === LEAST) least.push(slot);
    else if (merges[slot] === GREATEST) greatest.push(slot);
    else {
      latest.push(slot);
      slot += 1;
    }
  }
  return {
    sums: Int32Array.from(sums),
    least: Int32Array.from(least),
    greatest: Int32Array.from(greatest),
    latest: Int32Array.from(latest),
  };
}

/**
 * Adds the rows that begin at `first`, `last` and every `stride` between to the row at `base`, but for what is latest. Sums are running:
 * each row holds those of all rows before it too, which the one a stride before `first` says (`begins`: there is none).
 */
export function addStretch(
  { sums, least, greatest }: SlotKinds,
  cells: Float64Array,
  first: number,
  last: number,
  stride: number,
  begins: boolean,
  rows: Float64Array,
  base: number,
): void {
  for (let k = 0; k < sums.length; k += 1) {
    const slot = sums[k] as number;
    const before = begins ? 0 : (cells[first - stride + slot] as number);
    rows[base + slot] = (rows[base + slot] as number) + ((cells[last + slot] as number) - before);
  }
  for (let k = 0; k < least.length; k += 1) {
    const slot = least[k] as number;
    let known = rows[base + slot] as number;
    for (let at = first + slot; at <= last + slot; at += stride)
      if ((cells[at] as number) < known) known = cells[at] as number;
    rows[base + slot] = known;
  }
  for (let k = 0; k < greatest.length; k += 1) {
    const slot = greatest[k] as number;
    let known = rows[base + slot] as number;
    for (let at = first + slot; at <= last + slot; at += stride)
      if ((cells[at] as number) > known) known = cells[at] as number;
    rows[base + slot] = known;
  }
}
