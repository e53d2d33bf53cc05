import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { loadProject } from '../config/load.ts';
import { localVariables } from '../infrastructure/local/addresses.ts';
import type { Project } from '../schemas/project.ts';
import type { CommandContext } from './command.ts';
import { readCurrent } from './current.ts';
import { UsageError } from './errors.ts';

export interface ProjectOptions {
  /** In place of `--prefix`, of the current run's and of the project's own. */
  readonly prefix?: string;
  readonly partitions?: number;
}

export function projectDirectory(context: CommandContext): string {
  const directory = resolve(context.project ?? context.environment.defaultProject);
  if (!existsSync(join(directory, 'project.yaml')))
    throw new UsageError(
      `There is no project.yaml in ${directory}: go to a project's directory, name it with --project, or make one with \`millrace init\`.`,
    );
  return directory;
}

/**
 * The project a command works on. Its connections name variables of the environment; a local stack that runs
 * here answers for those that nobody set. Throws ConfigError.
 */
export function openProject(context: CommandContext, options: ProjectOptions = {}): Project {
  const directory = projectDirectory(context);
  const { dataDirectory, variables } = context.environment;
  const prefix = options.prefix ?? context.prefix ?? readCurrent(dataDirectory, directory)?.prefix;
  return loadProject(directory, {
    environment: { ...localVariables(context.environment.stackDirectory), ...variables },
    ...(prefix === undefined ? {} : { prefix }),
    ...(options.partitions === undefined ? {} : { partitions: options.partitions }),
  });
}
