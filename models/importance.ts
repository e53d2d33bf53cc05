import { createRaw, type ModelBody } from './body.ts';
import { type Calibration, createCalibrator } from './calibration.ts';
import { sampleRows } from './dataset.ts';
import { createRandom } from './random.ts';

/** More rows change the shares by less than what a person would read into them. */
const ROWS = 2_000;

/**
 * How much each feature matters to these scores, in the order of the features: the mean distance by which the
 * probability of a row moves when this one feature takes its value from another row, as a share of the sum over all
 * features. Permutation importance (Breiman, Machine Learning 45, 2001), taken on the scores and not on the loss: it
 * needs no labels, means the same for every kind of model, and is what a shift of the feature can do to them. Where no
 * feature moves any score the shares are equal.
 *
 * @param rows row-major, `width` values a row; a seeded sample of at most 2,000 of `chosen` is used.
 */
export function importanceOf(
  body: ModelBody,
  calibration: Calibration,
  rows: Float64Array,
  width: number,
  chosen: Uint32Array,
  seed: number,
): number[] {
  const raw = createRaw(body);
  const calibrate = createCalibrator(calibration);
  const sample = sampleRows(chosen.length, ROWS, seed).map((at) => chosen[at] as number);
  const random = createRandom(seed);
  const values = new Float64Array(sample.length * width);
  sample.forEach((row, at) => {
    values.set(rows.subarray(row * width, (row + 1) * width), at * width);
  });
  const score = (at: number): number => calibrate(raw.logit(values, at * width));
  const scores = Float64Array.from(sample, (_, at) => score(at));
  const order = Uint32Array.from(sample, (_, at) => at);
  const column = new Float64Array(sample.length);

  const moved = Array.from({ length: width }, (_, feature) => {
    random.shuffle(order);
    for (let at = 0; at < column.length; at++) column[at] = values[at * width + feature] as number;
    let sum = 0;
    for (let at = 0; at < column.length; at++) {
      const place = at * width + feature;
      values[place] = column[order[at] as number] as number;
      sum += Math.abs(score(at) - (scores[at] as number));
      values[place] = column[at] as number;
    }
    return sum;
  });
  const total = moved.reduce((sum, value) => sum + value, 0);
  return moved.map((value) => (total > 0 ? value / total : 1 / width));
}
