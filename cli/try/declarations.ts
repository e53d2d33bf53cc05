import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Declarations } from '../../api/declarations.ts';
import { ConfigError, loadProject } from '../../config/load.ts';
import { localVariables } from '../../infrastructure/local/addresses.ts';
import type { Project } from '../../schemas/project.ts';
import type { CommandContext } from '../command.ts';
import { UsageError } from '../errors.ts';
import { projectDirectory } from '../project.ts';
import { nameIn, overlayOf, VIEW_FOLDERS } from './overlay.ts';

const FILE = 'tried.yaml';

/** What the HTTP API may try: views, on a copy of the project's files. */
export function declarationsOf(context: CommandContext, { prefix }: Pick<Project, 'prefix'>): Declarations {
  const directory = projectDirectory(context);
  const { stackDirectory, variables } = context.environment;
  const environment = { ...localVariables(stackDirectory), ...variables };
  return {
    text(view) {
      for (const folder of VIEW_FOLDERS.map((name) => join(directory, name))) {
        if (!existsSync(folder)) continue;
        for (const file of readdirSync(folder)) {
          const text = /\.ya?ml$/.test(file) ? readFileSync(join(folder, file), 'utf8') : '';
          if (nameIn(text, 'view') === view) return text;
        }
      }
      return null;
    },
    trial(text) {
      try {
        const overlay = overlayOf(directory, FILE, text);
        try {
          if (overlay.kind !== 'view')
            throw new UsageError('A view is tried here: its first key should be `view:`.');
          const project = loadProject(overlay.directory, { environment, prefix });
          const view = project.views.find(({ name }) => name === overlay.name);
          if (view === undefined) throw new UsageError(`There is no view ${overlay.name}.`);
          return { project, view, replaces: overlay.replaces, same: overlay.same };
        } finally {
          overlay.remove();
        }
      } catch (error) {
        if (!(error instanceof UsageError)) throw error;
        throw new ConfigError([{ file: FILE, line: 1, column: 1, message: error.message, mend: '' }]);
      }
    },
  };
}
