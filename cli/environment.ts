import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sharedDirectory, stackDirectory } from '../infrastructure/local/places.ts';
import { moduleUrl } from '../infrastructure/module-url.ts';

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
  /** Of the project's runs: logs, models, data sets and the current prefix. MILLRACE_DATA, else `.millrace` in the project. */
  readonly dataDirectory: string;
  /** Of the local stack, which all projects of this machine share. */
  readonly stackDirectory: string;
  /** ./; in a clone, where ./ holds no project, the flights. */
  readonly defaultProject: string;
  /** The flights, which come with Millrace. */
  readonly ownProject: string;
  /** Directory of the package itself, where package.json is. */
  readonly packageDirectory: string;
  /** It runs from a clone of the repository, not from an installed package. */
  readonly isClone: boolean;
  /** This command line, for processes of its own. */
  readonly program: string;
  /** All variables, for the references to secrets in a project's connections. */
  readonly variables: Readonly<Record<string, string | undefined>>;
}

/** @param project its directory as `--project` names it; default: the default project */
export function readEnvironment(project?: string): Environment {
  const variables = process.env;
  const places = placesOf(resolve(import.meta.dirname, '..'));
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
    ...places,
    dataDirectory: variables.MILLRACE_DATA
      ? resolve(variables.MILLRACE_DATA)
      : dataOf(resolve(project ?? places.defaultProject), places),
    stackDirectory: stackDirectory(variables),
    program: fileURLToPath(moduleUrl(import.meta.url, './millrace')),
    variables,
  };
}

type Places = Pick<Environment, 'packageDirectory' | 'ownProject' | 'defaultProject'> & {
  readonly isClone: boolean;
};

/** @param code the root of our code: the clone, or `dist` of the package */
function placesOf(code: string): Places {
  const isClone = existsSync(join(code, 'package.json'));
  const ownProject = join(code, 'config');
  const here = resolve('.');
  return {
    isClone,
    ownProject,
    packageDirectory: isClone ? code : dirname(code),
    defaultProject: isClone && !existsSync(join(here, 'project.yaml')) ? ownProject : here,
  };
}

/** Beside the project, wherever the command was called; the flights lie in the package, which may be read-only. */
function dataOf(project: string, { ownProject, packageDirectory, isClone }: Places): string {
  if (project !== ownProject) return join(project, '.millrace');
  return isClone ? join(packageDirectory, 'data') : join(sharedDirectory(), 'flights');
}
