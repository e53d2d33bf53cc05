import { cancel } from '../../pipelines/runs/changes.ts';
import type { Pipeline } from '../../schemas/pipeline.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { UsageError } from '../errors.ts';
import { duration, instant, shortened } from '../format.ts';
import { instantOption } from '../options.ts';
import { findRun, remarkLonely, tellRun, watchRun, withRunLog } from '../pipeline-runs.ts';
import { paintState } from '../pipeline-tree.ts';
import { runCommand } from './pipelines-run.ts';
import { stepCommand } from './pipelines-step.ts';

export const registerPipelines: Register = (program, run) => {
  const pipelines = program
    .command('pipelines')
    .description('runs of the declared pipelines: what starts them, how far they are, and why they ended')
    .addHelpText(
      'after',
      examples(
        ['millrace pipelines ls', 'what is declared, and its runs'],
        ['millrace pipelines run weekly --watch', 'start one by hand and see its steps'],
        ['millrace pipelines run --resume RUN', 'go on at the step that failed'],
        ['millrace run pipelines', 'one more worker'],
      ),
    );
  pipelines
    .command('ls')
    .description('pipelines and their newest runs')
    .addHelpText(
      'after',
      examples(
        ['millrace pipelines ls', 'what is declared, what runs, and what came of the last runs'],
        ['millrace pipelines ls --json', 'the same for a program'],
      ),
    )
    .action(run(list));
  pipelines
    .command('run')
    .argument('[pipeline]', "default: the project's only one")
    .description('start a run by hand, or go on with one that failed')
    .option(
      '--at <time>',
      'event time: nothing later is learnt from (default: how far the archive is)',
      instantOption,
    )
    .option('--resume <run>', 'go on at the steps of this run that failed; what is done stays')
    .option('--watch', 'show the steps until they are through')
    .option('--work', 'do the steps in this process and its own, until the run is through')
    .option('--outside', 'no worker takes the steps: `pipelines step` does, from Airflow or Kubernetes')
    .addHelpText(
      'after',
      examples(
        ['millrace pipelines run retrain --watch', 'now, by the workers that run'],
        ['millrace pipelines run retrain --at 2001-03-23 --work', 'as of then, in this process'],
        ['millrace pipelines run --resume retrain@2001-03-29', 'from the step that failed'],
      ),
    )
    .action(run(runCommand));
  pipelines
    .command('show')
    .argument('<run>', 'id of the run, or the beginning of it')
    .description('the steps of a run, with what each came to')
    .option('--watch', 'until they are through')
    .addHelpText(
      'after',
      examples(['millrace pipelines show retrain@2001-03-29 --watch', 'a live tree of its steps']),
    )
    .action(run(show));
  pipelines
    .command('cancel')
    .argument('<run>', 'id of the run, or the beginning of it')
    .description('end a run: what is in hand is stopped and counts for nothing')
    .option('--reason <text>', 'for whoever reads it later', 'cancelled by hand')
    .addHelpText(
      'after',
      examples([
        "millrace pipelines cancel retrain@2001-03-29 --reason 'wrong data'",
        'and nothing of it counts',
      ]),
    )
    .action(run(stop));
  pipelines
    .command('step')
    .argument('<step>', 'name of the step')
    .description('do one step of a run in this process: for Airflow, a Kubernetes job, or a worker')
    .requiredOption('--run <run>', 'id of the run, or the beginning of it')
    .option('--token <token>', 'of the worker that holds the step and waits for the answer')
    .option('--take-over', 'of a run with --outside: whoever has the step in hand is dead')
    .addHelpText(
      'after',
      examples(
        ['millrace pipelines step train --run RUN', 'from a scheduler of your own'],
        ['millrace pipelines step train --run RUN --take-over', 'its retry, after a process that was killed'],
      ),
    )
    .action(run(stepCommand));
};

function startsOf({ start }: Pipeline): string {
  const says = [
    ...(start.every === null ? [] : [`every ${duration(start.every)}`]),
    ...(start.cron === null ? [] : [`cron ${start.cron}`]),
    ...(start.alerts.length === 0 ? [] : [`on ${start.alerts.join(', ')}`]),
  ];
  return says.length === 0 ? 'by hand' : says.join('; ');
}

async function list(context: CommandContext): Promise<void> {
  const { output } = context;
  await withRunLog(context, async ({ project, log }) => {
    const runs = await log.all();
    if (output.isJson) return output.json({ pipelines: project.pipelines, runs });
    if (project.pipelines.length === 0)
      return output.line(
        'No pipeline is declared: write config/pipelines.yaml (docs/user_guides/pipelines.md).',
      );
    output.table(
      [{ title: 'pipeline' }, { title: 'model' }, { title: 'starts' }, { title: 'steps' }],
      project.pipelines.map((one) => [
        one.name,
        one.model,
        startsOf(one),
        one.steps.map(({ name }) => name).join(' > '),
      ]),
    );
    if (runs.length === 0) return;
    output.line();
    output.table(
      [
        { title: 'run' },
        { title: 'as of' },
        { title: 'cause' },
        { title: 'state' },
        { title: 'began' },
        { title: 'last step' },
      ],
      runs.slice(-30).map((run) => {
        const last = run.steps.findLast(({ attempt }) => attempt > 0);
        return [
          run.id,
          instant(run.eventTime),
          run.cause,
          paintState(run.state, output.colours),
          instant(Math.floor(run.createdAt / 1_000) * 1_000),
          last === undefined ? '' : shortened(`${last.step.name}: ${last.error || last.note}`, 90),
        ];
      }),
    );
  });
}

async function show(context: CommandContext, id: string, options: { watch?: boolean }): Promise<void> {
  await withRunLog(context, async ({ platform, log }) => {
    const run = await findRun(log, id);
    await remarkLonely(context, platform, run);
    if (options.watch) await watchRun(context, log, run.id);
    else tellRun(context, run);
  });
}

async function stop(context: CommandContext, id: string, options: { reason: string }): Promise<void> {
  await withRunLog(context, async ({ log }) => {
    const run = await findRun(log, id);
    const cancelled = await log.update(run.id, (now, at) => cancel(now, options.reason, at));
    if (cancelled === null) throw new UsageError(`Run ${run.id} is ${run.state} already.`);
    tellRun(context, cancelled);
  });
}
