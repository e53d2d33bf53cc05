import type { Project, Source } from '../../schemas/project.ts';
import { tiedSources } from '../ingest/neighbours.ts';
import { ReplayRefused } from './errors.ts';
import type { ReplayInput } from './items.ts';

/**
 * The sources that get a replay's clocks: those with items, and all that a view or a model ties to one of them. A quiet one of
 * these would hold the frontier of the views they share, or be left out of it as idle.
 */
export function clockedSources(
  project: Project,
  inputs: ReadonlyArray<Pick<ReplayInput, 'source'>>,
): Source[] {
  for (const { source } of inputs)
    if (!project.sources.some(({ name }) => name === source))
      throw new ReplayRefused(
        `Project ${project.name} has no source '${source}'; it has ${project.sources.map((s) => s.name).join(', ')}.`,
      );
  const tied = tiedSources(project);
  const names = new Set(inputs.flatMap(({ source }) => [...(tied.get(source) ?? [])]));
  return project.sources.filter(({ name }) => names.has(name));
}

/** The least slack of the views that these sources feed, ms; infinity where they feed none. */
export function leastSlack(project: Project, sources: readonly Source[]): number {
  const names = new Set(sources.map(({ name }) => name));
  return Math.min(
    ...project.views.filter((view) => view.sources.some((name) => names.has(name))).map(({ slack }) => slack),
  );
}
