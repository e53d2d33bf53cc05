import { tables } from '../../schemas/names.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { type Demo, runDemo } from '../demo/story.ts';
import { readEnvironment } from '../environment.ts';
import { FailedResult } from '../errors.ts';
import { reportLines } from '../report.ts';

interface Options {
  readonly embedded?: boolean;
  readonly exit?: boolean;
}

export const registerDemo: Register = (program, run) => {
  program
    .command('demo')
    .description(
      'the whole story on three million real flights: history, training, live predictions, a report',
    )
    .option('--embedded', 'in this one process, without servers')
    .option('--exit', 'end after the report instead of staying up (as without a terminal)')
    .addHelpText(
      'after',
      examples(
        ['millrace demo', 'on real servers; Ctrl-C ends it'],
        ['millrace demo --embedded --exit', 'where there is no Java and no Docker'],
        ['millrace demo --json', 'the report for programs'],
      ),
    )
    .action(run(demoCommand));
};

async function demoCommand(given: CommandContext, options: Options): Promise<void> {
  const context = withFlights(given);
  const { output, signal } = context;
  const demo = await runDemo(context, { embedded: options.embedded ?? false });
  try {
    const { report } = demo;
    if (output.isJson) output.json(report);
    else for (const line of reportLines(report, output.colours)) output.line(line);
    if (output.interactive && options.exit !== true) {
      for (const line of tries(demo, options.embedded ?? false)) output.line(line);
      await new Promise<void>((done) => {
        if (signal.aborted) done();
        signal.addEventListener('abort', () => done(), { once: true });
      });
    }
    if (!report.checks.every(({ holds }) => holds)) throw new FailedResult();
  } finally {
    const stopping = output.progress('stopping');
    await demo.close();
    stopping.done();
  }
}

/** The demo plays the flights, wherever it is called. */
function withFlights(context: CommandContext): CommandContext {
  if (context.project !== undefined) return context;
  const { ownProject } = context.environment;
  return { ...context, project: ownProject, environment: readEnvironment(ownProject) };
}

/** Things to do while it runs. */
function tries({ project, model, watchUrl, warehouseUrl }: Demo, embedded: boolean): string[] {
  const predictions = tables.predictions(project.prefix, model.name);
  const sql = `curl -s '${warehouseUrl}' --data-binary "SELECT toHour(request_time) AS hour, count() AS flights, round(avg(score), 3) AS late FROM ${predictions} FINAL GROUP BY hour ORDER BY hour FORMAT PrettyCompactMonoBlock"`;
  const lines = embedded
    ? ['  It runs in this process alone, but its ClickHouse answers:', '', `    ${sql}`]
    : [
        '  Try, in another terminal:',
        '',
        '    ./millrace features get origin=ORD',
        `    ${sql}`,
        '    ./millrace predictions tail --from-start --limit 10',
        '    ./millrace models',
        '    ./millrace models show 3',
        '    ./millrace monitor quality',
        '    ./millrace alerts ls',
      ];
  const look = watchUrl === null ? [] : [`  Look at it: ${watchUrl}`, ''];
  return ['', ...look, ...lines, '', '  Ctrl-C ends it and stops everything it started.'];
}
