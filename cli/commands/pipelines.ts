import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { tables } from '../../schemas/names.ts';
import type { Pipeline } from '../../schemas/pipeline.ts';
import type { Project } from '../../schemas/project.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import type { RunLog } from '../../streams/pipelines/log.ts';
import { openExecutor, stepTools } from '../../streams/pipelines/open.ts';
import { runId } from '../../streams/pipelines/starts.ts';
import { cancel, isOver, type PipelineRun, resume } from '../../streams/pipelines/state.ts';
import { jobsOf } from '../../streams/pipelines/work.ts';
import { createPipelineTicks, openRunLog } from '../../streams/pipelines.ts';
import type { Platform } from '../../streams/platform.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { FailedResult, UsageError } from '../errors.ts';
import { duration, instant } from '../format.ts';
import { instantOption } from '../options.ts';
import { createLiveTree, paintState, treeLines } from '../pipeline-tree.ts';
import { openPlatform, openProject } from '../project.ts';
import { codeVersion } from '../version.ts';
import { ownCommand, workHere } from '../work-here.ts';
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
    .action(run(start));
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
    .requiredOption('--run <run>', 'id of the run')
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

async function withLog<T>(
  context: CommandContext,
  work: (of: { project: Project; platform: Platform; log: RunLog }) => Promise<T>,
): Promise<T> {
  const project = openProject(context);
  const platform = openPlatform(context, project);
  try {
    await platform.queue.ready();
    const { log } = openRunLog(
      { project, queue: platform.queue, warehouse: platform.warehouse, clock: platform.clock },
      (error) => context.output.warn(`The run is not written to ClickHouse yet: ${error.message}`),
    );
    return await work({ project, platform, log });
  } finally {
    await platform.close();
  }
}

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
  await withLog(context, async ({ project, log }) => {
    const runs = await log.all();
    if (output.isJson) return output.json({ pipelines: project.pipelines, runs });
    if (project.pipelines.length === 0)
      return output.line('No pipeline is declared: write config/pipelines.yaml (docs/pipelines.md).');
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
          last === undefined ? '' : `${last.step.name}: ${last.error || last.note}`.slice(0, 90),
        ];
      }),
    );
  });
}

interface RunOptions {
  readonly at?: number;
  readonly resume?: string;
  readonly watch?: boolean;
  readonly work?: boolean;
  readonly outside?: boolean;
}

async function start(context: CommandContext, name: string | undefined, options: RunOptions): Promise<void> {
  await withLog(context, async ({ project, platform, log }) => {
    const run =
      options.resume === undefined
        ? await begin(project, platform, log, name, options)
        : await goOn(log, options.resume);
    await platform.queue.add(jobsOf(run, Date.now()));
    if (!options.work) await remarkLonely(context, platform, run);
    if (!options.watch && !options.work) return tell(context, run);
    const working = options.work
      ? workHere(
          { project, platform, log },
          openExecutor(stepTools(platform, project, settingsOf(context)), {
            command: ownCommand(context, project),
          }),
          context.signal,
        )
      : null;
    try {
      await watch(context, log, run.id);
    } finally {
      await working?.end();
    }
  });
}

const settingsOf = (context: CommandContext) => ({
  dataDirectory: context.environment.dataDirectory,
  codeVersion: codeVersion(context.environment.packageDirectory),
  onWarning: context.output.warn,
});

async function begin(
  project: Project,
  platform: Platform,
  log: RunLog,
  name: string | undefined,
  options: RunOptions,
): Promise<PipelineRun> {
  const [only, ...others] = project.pipelines;
  const pipeline =
    name === undefined
      ? others.length === 0
        ? only
        : undefined
      : project.pipelines.find((one) => one.name === name);
  if (pipeline === undefined)
    throw new UsageError(
      only === undefined
        ? 'No pipeline is declared: write config/pipelines.yaml (docs/pipelines.md).'
        : `${name === undefined ? 'Say which pipeline' : `There is no pipeline '${name}'`}: there are ${project.pipelines.map((one) => one.name).join(', ')}.`,
    );
  const eventTime = options.at ?? (await archivedTo(project, platform, pipeline));
  const ticks = createPipelineTicks({ project, queue: platform.queue, clock: platform.clock }, log);
  const { run } = await ticks.start({
    id: `${runId(pipeline.name, eventTime)}.${platform.clock.now().toString(36)}`,
    pipeline,
    eventTime,
    cause: 'by hand',
    tick: null,
    outside: options.outside ?? false,
  });
  return run;
}

