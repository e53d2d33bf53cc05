import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { CommandContext } from './command.ts';

/** Where the built pages of the console lie; null where they were not built: `make console` in a clone, the package brings them. */
export function consoleDirectoryOf({ environment }: Pick<CommandContext, 'environment'>): string | null {
  const directory = join(environment.packageDirectory, 'dist', 'console');
  return existsSync(join(directory, 'index.html')) ? directory : null;
}
