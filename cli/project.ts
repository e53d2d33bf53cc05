import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { loadProject } from '../config/load.ts';
import { currentStack, type StackAddresses } from '../infrastructure/local/stack.ts';
import type { Logger } from '../infrastructure/telemetry/logger.ts';
import { openServers, type Platform } from '../platform/platform.ts';
import type { Project } from '../schemas/project.ts';
import type { CommandContext } from './command.ts';
import { readCurrent } from './current.ts';
import { UsageError } from './errors.ts';
import { stackDirectory } from './stack.ts';

export interface ProjectOptions {
  /** In place of `--prefix`, of the current run's and of the project's own. */
  readonly prefix?: string;
  readonly partitions?: number;
}

export function projectDirectory(context: CommandContext): string {
  const directory = resolve(context.project ?? context.environment.defaultProject);
  if (!existsSync(join(directory, 'project.yaml')))
    throw new UsageError(
      `There is no project.yaml in ${directory}: name a project's directory with --project.`,
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
    environment: { ...addressesOf(currentStack(stackDirectory(context))), ...variables },
    ...(prefix === undefined ? {} : { prefix }),
    ...(options.partitions === undefined ? {} : { partitions: options.partitions }),
  });
}

function addressesOf(stack: StackAddresses | undefined): Record<string, string> {
  if (stack === undefined) return {};
  const { kafka, redis, registry, clickhouse } = stack;
  return {
    ...(kafka.length === 0 ? {} : { KAFKA_BROKERS: kafka.join(',') }),
    ...(redis === '' ? {} : { REDIS_URL: redis }),
    ...(registry === '' ? {} : { REGISTRY_URL: registry }),
    ...(clickhouse === '' ? {} : { CLICKHOUSE_URL: clickhouse }),
  };
}

export const artefactDirectory = (context: CommandContext) =>
  join(context.environment.dataDirectory, 'artefacts');

/** The servers of a project, and the models kept on this machine. */
export function openPlatform(context: CommandContext, project: Project, logger?: Logger): Platform {
  return openServers(project, {
    artefacts: artefactDirectory(context),
    ...(logger === undefined ? {} : { logger }),
  });
}
