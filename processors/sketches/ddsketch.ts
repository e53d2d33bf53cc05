/**
 * DDSketch (Masson, Rim, Lee 2019, arXiv:1908.10693) of integers, unbounded: a value x > 0 falls into
 * bin ceil(log_gamma x), gamma = (1 + alpha) / (1 - alpha), and a bin stands for 2 gamma^k / (gamma + 1), which is
 * within alpha of everything in it. Bins are numbered so that their order is that of their values:
 * k + 1 for x > 0, 0 for zero, -(k + 1) for x < 0. Bins merge by adding their counts.
 */
export interface BinScale {
  readonly alpha: number;
  readonly gamma: number;
  readonly logGamma: number;
  /** Greatest bin number of an integer below 2^53. */
  readonly greatest: number;
}

export function binScaleOf(alpha: number): BinScale {
  const gamma = (1 + alpha) / (1 - alpha);
  const logGamma = Math.log(gamma);
  return { alpha, gamma, logGamma, greatest: Math.ceil((53 * Math.LN2) / logGamma) + 2 };
}

export function binOf(scale: BinScale, x: number): number {
  if (x === 0) return 0;
  return x > 0 ? Math.ceil(Math.log(x) / scale.logGamma) + 1 : -Math.ceil(Math.log(-x) / scale.logGamma) - 1;
}

/** The value a bin stands for. */
export function representativeOf(scale: BinScale, bin: number): number {
  if (bin === 0) return 0;
  const magnitude = (2 * scale.gamma ** (Math.abs(bin) - 1)) / (scale.gamma + 1);
  return bin > 0 ? magnitude : -magnitude;
}

/** Rank of the lower-rank quantile among `count` values in order, from 0. */
export function lowerRank(quantile: number, count: number): number {
  return Math.floor(quantile * (count - 1));
}

/** Bins of several rows (one a window segment), kept between reads and wiped by what was touched. */
export class DdRows {
  readonly scale: BinScale;
  readonly #bins: Float64Array[] = [];
  readonly #merged: Float64Array;
  /** 1 where any row holds the bin. */
  readonly #known: Uint8Array;
  readonly #touched: Int32Array;
  #count = 0;
  #sorted = true;
  #total = 0;

  constructor(alpha: number, rows: number) {
    this.scale = binScaleOf(alpha);
    const size = this.scale.greatest * 2 + 1;
    for (let row = 0; row < rows; row += 1) this.#bins.push(new Float64Array(size));
    this.#merged = new Float64Array(size);
    this.#known = new Uint8Array(size);
    this.#touched = new Int32Array(size);
  }

  add(row: number, bin: number, count: number): void {
    const bins = this.#bins[row] as Float64Array;
    const index = bin + this.scale.greatest;
    bins[index] = (bins[index] as number) + count;
    if (this.#known[index] === 0) {
      this.#known[index] = 1;
      this.#touched[this.#count] = index;
      this.#count += 1;
      this.#sorted = false;
    }
  }

  begin(): void {
    if (!this.#sorted) {
      this.#touched.subarray(0, this.#count).sort();
      this.#sorted = true;
    }
    for (let k = 0; k < this.#count; k += 1) this.#merged[this.#touched[k] as number] = 0;
    this.#total = 0;
  }

  include(row: number): void {
    const bins = this.#bins[row] as Float64Array;
    for (let k = 0; k < this.#count; k += 1) {
      const index = this.#touched[k] as number;
      const count = bins[index] as number;
      this.#merged[index] = (this.#merged[index] as number) + count;
      this.#total += count;
    }
  }

  /** Quantile of the union, in the unit of the values added; null where it is empty. */
  value(quantile: number): number | null {
    if (this.#total === 0) return null;
    let left = lowerRank(quantile, this.#total);
    for (let k = 0; k < this.#count; k += 1) {
      const index = this.#touched[k] as number;
      left -= this.#merged[index] as number;
      if (left < 0) return representativeOf(this.scale, index - this.scale.greatest);
    }
    return null;
  }

  clear(): void {
    for (const bins of this.#bins)
      for (let k = 0; k < this.#count; k += 1) bins[this.#touched[k] as number] = 0;
    for (let k = 0; k < this.#count; k += 1) {
      this.#merged[this.#touched[k] as number] = 0;
      this.#known[this.#touched[k] as number] = 0;
    }
    this.#count = 0;
    this.#sorted = true;
  }
}
