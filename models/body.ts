/**
 * What a trainer leaves behind, by kind: all that turns a row into a raw output (log odds) before calibration. A new
 * kind is one more member here and in the file's schema beside it.
 */
import { createDense, type DenseLayer, faultOfLayers } from './dense.ts';
import { createEncoder, type EncoderData, encodedNames } from './encoder.ts';
import { createLogistic, faultOfLogistic, type Logistic } from './logistic.ts';
import { createForest, type Forest, faultOfForest } from './trees/forest.ts';

export type ModelBody =
  | { readonly kind: 'dense'; readonly encoder: EncoderData; readonly layers: readonly DenseLayer[] }
  | ({ readonly kind: 'logistic' } & Logistic)
  | ({ readonly kind: 'trees' } & Forest);

/** Raw outputs: each depends on its own row alone. */
export interface RawScorer {
  /** Log odds of the row at `offset` of row-major values; NaN is null. */
  logit(vectors: Float64Array, offset: number): number;
}

/** What the body and the features it is to read say against each other, in one sentence; null where they agree. */
export function faultOfBody(body: ModelBody, features: readonly string[]): string | null {
  if (body.kind === 'trees') {
    return body.features === features.length
      ? faultOfForest(body)
      : `its trees read ${body.features} features, its manifest names ${features.length}`;
  }
  const encoded = body.encoder.features.map((feature) => feature.name);
  if (encoded.length !== features.length || encoded.some((name, at) => name !== features[at]))
    return 'its encoder and its manifest name different features';
  if (body.kind === 'logistic') return faultOfLogistic(body);
  const fault = faultOfLayers(body.layers);
  if (fault !== null) return fault.replace(/\.$/, '');
  const width = encodedNames(body.encoder).length;
  const inputs = body.layers[0]?.inputs;
  return inputs === width ? null : `its network takes ${inputs} inputs, its encoder gives ${width}`;
}

/** @throws RangeError where the body does not fit together. */
export function createRaw(body: ModelBody): RawScorer {
  if (body.kind === 'trees') return createForest(body);
  if (body.kind === 'logistic') return createLogistic(body);
  const encoder = createEncoder(body.encoder);
  const network = createDense(body.layers);
  // Single precision, as the network saw its inputs in training.
  const input = new Float32Array(encoder.width);
  return {
    logit(vectors, offset) {
      encoder.encode(vectors, input, 0, offset);
      return network.logit(input);
    },
  };
}

/** Raw outputs of the given rows, in their order. */
export function rawOutputs(
  raw: RawScorer,
  rows: Float64Array,
  width: number,
  chosen: Uint32Array,
): Float64Array {
  return Float64Array.from(chosen, (row) => raw.logit(rows, row * width));
}

/** One line for a person: how large it is. */
export function shapeOf(body: ModelBody): string {
  if (body.kind === 'trees') return `${body.roots.length} trees with ${body.leaves.length} leaves`;
  if (body.kind === 'logistic') return `logistic regression on ${body.weights.length} columns`;
  return `network ${[body.layers[0]?.inputs ?? 0, ...body.layers.map((layer) => layer.units)].join('-')}`;
}
