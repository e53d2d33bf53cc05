/**
 * HyperLogLog of 53-bit hashes: the first `precision` bits of a hash choose a register, which keeps the
 * greatest rank (leading zeros + 1) of the bits that follow. Registers merge by their maximum.
 * Estimated by the improved raw estimator of Otmar Ertl, "New cardinality estimation algorithms for
 * HyperLogLog sketches" (2017, arXiv:1702.01284, algorithm 6): unbiased over the whole range, without
 * tables or thresholds. Standard error 1.04 / sqrt(2^precision).
 */
export const HASH_BITS = 53;

/** Register that a hash belongs to. */
export function registerOf(hash: number, precision: number): number {
  return Math.floor(hash / 2 ** (HASH_BITS - precision));
}

/** Rank of a hash in its register: 1 to HASH_BITS - precision + 1. */
export function rankOf(hash: number, precision: number): number {
  const bits = HASH_BITS - precision;
  const rest = hash % 2 ** bits;
  const high = Math.floor(rest / 4294967296);
  if (high > 0) return bits - 32 - (32 - Math.clz32(high)) + 1;
  return bits - (32 - Math.clz32(rest >>> 0)) + 1;
}

/** Estimate from `histogram[r]` = number of registers with rank r, for r = 0 .. HASH_BITS - precision + 1. */
export function estimate(histogram: Float64Array, precision: number): number {
  const registers = 2 ** precision;
  const q = HASH_BITS - precision;
  if (histogram[0] === registers) return 0;
  let z = registers * tau(1 - (histogram[q + 1] as number) / registers);
  for (let k = q; k >= 1; k -= 1) z = 0.5 * (z + (histogram[k] as number));
  z += registers * sigma((histogram[0] as number) / registers);
  return (0.5 / Math.LN2) * registers * (registers / z);
}

function sigma(x: number): number {
  if (x === 1) return Number.POSITIVE_INFINITY;
  let value = x;
  let y = 1;
  let z = x;
  for (;;) {
    value *= value;
    const before = z;
    z += value * y;
    y += y;
    if (z === before) return z;
  }
}

function tau(x: number): number {
  if (x === 0 || x === 1) return 0;
  let value = x;
  let y = 1;
  let z = 1 - x;
  for (;;) {
    value = Math.sqrt(value);
    const before = z;
    y *= 0.5;
    z -= (1 - value) ** 2 * y;
    if (z === before) return z / 3;
  }
}

/** Registers of several rows (one a window segment), kept between reads and wiped by what was touched. */
export class HllRows {
  readonly precision: number;
  readonly #registers: Uint8Array[] = [];
  readonly #merged: Uint8Array;
  /** Registers that any row holds. */
  readonly #touched: Int32Array;
  #count = 0;
  readonly #histogram: Float64Array;

  constructor(precision: number, rows: number) {
    this.precision = precision;
    const size = 2 ** precision;
    for (let row = 0; row < rows; row += 1) this.#registers.push(new Uint8Array(size));
    this.#merged = new Uint8Array(size);
    this.#touched = new Int32Array(size);
    this.#histogram = new Float64Array(HASH_BITS - precision + 2);
  }

  add(row: number, register: number, rank: number): void {
    const registers = this.#registers[row] as Uint8Array;
    if (rank <= (registers[register] as number)) return;
    registers[register] = rank;
    if (this.#merged[register] === 0) {
      this.#merged[register] = 255;
      this.#touched[this.#count] = register;
      this.#count += 1;
    }
  }

  /** Begins a union of rows. */
  begin(): void {
    for (let k = 0; k < this.#count; k += 1) this.#merged[this.#touched[k] as number] = 0;
    this.#histogram.fill(0);
    this.#histogram[0] = this.#merged.length;
  }

  /** Adds a row to the union. */
  include(row: number): void {
    const registers = this.#registers[row] as Uint8Array;
    const histogram = this.#histogram;
    for (let k = 0; k < this.#count; k += 1) {
      const register = this.#touched[k] as number;
      const rank = registers[register] as number;
      const known = this.#merged[register] as number;
      if (rank <= known) continue;
      histogram[known] = (histogram[known] as number) - 1;
      histogram[rank] = (histogram[rank] as number) + 1;
      this.#merged[register] = rank;
    }
  }

  /** Distinct count of the union; null where it is empty. */
  value(): number | null {
    const distinct = estimate(this.#histogram, this.precision);
    return distinct === 0 ? null : distinct;
  }

  clear(): void {
    for (const registers of this.#registers)
      for (let k = 0; k < this.#count; k += 1) registers[this.#touched[k] as number] = 0;
    for (let k = 0; k < this.#count; k += 1) this.#merged[this.#touched[k] as number] = 0;
    this.#count = 0;
  }
}
