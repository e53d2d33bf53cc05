import type { Quality, QualityOptions, SliceQuality } from './types.ts';

/**
 * All figures of a window of labelled rows.
 *
 * @param scores probabilities, 0 to 1; may be empty.
 * @param labels 0 or 1, one a row.
 */
export function qualityOf(_scores: Float64Array, _labels: Uint8Array, _options: QualityOptions): Quality {
  throw new Error('Not written yet.');
}

/**
 * The same by slice, in rising order of the name.
 *
 * @param slices the slice of each row; null: in none.
 * @param options `minRows`: slices with fewer labelled rows are left out; `predictedBySlice`: predictions of each slice,
 *   labelled or not (default: its rows).
 */
export function qualityBySlice(
  _scores: Float64Array,
  _labels: Uint8Array,
  _slices: ReadonlyArray<string | null>,
  _options: Omit<QualityOptions, 'predicted'> & {
    readonly minRows: number;
    readonly predictedBySlice?: ReadonlyMap<string, number>;
  },
): SliceQuality[] {
  throw new Error('Not written yet.');
}
