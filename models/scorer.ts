import { type Artefact, LayoutMismatch } from './artefact.ts';
import { createRaw } from './body.ts';
import { createCalibrator } from './calibration.ts';

/** Body and calibration in one. Every score is a function of its row and the artefact alone. */
export interface Scorer {
  readonly model: string;
  readonly layoutHash: string;
  /** Score at or above which the decision is true. */
  readonly threshold: number;
  /** Values in a vector. */
  readonly width: number;
  /** Probability for one vector of `width` values; NaN is null. */
  score(vector: Float64Array): number;
  /** Probabilities of n vectors, row-major, into `out`. The same bits as `score` of each. */
  scoreBatch(vectors: Float64Array, n: number, out: Float64Array): void;
}

/**
 * @param layout hash of the layout of the vectors it will be given.
 * @throws LayoutMismatch where the model learnt from another one.
 */
export function createScorer(artefact: Artefact, layout: string = artefact.manifest.layoutHash): Scorer {
  const { manifest } = artefact;
  if (layout !== manifest.layoutHash) throw new LayoutMismatch(manifest.model, manifest.layoutHash, layout);
  const raw = createRaw(artefact.body);
  const calibrate = createCalibrator(artefact.calibration);
  const width = manifest.features.length;

  return {
    model: manifest.model,
    layoutHash: manifest.layoutHash,
    threshold: manifest.threshold,
    width,
    score(vector) {
      if (vector.length !== width) {
        throw new RangeError(
          `Model ${manifest.model} scores vectors of ${width} values, not of ${vector.length}.`,
        );
      }
      return calibrate(raw.logit(vector, 0));
    },
    scoreBatch(vectors, n, out) {
      if (vectors.length < n * width || out.length < n) {
        throw new RangeError(
          `${n} vectors of ${width} values do not fit in ${vectors.length}, or their scores in ${out.length}.`,
        );
      }
      for (let row = 0; row < n; row++) out[row] = calibrate(raw.logit(vectors, row * width));
    },
  };
}
