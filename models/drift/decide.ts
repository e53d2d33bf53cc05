import type { DriftInput, DriftVerdict } from './types.ts';

/** Which features drifted, ranked by their effect on the model. */
export function decideDrift(input: DriftInput): DriftVerdict[] {
  void input;
  throw new Error('not yet');
}
