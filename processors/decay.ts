import { floorTo, tailOf } from '../schemas/time.ts';
import type { WindowFeature } from '../schemas/view.ts';
import type { RowLayout } from './columns.ts';

/**
 * An exponentially decayed sum or mean: 2^-((asOf - start of the hop bucket) / halfLife) times the exact sum of
 * each hop bucket, added up in floating point in order of time. Buckets are cut by the window's hop alone,
 * so the order and the terms never depend on how tiles were merged.
 */
export class Decay {
  readonly name: string;
  readonly out: number;
  readonly #length: number;
  readonly #hop: number;
  readonly #halfLife: number;
  readonly #scale: number;
  readonly #mean: boolean;
  readonly #sum: number;
  readonly #count: number;
  /** First row of each bucket; the last entry is the row after the window. */
  readonly #firstRow: Int32Array;
  readonly #weight: Float64Array;
  #buckets = 0;

  constructor(
    feature: WindowFeature,
    window: { readonly length: number; readonly hop: number },
    layout: RowLayout,
    out: number,
  ) {
    this.name = feature.name;
    this.out = out;
    this.#length = window.length;
    this.#hop = window.hop;
    this.#halfLife = feature.halfLife;
    this.#scale = feature.scale;
    this.#mean = feature.aggregation === 'decayed_mean';
    const column = feature.columns[0] as number;
    this.#sum = layout.slots[column] as number;
    this.#count = layout.counts[column] as number;
    const buckets = Math.ceil(window.length / window.hop) + 2;
    this.#firstRow = new Int32Array(buckets + 1);
    this.#weight = new Float64Array(buckets);
  }

  /** Starts of the buckets, which must be edges between rows. */
  *edges(end: number): Iterable<number> {
    for (let at = tailOf(end, this.#length, this.#hop); at < end; at += this.#hop) yield at;
  }

  /** Row r holds [bounds[r-1], bounds[r]). */
  plan(end: number, asOf: number, bounds: Float64Array, count: number): void {
    const tail = tailOf(end, this.#length, this.#hop);
    this.#buckets = 0;
    let bucket = Number.NaN;
    let row = 1;
    for (; row < count && (bounds[row - 1] as number) < end; row += 1) {
      const from = bounds[row - 1] as number;
      if (from < tail) continue;
      const start = floorTo(from, this.#hop);
      if (start === bucket) continue;
      bucket = start;
      this.#firstRow[this.#buckets] = row;
      this.#weight[this.#buckets] = 2 ** -((asOf - start) / this.#halfLife);
      this.#buckets += 1;
    }
    this.#firstRow[this.#buckets] = row;
  }

  value(rows: Float64Array, width: number): number {
    let total = 0;
    let counted = 0;
    let any = false;
    for (let bucket = 0; bucket < this.#buckets; bucket += 1) {
      let sum = 0;
      let count = 0;
      const after = this.#firstRow[bucket + 1] as number;
      for (let row = this.#firstRow[bucket] as number; row < after; row += 1) {
        sum += rows[row * width + this.#sum] as number;
        count += rows[row * width + this.#count] as number;
      }
      if (count === 0) continue;
      any = true;
      const weight = this.#weight[bucket] as number;
      total += weight * sum;
      counted += weight * count;
    }
    if (!any) return Number.NaN;
    // A mean whose weights have all underflowed to zero has lost its value, not found one of 0.
    if (this.#mean) return counted === 0 ? Number.NaN : total / (counted * this.#scale);
    return total / this.#scale;
  }
}
