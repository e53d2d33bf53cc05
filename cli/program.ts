import { Command, CommanderError } from 'commander';
import { type CommandContext, examples, type Register, type Runner } from './command.ts';
import { registerAlerts } from './commands/alerts.ts';
import { registerApply } from './commands/apply.ts';
import { registerAudit } from './commands/audit.ts';
import { registerBackfill } from './commands/backfill.ts';
import { registerCheck } from './commands/check.ts';
import { registerDeadLetters } from './commands/dead-letters.ts';
import { registerDemo } from './commands/demo.ts';
import { registerDetectors } from './commands/detectors.ts';
import { registerDown } from './commands/down.ts';
import { registerEvaluate } from './commands/evaluate.ts';
import { registerExperiments } from './commands/experiments.ts';
import { registerExplain } from './commands/explain.ts';
import { registerFeatures } from './commands/features.ts';
import { registerImport } from './commands/import.ts';
import { registerModels } from './commands/models.ts';
import { registerMonitor } from './commands/monitor.ts';
import { registerPipelines } from './commands/pipelines.ts';
import { registerPredictions } from './commands/predictions.ts';
import { registerReplay } from './commands/replay.ts';
import { registerRun } from './commands/run.ts';
import { registerRuns } from './commands/runs.ts';
import { registerStatus } from './commands/status.ts';
import { registerTrain } from './commands/train.ts';
import { registerTune } from './commands/tune.ts';
import { registerUp } from './commands/up.ts';
import { readEnvironment } from './environment.ts';
import { describeFailure, EXIT } from './errors.ts';
import { createOutput } from './output.ts';

/** In the order in which a person meets them. */
const COMMANDS: readonly Register[] = [
  registerCheck,
  registerApply,
  registerUp,
  registerDown,
  registerStatus,
  registerRun,
  registerReplay,
  registerImport,
  registerBackfill,
  registerTrain,
  registerTune,
  registerEvaluate,
  registerModels,
  registerMonitor,
  registerPipelines,
  registerRuns,
  registerFeatures,
  registerPredictions,
  registerExplain,
  registerDeadLetters,
  registerAudit,
  registerAlerts,
  registerExperiments,
  registerDetectors,
  registerDemo,
];

interface GlobalOptions {
  readonly project?: string;
  readonly prefix?: string;
  readonly json?: boolean;
}

/** Runs one command line and answers its exit code: 0 it worked, 1 it failed or its answer is no, 2 it was asked wrongly. */
export async function main(parameters: readonly string[]): Promise<number> {
  const environment = readEnvironment();
  const abort = new AbortController();
  const stopListening = onInterrupt(abort);
  let exitCode: number = EXIT.ok;

  const run: Runner =
    <P extends unknown[]>(action: (context: CommandContext, ...parameters: P) => Promise<void>) =>
    async (...all) => {
      const command = all.at(-1) as Command;
      const options = command.optsWithGlobals<GlobalOptions>();
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

  const program = createProgram(run);
  try {
    await program.parseAsync(['node', 'millrace', ...parameters]);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Commander has printed its help or its complaint already.
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  } finally {
    stopListening();
  }
  return exitCode;
}

export function createProgram(run: Runner): Command {
  const program = new Command('millrace')
    .description(
      'Real-time machine learning on Kafka: declare events, features and models; get live predictions.',
    )
    .option(
      '--project <dir>',
      'directory of the project (default: ./ if it has project.yaml, else the flights that come with Millrace)',
    )
    .option(
      '--prefix <name>',
      "first part of every topic, key and table (default: the current run's, else the project's name)",
    )
    .option('--json', 'print JSON for programs instead of text for people')
    .helpCommand(false)
    .showHelpAfterError('(millrace --help tells what there is)')
    .configureHelp({ sortSubcommands: false, showGlobalOptions: false })
    .addHelpText(
      'after',
      examples(
        ['make demo', 'the whole story on three million real flights'],
        ['millrace check --project docs/examples/payments', 'is a project right?'],
        ['millrace features get origin=ORD', 'what is known of an airport now'],
        ['millrace features get --help', 'options and examples of one command'],
      ),
    )
    .exitOverride();
  for (const register of COMMANDS) register(program, run);
  inherit(program);
  return program;
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
