import { randomUUID } from 'node:crypto';
import type { Job, JobData } from '../../infrastructure/queue/port.ts';
import type { Clock } from '../../schemas/clock.ts';
import { asError, MillraceError } from '../../schemas/refusal.ts';
import { LONGEST_TIMER } from '../../schemas/time.ts';
import { begin, fail, release, remark, type StepOutcome, settle } from './changes.ts';
import type { RunLog } from './log.ts';
import { type PipelineRun, ready, type StepRecord, stepOf } from './run.ts';

/** One step in hand. */
export interface StepCall {
  readonly run: PipelineRun;
  readonly step: StepRecord;
  readonly token: string;
  /** A word on how far it is. */
  readonly note: (text: string) => void;
}

/** Does the step's work. What it throws is the step's failure; `retriable` says whether another try may help. */
export type StepExecutor = (call: StepCall, signal: AbortSignal) => Promise<StepOutcome>;

/** Why a step in hand is given up. */
export type GivenUp = 'time_limit' | 'fenced' | 'ending';

class StepTimeLimit extends MillraceError {
  readonly code = 'time_limit';
  readonly retriable = false;
}

export interface WorkDeps {
  readonly log: RunLog;
  readonly clock: Clock;
  readonly execute: StepExecutor;
  readonly worker: string;
  /** How often a step in hand looks whether it is still ours, ms. */
  readonly watchMs?: number;
  readonly onFailure: (error: Error) => void;
}

export interface Worked {
  /** Null where the delivery meant nothing any more. */
  readonly run: PipelineRun | null;
  readonly end: 'stale' | 'fenced' | 'released' | 'settled' | 'failed';
}

/** From a delivery to what came of it, and that under the token alone. Throws where the documents are away. */
export async function workOn(deps: WorkDeps, data: JobData, ending: AbortSignal): Promise<Worked> {
  const token = randomUUID();
  const by = { delivery: data.delivery, token, worker: deps.worker };
  const begun = ending.aborted
    ? null
    : await deps.log.update(data.run, (run, now) => begin(run, data.step, by, now));
  const step = begun === null ? undefined : stepOf(begun, data.step);
  // A step that lost too many workers ended here.
  if (begun === null || step?.token !== token) return { run: begun, end: 'stale' };
  return carryOut(deps, begun, step, token, ending);
}

/** The work of a step that is held. */
async function carryOut(
  deps: WorkDeps,
  run: PipelineRun,
  step: StepRecord,
  token: string,
  ending: AbortSignal,
): Promise<Worked> {
  const { log } = deps;
  const name = step.step.name;
  const abort = new AbortController();
  let givenUp: GivenUp | undefined;
  const giveUp = (why: GivenUp) => {
    givenUp ??= why;
    abort.abort();
  };
  const onEnding = () => giveUp('ending');
  ending.addEventListener('abort', onEnding, { once: true });
  if (ending.aborted) onEnding();
  const limit = setTimeout(() => giveUp('time_limit'), Math.min(step.step.timeout, LONGEST_TIMER));
  let note = '';
  let told = '';
  const look = setInterval(() => {
    // Cancelled, or taken over by another worker: what we do counts for nothing.
    const looking =
      note === told
        ? log.get(run.id)
        : log
            .update(run.id, (now, at) => remark(now, name, token, note, at))
            .then((next) => {
              told = note;
              return next ?? log.get(run.id);
            });
    looking.then(
      (found) => {
        if (found === null || stepOf(found, name)?.token !== token) giveUp('fenced');
      },
      // Away for a moment: the result is compared again anyhow.
      () => undefined,
    );
  }, deps.watchMs ?? 1_000);

  try {
    const call = {
      run,
      step,
      token,
      note: (text: string) => {
        note = text;
      },
    };
    // Told to end before it began: who only listens would not hear it any more.
    abort.signal.throwIfAborted();
    const outcome = await deps.execute(call, abort.signal);
    const settled = await log.update(run.id, (now, at) => settle(now, name, token, outcome, run.told, at));
    return { run: settled, end: settled === null ? 'fenced' : 'settled' };
  } catch (error) {
    if (givenUp === 'fenced') return { run: null, end: 'fenced' };
    if (givenUp === 'ending') {
      const released = await log.update(run.id, (now, at) => release(now, name, token, at));
      return { run: released, end: released === null ? 'fenced' : 'released' };
    }
    const cause = givenUp === 'time_limit' ? overTime(step) : asError(error);
    // The documents themselves are away: nothing can be said of the step, the queue gives it out again.
    const failed = await log.update(run.id, (now, at) =>
      fail(now, name, token, { message: cause.message, retriable: isRetriable(cause) }, at),
    );
    if (!(cause instanceof MillraceError)) deps.onFailure(cause);
    return { run: failed, end: failed === null ? 'fenced' : 'failed' };
  } finally {
    clearTimeout(limit);
    clearInterval(look);
    ending.removeEventListener('abort', onEnding);
  }
}

const overTime = ({ step }: StepRecord) =>
  new StepTimeLimit(
    `Step ${step.name} was stopped after its time limit of ${Math.round(step.timeout / 1_000)} s: raise its timeout in pipelines.yaml and start a new run, or find out what held it up and resume this one.`,
  );

const isRetriable = (error: Error) => 'retriable' in error && error.retriable === true;

/** What the queue should hold for a run, were nothing in it: steps that may begin, and those in hand. */
export function jobsOf(run: PipelineRun, now: number): readonly Job[] {
  if (run.outside) return [];
  const wanted = [...ready(run), ...run.steps.filter(({ state }) => state === 'running')];
  return wanted.map(({ step, delivery, notBefore }) => ({
    id: jobId(run.id, step.name, delivery),
    lane: step.resources,
    data: { run: run.id, step: step.name, delivery },
    delayMs: notBefore === null ? 0 : Math.max(0, notBefore - now),
  }));
}

const jobId = (run: string, step: string, delivery: number) =>
  `${run}.${step}.${delivery}`.replace(/[^A-Za-z0-9._@-]/g, '-');
