import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** What the command line takes from the world around it. This is the one file that reads the environment. */
export interface Environment {
  /** MILLRACE_DEBUG: errors come with their stack, logs with their detail. */
  readonly debug: boolean;
  /** Standard output is a terminal. */
  readonly outputTerminal: boolean;
  /** Standard error is a terminal: progress may redraw its line. */
  readonly errorTerminal: boolean;
  /** Colours are wanted (NO_COLOR, TERM=dumb and pipes say no; FORCE_COLOR says yes). */
  readonly colour: boolean;
  /** Columns of the terminal. */
  readonly columns: number;
  /** MILLRACE_DATA or ./data: logs, the local stack and the current prefix live there. */
  readonly dataDirectory: string;
  /** ./ where it holds a project, else the project that comes with Millrace. */
  readonly defaultProject: string;
  /** Directory of the package itself. */
  readonly packageDirectory: string;
  /** All variables, for the references to secrets in a project's connections. */
  readonly variables: Readonly<Record<string, string | undefined>>;
}

export function readEnvironment(): Environment {
  const variables = process.env;
  const packageDirectory = resolve(import.meta.dirname, '..');
  const outputTerminal = process.stdout.isTTY === true;
  const forced = variables.FORCE_COLOR !== undefined && variables.FORCE_COLOR !== '0';
  const plain =
    (variables.NO_COLOR ?? '') !== '' || variables.TERM === 'dumb' || variables.FORCE_COLOR === '0';
  return {
    debug: (variables.MILLRACE_DEBUG ?? '') !== '' && variables.MILLRACE_DEBUG !== '0',
    outputTerminal,
    errorTerminal: process.stderr.isTTY === true && variables.TERM !== 'dumb',
    colour: forced || (outputTerminal && !plain),
    columns: process.stderr.columns ?? process.stdout.columns ?? 100,
    dataDirectory: resolve(variables.MILLRACE_DATA ?? 'data'),
    defaultProject: existsSync(resolve('project.yaml')) ? resolve('.') : join(packageDirectory, 'config'),
    packageDirectory,
    variables,
  };
}
