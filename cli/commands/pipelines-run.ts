import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { createPipelineTicks } from '../../pipelines/pipelines.ts';
import { resume } from '../../pipelines/runs/changes.ts';
import type { RunLog } from '../../pipelines/runs/log.ts';
import { isOver, type PipelineRun } from '../../pipelines/runs/run.ts';
import { runId } from '../../pipelines/runs/starts.ts';
import { jobsOf } from '../../pipelines/runs/work.ts';
import type { Platform } from '../../platform/platform.ts';
import { openExecutor, stepTools } from '../../platform/step-tools.ts';
import { tables } from '../../schemas/names.ts';
import type { Pipeline } from '../../schemas/pipeline.ts';
import type { Project } from '../../schemas/project.ts';
import type { CommandContext } from '../command.ts';
import { UsageError } from '../errors.ts';
import { findRun, remarkLonely, tellRun, watchRun, withRunLog } from '../pipeline-runs.ts';
import { codeVersion } from '../version.ts';
import { ownCommand, workHere } from '../work-here.ts';

interface RunOptions {
  readonly at?: number;
  readonly resume?: string;
  readonly watch?: boolean;
  readonly work?: boolean;
  readonly outside?: boolean;
}

export async function runCommand(
  context: CommandContext,
  name: string | undefined,
  options: RunOptions,
): Promise<void> {
  await withRunLog(context, async ({ project, platform, log }) => {
    const run =
      options.resume === undefined
        ? await begin(project, platform, log, name, options)
        : await goOn(log, options.resume);
    await platform.queue.add(jobsOf(run, Date.now()));
    if (!options.work) await remarkLonely(context, platform, run);
    if (!options.watch && !options.work) return tellRun(context, run);
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
      await watchRun(context, log, run.id);
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
        ? 'No pipeline is declared: write config/pipelines.yaml (docs/user_guides/pipelines.md).'
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
  const run = await findRun(log, id);
  const resumed = await log.update(run.id, resume);
  if (resumed !== null) return resumed;
  throw new UsageError(
    isOver(run)
      ? `Run ${run.id} is ${run.state}: there is no failed step to go on at. Start a new run.`
      : `Run ${run.id} is ${run.state}: it goes on by itself.`,
  );
}