/** The newest event that the archive holds of what the model is asked about. */
async function archivedTo(project: Project, platform: Platform, pipeline: Pipeline): Promise<number> {
  const source = project.models.find(({ name }) => name === pipeline.model)?.request.source ?? '';
  const [row] = await platform.warehouse.query<{ rows: number; last: number }>(
    `SELECT count() AS rows, max(toUnixTimestamp64Milli(time)) AS last FROM ${quoteName(tables.events(project.prefix, source))}`,
  );
  if (row === undefined || row.rows === 0)
    throw new UsageError(
      `The archive of ${source} is empty: import history first (millrace import), or say --at.`,
    );
  return row.last;
}

async function goOn(log: RunLog, id: string): Promise<PipelineRun> {
  const run = await find(log, id);
  const resumed = await log.update(run.id, resume);
  if (resumed !== null) return resumed;
  throw new UsageError(
    isOver(run)
      ? `Run ${run.id} is ${run.state}: there is no failed step to go on at. Start a new run.`
      : `Run ${run.id} is ${run.state}: it goes on by itself.`,
  );
}

async function find(log: RunLog, id: string): Promise<PipelineRun> {
  const exact = await log.get(id);
  if (exact !== null) return exact;
  const like = (await log.all()).filter((run) => run.id.startsWith(id));
  const [only, ...others] = like;
  if (only !== undefined && others.length === 0) return only;
  throw new UsageError(
    only === undefined
      ? `There is no run '${id}': millrace pipelines ls shows all.`
      : `'${id}' may be ${like.map((run) => run.id).join(', ')}: write more of it.`,
  );
}

function tell({ output }: CommandContext, run: PipelineRun): void {
  if (output.isJson) output.json(run);
  else for (const line of treeLines(run, output.colours, Date.now())) output.line(line);
}

async function show(context: CommandContext, id: string, options: { watch?: boolean }): Promise<void> {
  await withLog(context, async ({ platform, log }) => {
    const run = await find(log, id);
    await remarkLonely(context, platform, run);
    if (options.watch) await watch(context, log, run.id);
    else tell(context, run);
  });
}

/** A run that nobody works on looks like a slow one. */
async function remarkLonely(
  { output }: CommandContext,
  { queue }: Platform,
  run: PipelineRun,
): Promise<void> {
  if (isOver(run) || run.outside || (await queue.workers('cpu')) > 0) return;
  output.note('no worker takes steps: start one with `millrace run pipelines`, or run with --work');
}

const REDRAW_MS = 160;
const LOOK_MS = 500;

/** What is worth a line where lines cannot be drawn over: not each word on how far a step is. */
const statesOf = (run: PipelineRun): string =>
  run.steps.map(({ state, attempt, looked }) => `${state} ${attempt} ${looked ?? ''}`).join();

/** Until the run is over, or waits in event time alone. */
async function watch(context: CommandContext, log: RunLog, id: string): Promise<void> {
  const { output, signal } = context;
  const live = output.interactive ? createLiveTree((text) => void process.stdout.write(text)) : null;
  let run = await log.get(id);
  let told = '';
  let lookedAt = Date.now();
  while (run !== null && !signal.aborted) {
    if (live !== null) live.draw(treeLines(run, output.colours, Date.now()));
    else if (statesOf(run) !== told) tell(context, run);
    told = statesOf(run);
    if (isOver(run) || run.state === 'shadowing') break;
    await new Promise((resolve) => setTimeout(resolve, live === null ? LOOK_MS : REDRAW_MS));
    if (Date.now() - lookedAt < LOOK_MS) continue;
    const before: PipelineRun = run;
    run = await log.get(id).catch((error: unknown) => {
      // Away for a moment; the run goes on wherever it is worked on.
      if (error instanceof MillraceError && error.retriable) return before;
      throw error;
    });
    lookedAt = Date.now();
  }
  if (run === null) throw new UsageError(`Run ${id} is gone.`);
  if (run.state === 'failed' || run.state === 'cancelled')
    throw new FailedResult(
      output.isJson
        ? ''
        : `Run ${run.id} ${run.state === 'failed' ? 'failed' : 'was cancelled'}; go on with: millrace pipelines run --resume ${run.id}`,
    );
}

async function stop(context: CommandContext, id: string, options: { reason: string }): Promise<void> {
  await withLog(context, async ({ log }) => {
    const run = await find(log, id);
    const cancelled = await log.update(run.id, (now, at) => cancel(now, options.reason, at));
    if (cancelled === null) throw new UsageError(`Run ${run.id} is ${run.state} already.`);
    tell(context, cancelled);
  });
}
