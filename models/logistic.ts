/**
 * Logistic regression as data, and its scorer: log odds = intercept + the sum, in the order of the columns and in
 * doubles, of weight times encoded column.
 */
import { createEncoder, type EncoderData, encodedNames } from './encoder.ts';

export interface Logistic {
  readonly encoder: EncoderData;
  /** One a column of the encoder. */
  readonly weights: Float64Array;
  readonly intercept: number;
}

/** What is wrong with it, in one sentence; null where nothing is. */
export function faultOfLogistic({ encoder, weights, intercept }: Logistic): string | null {
  const width = encodedNames(encoder).length;
  if (weights.length !== width) return `it has ${weights.length} weights, its encoder gives ${width} columns`;
  const bad = weights.findIndex((weight) => !Number.isFinite(weight));
  if (bad >= 0) return `its weight ${bad} is ${weights[bad]}, which is not a finite number`;
  return Number.isFinite(intercept) ? null : `its intercept is ${intercept}`;
}

export function createLogistic(model: Logistic): { logit(vectors: Float64Array, offset: number): number } {
  const fault = faultOfLogistic(model);
  if (fault !== null) throw new RangeError(`This model cannot score: ${fault}.`);
  const encoder = createEncoder(model.encoder);
  const weights = Float64Array.from(model.weights);
  const { intercept } = model;
  // Single precision, as in training.
  const input = new Float32Array(encoder.width);
  return {
    logit(vectors, offset) {
      encoder.encode(vectors, input, 0, offset);
      let sum = intercept;
      for (let at = 0; at < weights.length; at++) sum += (weights[at] as number) * (input[at] as number);
      return sum;
    },
  };
}
