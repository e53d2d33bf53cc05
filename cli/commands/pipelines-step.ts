import { hostname } from 'node:os';
import { openRunLog } from '../../pipelines/pipelines.ts';
import { type PipelineRun, ready, type StepRecord, stepOf } from '../../pipelines/runs/run.ts';
import { jobsOf, type StepExecutor, workOn } from '../../pipelines/runs/work.ts';
import type { StepMessage } from '../../pipelines/steps/child.ts';
import { openExecutor, stepTools } from '../../platform/step-tools.ts';
import { asError } from '../../schemas/refusal.ts';
import type { CommandContext } from '../command.ts';
import { FailedResult, NotYet, UsageError } from '../errors.ts';
import { findRun } from '../pipeline-runs.ts';
import { treeLines } from '../pipeline-tree.ts';
import { openPlatform, openProject } from '../project.ts';
import { codeVersion } from '../version.ts';

interface Options {
  readonly run: string;
  readonly token?: string;
  readonly takeOver?: boolean;
}

export async function stepCommand(context: CommandContext, name: string, options: Options): Promise<void> {
  const project = openProject(context);
  const platform = openPlatform(context, project);
  try {
    await platform.queue.ready();
    const { log, settleHistory } = openRunLog(
      { project, queue: platform.queue, warehouse: platform.warehouse, clock: platform.clock },
      () => {},
    );
    const run = await findRun(log, options.run);
    const step = stepOf(run, name);
    if (step === undefined)
      throw new UsageError(
        `Run ${run.id} has no step '${name}': it has ${run.steps.map((one) => one.step.name).join(', ')}.`,
      );
    const execute = openExecutor(
      stepTools(platform, project, {
        dataDirectory: context.environment.dataDirectory,
        codeVersion: codeVersion(context.environment.packageDirectory),
        onWarning: context.output.warn,
      }),
      null,
    );
    if (options.token !== undefined) return await answerWorker(context, execute, run, step, options.token);

    refuseUnready(run, step, options.takeOver ?? false);
    const progress = context.output.progress(name);
    const work = {
      log,
      clock: platform.clock,
      execute: (call: Parameters<StepExecutor>[0], signal: AbortSignal) =>
        execute(
          {
            ...call,
            note: (text) => {
              progress.detail(text);
              call.note(text);
            },
          },
          signal,
        ),
      worker: `${hostname()}:${process.pid}`,
      onFailure: () => {},
    };
    const data = { run: run.id, step: name, delivery: step.delivery };
    const { run: after, end } = await workOn(work, data, context.signal);
    await settleHistory();
    const result = after === null ? undefined : stepOf(after, name);
    if (end === 'settled') progress.done(result?.note);
    else progress.fail(result?.error);
    if (after !== null) await platform.queue.add(jobsOf(after, Date.now()));
    if (context.output.isJson) context.output.json({ run: run.id, step: name, end, result: result ?? null });
    else if (after !== null)
      for (const line of treeLines(after, context.output.colours, Date.now())) context.output.line(line);
    if (end !== 'settled' || result?.refused === true)
      throw new FailedResult(
        end === 'settled' ? `${name} said no: ${result?.note}` : (result?.error ?? `the step ended: ${end}`),
      );
    if (result?.state === 'waiting') throw again(result);
  } finally {
    await platform.close();
  }
}

/** Of a look that has not seen enough. */
const again = ({ step, note }: StepRecord) =>
  new NotYet(`Step ${step.name} waits in event time (${note}): run it again after the next tick.`);

function refuseUnready(run: PipelineRun, step: StepRecord, takeOver: boolean): void {
  const { name, needs } = step.step;
  if (step.state === 'done') throw new UsageError(`Step ${name} of run ${run.id} is done: ${step.note}.`);
  if (step.state === 'running') {
    if (run.outside && takeOver) return;
    throw new UsageError(
      `Step ${name} of run ${run.id} is in the hands of ${step.worker}; ${
        run.outside
          ? 'if that process is dead, take the step over with --take-over.'
          : 'only a worker of the queue may take it over.'
      }`,
    );
  }
  if (step.state === 'waiting' && step.looked !== null && run.told <= step.looked) throw again(step);
  if (run.state === 'cancelled' || run.state === 'refused')
    throw new UsageError(`Step ${name} of run ${run.id} cannot begin: the run is ${run.state}.`);
  if (ready(run).includes(step)) return;
  const open = needs.filter((need) => stepOf(run, need)?.state !== 'done');
  throw new UsageError(
    open.length > 0
      ? `Step ${name} of run ${run.id} comes after ${open.join(', ')}, which is not done.`
      : `Step ${name} of run ${run.id} cannot begin: it is ${step.state} and the run is ${run.state}.`,
  );
}

/** In the process that a worker started for a step: the answer goes to the worker, which says it under its token. */
async function answerWorker(
  context: CommandContext,
  execute: StepExecutor,
  run: PipelineRun,
  step: StepRecord,
  token: string,
): Promise<void> {
  const say = (message: StepMessage) =>
    new Promise<void>((resolve) => {
      if (process.send === undefined || !process.connected) resolve();
      else process.send(message, () => resolve());
    });
  // The worker is gone, however it went: what this process makes would count for nothing.
  process.once('disconnect', () => process.exit(1));
  if (step.token !== token)
    throw new UsageError(`Step ${step.step.name} of run ${run.id} is in other hands by now.`);
  try {
    const note = (text: string) => void say({ kind: 'note', text });
    const outcome = await execute({ run, step, token, note }, context.signal);
    await say({ kind: 'outcome', outcome });
  } catch (error) {
    const known = asError(error);
    const code = 'code' in known && typeof known.code === 'string' ? known.code : known.name;
    const retriable = 'retriable' in known && known.retriable === true;
    await say({ kind: 'failure', message: known.message, code, retriable });
  }
  process.removeAllListeners('disconnect');
  if (process.connected) process.disconnect();
}
