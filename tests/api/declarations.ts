import type { Declarations } from '../../api/declarations.ts';
import type { CommandContext } from '../../cli/command.ts';
import { declarationsOf } from '../../cli/try/declarations.ts';
import { loadProject } from '../../config/load.ts';

/** The files of a project, as a server has them that the command line started. */
export function declarationsIn(directory: string): Declarations {
  const environment = { stackDirectory: directory, variables: {}, defaultProject: directory };
  const { prefix } = loadProject(directory, { environment: {} });
  return declarationsOf({ project: directory, environment } as unknown as CommandContext, { prefix });
}
