import type { Command } from 'commander';
import type { Environment } from './environment.ts';
import type { Output } from './output.ts';

/** What a command is given besides its own arguments. */
export interface CommandContext {
  readonly environment: Environment;
  readonly output: Output;
  /** `--project` and `--prefix`, where they were given. */
  readonly project: string | undefined;
  readonly prefix: string | undefined;
  /** Aborted by the first Ctrl-C or SIGTERM: a command ends its work in order. The second one kills. */
  readonly signal: AbortSignal;
}

/** Adds one command to the program. `run` wraps an action with its context, its errors and its exit code. */
export type Register = (program: Command, run: Runner) => void;

/** Arguments come as commander gives them: the positional ones, then the command's own options. */
export type Runner = <Parameters extends unknown[]>(
  action: (context: CommandContext, ...parameters: Parameters) => Promise<void>,
) => (...all: unknown[]) => Promise<void>;

/** Examples for the end of a `--help`. */
export function examples(...lines: ReadonlyArray<readonly [command: string, meaning: string]>): string {
  const width = Math.max(...lines.map(([command]) => command.length));
  return `\nExamples:\n${lines.map(([command, meaning]) => `  $ ${command.padEnd(width)}  ${meaning}`).join('\n')}`;
}
