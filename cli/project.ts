import { join } from 'node:path';
import { openServers, type Platform, type PlatformOptions } from '../platform/platform.ts';
import type { Project } from '../schemas/project.ts';
import type { CommandContext } from './command.ts';

export { openProject, type ProjectOptions, projectDirectory } from './open-project.ts';

export const artefactDirectory = (context: CommandContext) =>
  join(context.environment.dataDirectory, 'artefacts');

/** The servers of a project, and the models kept on this machine. */
export function openPlatform(
  context: CommandContext,
  project: Project,
  more: Omit<PlatformOptions, 'artefacts'> = {},
): Platform {
  return openServers(project, {
    artefacts: artefactDirectory(context),
    onForeign: (kind, detail) =>
      context.output.warn(`A record on one of our topics is no ${kind} and was passed over: ${detail}.`),
    ...more,
  });
}
