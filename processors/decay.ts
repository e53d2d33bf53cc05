import { tailOf } from '../schemas/time.ts';
import type { WindowFeature } from '../schemas/view.ts';
import type { RowLayout } from './columns.ts';

/** Sets of weights that are kept: a window of six-hour steps at 1m has 360. */
const MOST_KNOWN = 1_024;

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
  readonly #known = new Map<number, Float64Array>();
  #weight: Float64Array = new Float64Array(0);
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
    this.#firstRow = new Int32Array(Math.ceil(window.length / window.hop) + 3);
  }

  /**
   * Row r holds [bounds[r-1], bounds[r]), and every bucket begins at an edge. Weights depend only on how far the
   * window's old edge is from `asOf`, which takes few values: they are kept.
   */
  plan(end: number, asOf: number, bounds: Float64Array): void {
    const tail = tailOf(end, this.#length, this.#hop);
    let row = 1;
    this.#buckets = 0;
    for (let start = tail; start < end; start += this.#hop) {
      while ((bounds[row - 1] as number) < start) row += 1;
      this.#firstRow[this.#buckets] = row;
      this.#buckets += 1;
    }
    while ((bounds[row - 1] as number) < end) row += 1;
    this.#firstRow[this.#buckets] = row;
    this.#weight = this.#weights(asOf - tail);
  }

  #weights(age: number): Float64Array {
    let weight = this.#known.get(age);
    if (weight !== undefined) return weight;
    weight = new Float64Array(this.#buckets);
    for (let bucket = 0; bucket < this.#buckets; bucket += 1)
      weight[bucket] = 2 ** -((age - bucket * this.#hop) / this.#halfLife);
    if (this.#known.size >= MOST_KNOWN) this.#known.clear();
    this.#known.set(age, weight);
    return weight;
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
