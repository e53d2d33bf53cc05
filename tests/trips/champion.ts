import { createModelRegistry } from '../../infrastructure/registry/models.ts';
import { trainModel } from '../../pipelines/training/training.ts';
import type { Platform } from '../../platform/platform.ts';
import type { Project } from '../../schemas/project.ts';
import { TURN } from './project.ts';

/** The first version, from the trips before `TURN`, which must be in the archive. */
export async function trainChampion(
  project: Project,
  { warehouse, artefacts, kafka, codecs }: Platform,
): Promise<void> {
  const [model] = project.models;
  if (model === undefined) throw new Error('the project has a model');
  const { models: codec } = await codecs();
  await trainModel({
    project,
    model,
    warehouse,
    artefacts,
    registry: createModelRegistry({ kafka, codec, prefix: project.prefix }),
    from: null,
    to: TURN,
    asOf: TURN,
    as: 'champion',
    by: 'test',
    codeVersion: 'test',
    now: Date.now,
  });
}
