import { openRunLog } from '../pipelines/pipelines.ts';
import type { RunLog } from '../pipelines/runs/log.ts';
import { isOver, type PipelineRun } from '../pipelines/runs/run.ts';
import type { Platform } from '../platform/platform.ts';
import type { Project } from '../schemas/project.ts';
import { MillraceError } from '../schemas/refusal.ts';
import type { CommandContext } from './command.ts';
import { FailedResult, UsageError } from './errors.ts';
import { createLiveTree, treeLines } from './pipeline-tree.ts';
import { openPlatform, openProject } from './project.ts';

export async function withRunLog<T>(
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

/** By its id, or the beginning of it. */
export async function findRun(log: RunLog, id: string): Promise<PipelineRun> {
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

export function tellRun({ output }: CommandContext, run: PipelineRun): void {
  if (output.isJson) output.json(run);
  else for (const line of treeLines(run, output.colours, Date.now())) output.line(line);
}

/** A run that nobody works on looks like a slow one. */
export async function remarkLonely(
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
export async function watchRun(context: CommandContext, log: RunLog, id: string): Promise<void> {
  const { output, signal } = context;
  const live = output.interactive
    ? createLiveTree(
        (text) => void process.stdout.write(text),
        () => process.stdout.columns ?? context.environment.columns,
      )
    : null;
  let run = await log.get(id);
  let told = '';
  let lookedAt = Date.now();
  while (run !== null && !signal.aborted) {
    if (live !== null) live.draw(treeLines(run, output.colours, Date.now()));
    else if (statesOf(run) !== told) tellRun(context, run);
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
  live?.end(treeLines(run, output.colours, Date.now()));
  if (run.state === 'refused') {
    const no = run.steps.find(({ refused }) => refused);
    throw new FailedResult(output.isJson ? '' : `${no?.step.name ?? run.id} said no: ${no?.note ?? ''}`);
  }
  if (run.state === 'failed' || run.state === 'cancelled')
    throw new FailedResult(
      output.isJson
        ? ''
        : `Run ${run.id} ${run.state === 'failed' ? 'failed' : 'was cancelled'}; go on with: millrace pipelines run --resume ${run.id}`,
    );
}
