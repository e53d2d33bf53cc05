import { mendOfUnknown } from '../config/nearest.ts';
import type { Model, Project, Source } from '../schemas/project.ts';
import type { View } from '../schemas/view.ts';
import { Problem } from './problem.ts';

/** Throws Problem with the nearest name. */
export function find<T extends { readonly name: string }>(
  what: string,
  all: readonly T[],
  name: string,
  status = 404,
): T {
  const found = all.find((one) => one.name === name);
  if (found !== undefined) return found;
  const names = all.map((one) => one.name);
  const mend = mendOfUnknown(name, names);
  throw new Problem(status, `unknown_${what}`, `There is no ${what} '${name}'. ${mend}`.trim());
}

/** By the name that a path holds. Throw Problem. */
export const viewOf = ({ views }: Project, name: string): View => find('view', views, name);
export const modelOf = ({ models }: Project, name: string): Model => find('model', models, name);
export const sourceOf = ({ sources }: Project, name: string): Source => find('source', sources, name);
/** Sources of a view whose events have all fields of its key. */
export function sourcesWithKey({ sources }: Project, view: Pick<View, 'sources' | 'entity'>): Source[] {
  const has = ({ fields }: Source, name: string) =>
    name === 'id' || fields.some((field) => field.name === name);
  return sources.filter(
    (source) => view.sources.includes(source.name) && view.entity.every((field) => has(source, field)),
  );
}

export const pipelineOf = ({ pipelines }: Project, name: string) => find('pipeline', pipelines, name);
