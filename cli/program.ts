import { type Argument, Command, CommanderError } from 'commander';
import { type CommandContext, examples, type Runner } from './command.ts';
import { COMMANDS } from './commands.ts';
import { readEnvironment } from './environment.ts';
import { describeFailure, EXIT } from './errors.ts';
import { createOutput } from './output.ts';
import { packageVersion } from './version.ts';

interface GlobalOptions {
  readonly project?: string;
  readonly prefix?: string;
  readonly json?: boolean;
}

/** Runs one command line and answers its exit code: 0 it worked, 1 it failed or its answer is no, 2 it was asked wrongly. */
export async function main(parameters: readonly string[]): Promise<number> {
  const abort = new AbortController();
  const stopListening = onInterrupt(abort);
  let exitCode: number = EXIT.ok;

  const run: Runner =
    <P extends unknown[]>(action: (context: CommandContext, ...parameters: P) => Promise<void>) =>
    async (...all) => {
      const command = all.at(-1) as Command;
      const options = command.optsWithGlobals<GlobalOptions>();
      const environment = readEnvironment(options.project);
      const output = createOutput(environment, options.json ?? false);
      const context: CommandContext = {
        environment,
        output,
        project: options.project,
        prefix: options.prefix,
        signal: abort.signal,
      };
      try {
        await action(context, ...(all.slice(0, -1) as P));
      } catch (error) {
        const failure = describeFailure(error, environment.debug);
        exitCode = failure.exitCode;
        if (failure.message === '') return;
        if (output.isJson) output.json({ error: { code: failure.code, message: failure.message } });
        else output.error(failure.message);
      }
    };

  const program = await createProgram(run, commandOf(parameters));
  try {
    await program.parseAsync(['node', 'millrace', ...parameters]);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Commander has printed its help or its complaint already.
    if (error.exitCode === 0) return EXIT.ok;
    const message =
      error.code === 'commander.help'
        ? 'Name a command: --help lists what there is.'
        : error.message.replace(/^error: /, '');
    if (parameters.includes('--json'))
      createOutput(readEnvironment(), true).json({
        error: { code: error.code.replace('commander.', ''), message },
      });
    return EXIT.usage;
  } finally {
    stopListening();
  }
  return exitCode;
}

/** The command that a command line calls, as far as it can be seen without knowing the commands. */
function commandOf(parameters: readonly string[]): string | undefined {
  for (let at = 0; at < parameters.length; at++) {
    const text = parameters[at] ?? '';
    if (text === '--project' || text === '--prefix') at++;
    else if (!text.startsWith('-')) return text;
  }
  return undefined;
}

/** An installed package has neither the Makefile of a clone nor its projects. */
export const examplesOf = ({ isClone }: { readonly isClone: boolean }): Array<[string, string]> => [
  ...(isClone
    ? ([
        ['make demo', 'the whole story on three million real flights'],
        ['millrace check --project docs/examples/payments', 'is a project right?'],
        ['millrace features get origin=ORD', 'what is known of an airport now'],
      ] satisfies Array<[string, string]>)
    : ([
        ['millrace init', 'make a project from a sample record; its README leads to a first prediction'],
        ['millrace dev', 'run it on this machine, and apply what changes in its YAML'],
        ['millrace check', 'is the project right?'],
      ] satisfies Array<[string, string]>)),
  ['millrace features get --help', 'options and examples of one command'],
];

/**
 * The program. Only the command named `called` is whole; the others have their names and summaries, for `--help`
 * and for the nearest name. `every` loads all of them.
 */
export async function createProgram(run: Runner, called?: string, every = false): Promise<Command> {
  const program = new Command('millrace')
    .description(
      'Real-time machine learning on Kafka: declare events, features and models; get live predictions.',
    )
    .option(
      '--project <dir>',
      'directory of the project (default: ./ if it has project.yaml; in a clone, else the flights)',
    )
    .option(
      '--prefix <name>',
      "first part of every topic, key and table (default: the current run's, else the project's name)",
    )
    .option('--json', 'print JSON for programs instead of text for people')
    .version(packageVersion(readEnvironment().packageDirectory), '--version', 'print the version')
    .helpCommand(false)
    .showHelpAfterError('(millrace --help tells what there is)')
    .configureHelp({
      sortSubcommands: false,
      showGlobalOptions: false,
      // Commands that are not loaded do not know whether they have options.
      subcommandTerm: (command) =>
        [command.name(), ...command.registeredArguments.map(argumentTerm)].join(' '),
    })
    .addHelpText('after', examples(...examplesOf(readEnvironment())))
    .exitOverride();
  for (const { name, parameters = '', summary, load } of COMMANDS)
    if (every || name === called) (await load())(program, run);
    else program.command(`${name} ${parameters}`.trim()).description(summary);
  inherit(program);
  return program;
}

function argumentTerm(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
  return argument.required ? `<${name}>` : `[${name}]`;
}

/** Settings that commander does not hand down to commands added with `.command()` of a group. */
function inherit(command: Command): void {
  for (const child of command.commands) {
    child.copyInheritedSettings(command);
    child.exitOverride();
    inherit(child);
  }
}

function onInterrupt(abort: AbortController): () => void {
  const onSignal = () => {
    // Somebody who asks twice means it.
    if (abort.signal.aborted) process.exit(EXIT.interrupted);
    abort.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return () => {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  };
}
