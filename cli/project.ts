import { join } from 'node:path';
import type { Logger } from '../infrastructure/telemetry/logger.ts';
import { openServers, type Platform } from '../platform/platform.ts';
import type { Project } from '../schemas/project.ts';
import type { CommandContext } from './command.ts';

export { openProject, type ProjectOptions, projectDirectory } from './open-project.ts';

export const artefactDirectory = (context: CommandContext) =>
  join(context.environment.dataDirectory, 'artefacts');

/** The servers of a project, and the models kept on this machine. */
export function openPlatform(context: CommandContext, project: Project, logger?: Logger): Platform {
  return openServers(project, {
    artefacts: artefactDirectory(context),
    ...(logger === undefined ? {} : { logger }),
  });
}
