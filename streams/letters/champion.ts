import type { ArtefactStore } from '../../infrastructure/artefacts/port.ts';
import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import type { Kafka } from '../../infrastructure/kafka/port.ts';
import { createModelRegistry } from '../../infrastructure/registry/models.ts';
import { parseArtefact } from '../../models/artefact.ts';
import { createScorer, type Scorer } from '../../models/scorer.ts';
import type { Model, Project } from '../../schemas/project.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import type { Codecs } from '../runtime/codecs.ts';

export interface ChampionDeps {
  readonly project: Project;
  readonly kafka: Kafka;
  readonly warehouse: Warehouse;
  readonly codecs: Pick<Codecs, 'models'>;
  readonly artefacts: Pick<ArtefactStore, 'get'>;
}

export type Champion = Pick<Scorer, 'score' | 'threshold'>;

/** What a model decides by now; null where nobody was promoted, where the champion learnt from other features, or is not at hand. Throws KafkaError. */
export async function championOf(
  { project, kafka, codecs, artefacts }: ChampionDeps,
  model: Model,
): Promise<Champion | null> {
  const registry = createModelRegistry({ kafka, codec: codecs.models, prefix: project.prefix });
  const { champion } = await registry.history(model.name);
  if (champion === null || champion.layout !== model.layoutHash) return null;
  try {
    return createScorer(
      parseArtefact(await artefacts.get(champion.artefact), champion.artefact),
      model.layoutHash,
    );
  } catch (error) {
    if (error instanceof MillraceError) return null;
    throw error;
  }
}
