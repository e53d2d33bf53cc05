import {
  dependants,
  isFree,
  isLook,
  isOver,
  isThrough,
  type Json,
  type PipelineRun,
  type RunState,
  ready,
  type StepRecord,
  stepOf,
} from './run.ts';

/**
 * How a run goes on: each change of it is one of these pure functions, put into the queue's documents by
 * compare-and-set, so that of two workers one wins.
 *
 * A step is held by a token: whoever begins it gets a new one, and only who shows the token may say what came
 * of it. A worker that was thought dead comes back with an old token and is not heard.
 */

type Changes = Partial<Omit<StepRecord, 'step'>>;

/** The run with one step changed, its own state worked out anew. */
function withStep(run: PipelineRun, name: string, changes: Changes, now: number): PipelineRun {
  const steps = run.steps.map((record) => (record.step.name === name ? { ...record, ...changes } : record));
  return touched({ ...run, steps }, now);
}

function touched(run: PipelineRun, now: number): PipelineRun {
  return { ...run, state: stateOf(run), revision: run.revision + 1, at: Math.max(now, run.at + 1) };
}

function stateOf(run: PipelineRun): RunState {
  const { steps } = run;
  const running = steps.filter(({ state }) => state === 'running');
  if (running.length > 0) return running.every(isLook) ? 'shadowing' : 'running';
  if (steps.some(({ state }) => state === 'cancelled')) return 'cancelled';
  const open = steps.filter((record) => record.state === 'waiting' && isFree(run, record));
  if (open.length > 0) {
    if (steps.every(({ attempt }) => attempt === 0)) return 'waiting';
    return open.every(isLook) ? 'shadowing' : 'running';
  }
  if (steps.some(({ state }) => state === 'failed')) return 'failed';
  return steps.some(({ refused }) => refused) ? 'refused' : 'done';
}

/**
 * A worker takes a step. Null where this delivery means nothing any more. A step that is running lost its
 * worker (the queue gives no job to two that live): it is taken over, which counts as a failure, so that a
 * step that kills its workers ends; the token is null where it has.
 */
export function begin(
  run: PipelineRun,
  name: string,
  by: { readonly delivery: number; readonly token: string; readonly worker: string },
  now: number,
): PipelineRun | null {
  const record = stepOf(run, name);
  if (record === undefined || isOver(run) || record.delivery !== by.delivery) return null;
  const held: Changes = {
    state: 'running',
    attempt: record.attempt + 1,
    token: by.token,
    worker: by.worker,
    startedAt: now,
    finishedAt: null,
    notBefore: null,
    // What the try before said stays in sight until this one says something.
    notedAt: null,
    error: '',
  };
  if (record.state === 'waiting') return ready(run).includes(record) ? withStep(run, name, held, now) : null;
  if (record.state !== 'running') return null;
  const failures = record.failures + 1;
  if (failures <= record.step.retries) return withStep(run, name, { ...held, failures }, now);
  const error = `Its worker ended without an answer, ${failures} times (the last was ${record.worker}): look at its log and at the machine's memory, then resume the run.`;
  return withStep(run, name, { state: 'failed', failures, token: null, finishedAt: now, error }, now);
}

/** Null where the token is not that of who holds the step now. */
function held(run: PipelineRun, name: string, token: string): StepRecord | null {
  const record = stepOf(run, name);
  return record?.state === 'running' && record.token === token ? record : null;
}

export type StepOutcome =
  | { readonly kind: 'done'; readonly result: Json; readonly note: string }
  /** The answer is no: the steps that need this one are skipped, and the run ends as refused. */
  | { readonly kind: 'refused'; readonly result: Json; readonly note: string }
  /** A look that has not seen enough: again at the next tick. */
  | { readonly kind: 'watch'; readonly result: Json; readonly note: string };

