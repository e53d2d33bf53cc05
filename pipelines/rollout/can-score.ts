import type { ArtefactStore } from '../../infrastructure/artefacts/port.ts';
import type { ModelRegistry } from '../../infrastructure/registry/models.ts';
import { parseArtefact } from '../../models/artefact.ts';
import { createScorer } from '../../models/scorer.ts';
import type { Model } from '../../schemas/project.ts';
import { versionOf } from './moves.ts';

/** A version that cannot score is not let near a request. Throws what is wrong with it. */
export async function mustScore(
  model: Model,
  registry: Pick<ModelRegistry, 'history'>,
  artefacts: Pick<ArtefactStore, 'get'>,
  version: number,
): Promise<void> {
  const { artefact } = versionOf(await registry.history(model.name), version);
  createScorer(parseArtefact(await artefacts.get(artefact), artefact), model.layoutHash);
}
