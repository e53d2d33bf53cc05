import type { Estimated, EstimateErrors, EstimateOptions, Quality } from './types.ts';

/** What the figures of a window will probably be, from its scores alone. */
export function estimateQuality(_scores: Float64Array, _options: EstimateOptions): Estimated {
  throw new Error('Not written yet.');
}

/** What an estimate was wrong by, once `truth` (the same window, with its labels) is known. */
export function errorsOf(_estimated: Estimated, _truth: Quality): EstimateErrors {
  throw new Error('Not written yet.');
}