/** @param looked the tick that a look went up to. Null where the token is not that of the holder. */
export function settle(
  run: PipelineRun,
  name: string,
  token: string,
  outcome: StepOutcome,
  looked: number,
  now: number,
): PipelineRun | null {
  const record = held(run, name, token);
  if (record === null) return null;
  const { result, note } = outcome;
  const told: Changes = { token: null, failures: 0, result, note, notedAt: now, error: '', finishedAt: now };
  if (outcome.kind === 'watch')
    return withStep(run, name, { ...told, state: 'waiting', delivery: record.delivery + 1, looked }, now);
  const refused = outcome.kind === 'refused';
  const after = refused ? dependants(run, name) : new Set<string>();
  const steps = run.steps.map((one) =>
    after.has(one.step.name) && one.state === 'waiting'
      ? { ...one, state: 'skipped' as const, note: `${name} said no` }
      : one,
  );
  return withStep({ ...run, steps }, name, { ...told, state: 'done', refused }, now);
}

const FIRST_BACKOFF_MS = 1_000;
const LONGEST_BACKOFF_MS = 60_000;

/** Wall time until the next try after so many failures. */
export const backoff = (failures: number): number =>
  Math.min(FIRST_BACKOFF_MS * 2 ** (failures - 1), LONGEST_BACKOFF_MS);

/** Null where the token is not that of the holder. What trying again cannot mend is not tried again. */
export function fail(
  run: PipelineRun,
  name: string,
  token: string,
  error: { readonly message: string; readonly retriable: boolean },
  now: number,
): PipelineRun | null {
  const record = held(run, name, token);
  if (record === null) return null;
  const failures = record.failures + 1;
  const told: Changes = { token: null, failures, error: error.message, finishedAt: now };
  if (!error.retriable || failures > record.step.retries)
    return withStep(run, name, { ...told, state: 'failed' }, now);
  return withStep(
    run,
    name,
    { ...told, state: 'waiting', delivery: record.delivery + 1, notBefore: now + backoff(failures) },
    now,
  );
}

/** A worker that is told to end gives its step back: no failure. Null where the token is not the holder's. */
export function release(run: PipelineRun, name: string, token: string, now: number): PipelineRun | null {
  const record = held(run, name, token);
  if (record === null) return null;
  const { delivery } = record;
  return withStep(run, name, { state: 'waiting', token: null, delivery: delivery + 1, startedAt: null }, now);
}

/** A word on how far the step is. Null where the token is not the holder's. */
export function remark(
  run: PipelineRun,
  name: string,
  token: string,
  note: string,
  now: number,
): PipelineRun | null {
  return held(run, name, token) === null ? null : withStep(run, name, { note, notedAt: now }, now);
}

/** Tells the run of a tick: its looks look again. Null where that is nothing new to it. */
export function tell(run: PipelineRun, tick: number, now: number): PipelineRun | null {
  if (isOver(run) || tick <= run.told) return null;
  return touched({ ...run, told: tick }, now);
}

/** Null where the run is over. Steps in hand lose their token, so nothing of them counts any more. */
export function cancel(run: PipelineRun, reason: string, now: number): PipelineRun | null {
  if (isOver(run)) return null;
  const steps = run.steps.map((record) =>
    isThrough(record.state)
      ? record
      : { ...record, state: 'cancelled' as const, token: null, finishedAt: now, error: reason },
  );
  return touched({ ...run, steps }, now);
}

/** Goes on at the steps that failed or were cancelled; what is done stays. Null where there are none. */
export function resume(run: PipelineRun, now: number): PipelineRun | null {
  const broken = run.steps.some(({ state }) => state === 'failed' || state === 'cancelled');
  if (!isOver(run) || !broken) return null;
  const steps = run.steps.map((record) =>
    record.state === 'failed' || record.state === 'cancelled'
      ? {
          ...record,
          state: 'waiting' as const,
          delivery: record.delivery + 1,
          failures: 0,
          token: null,
          notBefore: null,
          finishedAt: null,
          looked: null,
        }
      : record,
  );
  return touched({ ...run, steps }, now);
}
