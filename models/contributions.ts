import { createRaw, type ModelBody } from './body.ts';
import { gradientOfDense, gradientOfLogistic } from './gradient.ts';
import { createForestShapley } from './trees/shapley.ts';

/** Why a row has its score: what each feature adds to its log odds, before calibration. */
export interface Contributions {
  /** Exact Shapley values for trees, gradient times input for networks and regressions. */
  readonly method: 'shapley' | 'gradient_input';
  /** Log odds without any feature: of trees the mean over the training rows, of networks what the features do not add. */
  readonly base: number;
  /** Raw log odds of the row: `base` and all `values`. */
  readonly logit: number;
  /** In the order of the features. */
  readonly values: readonly number[];
}

/** Null of trees that do not say how many rows they learnt from reached each leaf: imported ones, and those of older versions. */
export function contributionsOf(body: ModelBody, vector: Float64Array): Contributions | null {
  const logit = createRaw(body).logit(vector, 0);
  if (body.kind === 'trees') {
    const shapley = createForestShapley(body);
    return shapley === null
      ? null
      : { method: 'shapley', base: shapley.base, logit, values: Array.from(shapley.valuesOf(vector)) };
  }
  const values = (
    body.kind === 'logistic' ? gradientOfLogistic(body) : gradientOfDense(body.encoder, body.layers)
  )(vector);
  const base = values.reduce((rest, value) => rest - value, logit);
  return { method: 'gradient_input', base, logit, values: Array.from(values) };
}
