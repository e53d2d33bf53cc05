import { createHash } from 'node:crypto';
import { CannotLearn } from './cannot-learn.ts';
import { createRandom } from './random.ts';

/** Rows to learn from, or to be judged by: column-wise but for the matrix. */
export interface Dataset {
  /** Feature names, in the order of the columns. */
  readonly names: readonly string[];
  /** n x names.length, row-major; NaN is null. */
  readonly rows: Float64Array;
  /** 0 or 1, one a row. */
  readonly labels: Uint8Array;
  /** Event time of each row's request, epoch milliseconds; in any order. */
  readonly times: Float64Array;
}

/** @throws RangeError where the parts do not fit together, or a label is neither 0 nor 1. */
export function checkDataset({ names, rows, labels, times }: Dataset): void {
  if (labels.length === 0)
    throw new CannotLearn('The data set has no rows: choose a range that has matured labels.');
  if (rows.length !== labels.length * names.length || times.length !== labels.length) {
    throw new RangeError(
      `A data set of ${names.length} features, ${rows.length} values, ${labels.length} labels and ${times.length} times does not fit together.`,
    );
  }
  const odd = labels.find((label) => label > 1);
  if (odd !== undefined) throw new RangeError(`A label is 0 or 1, not ${odd}.`);
}

/**
 * Numbers of `wanted` of `count` rows (all, where there are no more), rising, each set of rows equally likely: Knuth's
 * selection sampling (The Art of Computer Programming 2, 3.4.2 S), so that the same seed finds the same rows.
 */
export function sampleRows(count: number, wanted: number, seed: number): Uint32Array {
  const random = createRandom(seed);
  const chosen = new Uint32Array(Math.min(count, wanted));
  let taken = 0;
  for (let row = 0; taken < chosen.length; row++) {
    if (random.next() * (count - row) < chosen.length - taken) chosen[taken++] = row;
  }
  return chosen;
}

/**
 * What pins a data set: SHA-256, lower case hex, of its names, its times, its labels and every bit of its values, row by
 * row. All nulls are one (a NaN may have other bits elsewhere), and so are the zeros.
 */
export function hashDataset(dataset: Dataset): string {
  checkDataset(dataset);
  const width = dataset.names.length;
  const hash = createHash('sha256').update(JSON.stringify(dataset.names)).update('\n');
  const bytes = Buffer.alloc(8 + 1 + width * 8);
  for (let row = 0; row < dataset.labels.length; row++) {
    bytes.writeDoubleLE(dataset.times[row] as number, 0);
    bytes.writeUInt8(dataset.labels[row] as number, 8);
    for (let at = 0; at < width; at++) {
      const value = dataset.rows[row * width + at] as number;
      if (Number.isNaN(value)) bytes.writeBigUInt64LE(0x7ff8000000000000n, 9 + at * 8);
      else bytes.writeDoubleLE(value + 0, 9 + at * 8);
    }
    hash.update(bytes);
  }
  return hash.digest('hex');
}
