import { addressOf, serialiseArtefact } from '../../models/artefact.ts';
import { encodedNames, fitEncoder } from '../../models/encoder.ts';
import { createRandom } from '../../models/random.ts';
import { defaultTrainSpec } from '../../models/train-spec.ts';
import { expressionsOf } from '../../schemas/layout.ts';
import type { Model } from '../../schemas/project.ts';
import { manifestOf, randomLayers } from '../models/fixtures.ts';

/** A model with random weights that reads the declared features: every seed scores differently. */
export function artefactFor(
  { features, name, layoutHash }: Model,
  seed: number,
): { readonly address: string; readonly bytes: Uint8Array; readonly layout: string } {
  const names = features.map((feature) => feature.name);
  const random = createRandom(seed);
  const rows = Float64Array.from({ length: 50 * names.length }, () => random.normal() * 20);
  const encoder = fitEncoder(names, rows, defaultTrainSpec.encoder);
  const bytes = serialiseArtefact({
    manifest: { ...manifestOf(names, { ...expressionsOf(features) }), model: name },
    body: { kind: 'dense', encoder, layers: randomLayers([encodedNames(encoder).length, 6, 1], seed) },
    calibration: { kind: 'none' },
  });
  return { address: addressOf(bytes), bytes, layout: layoutHash };
}
