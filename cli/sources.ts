import type { Project } from '../schemas/project.ts';
import { UsageError } from './errors.ts';

/** Names of the sources that a command is about: the one that was named, or all. */
export function sourcesOf(project: Project, source: string | undefined): string[] {
  const names = project.sources.map(({ name }) => name);
  if (source === undefined) return names;
  if (!names.includes(source))
    throw new UsageError(`Project ${project.name} has no source '${source}'; it has ${names.join(', ')}.`);
  return [source];
}
