import type { Model, Project } from '../../schemas/project.ts';
import type { Models } from '../inference/predict.ts';
import type { LocalDeps } from '../local/deps.ts';
import { isLocalModel } from '../local/is-local.ts';
import { Local } from '../local/local.ts';
import type { IngestContext } from './context.ts';
import type { RawPartition } from './raw-partition.ts';

interface Scoring {
  readonly project: Project;
  readonly models?: ReadonlyMap<string, Models>;
}

/** The models that ingest scores by itself. */
export function localModels({ project, models }: Scoring): Model[] {
  return project.models.filter((model) => models?.has(model.name) && isLocalModel(project, model));
}

/** Null where no model is local. */
export function openLocal(deps: LocalDeps & Scoring): Local | null {
  const own = new Map(
    localModels(deps).flatMap((model) => {
      const models = deps.models?.get(model.name);
      return models === undefined ? [] : [[model, models] as const];
    }),
  );
  return own.size === 0 ? null : new Local(deps, own);
}

/** Loads what local views know of partitions that are begun, or begun anew. */
export async function beginLocally(
  { checkpoint, local }: Pick<IngestContext, 'checkpoint' | 'local'>,
  partitions: readonly RawPartition[],
): Promise<void> {
  const read = partitions.filter(({ partition, source }) => partition < source.partitions);
  if (local !== null && read.length > 0) await local.begin(read, (outputs) => checkpoint.flush({ outputs }));
}
