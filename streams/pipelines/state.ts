import type { Pipeline, Step, StepKind } from '../../schemas/pipeline.ts';

/**
 * A run of a pipeline and how it goes on: plain data and pure functions. Each change of a run is one of these
 * functions, put into the queue's documents by compare-and-set, so that of two workers one wins.
 *
 * A step is held by a token: whoever begins it gets a new one, and only who shows the token may say what came
 * of it. A worker that was thought dead comes back with an old token and is not heard.
 */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export type StepState = 'waiting' | 'running' | 'done' | 'skipped' | 'failed' | 'cancelled';
export type RunState = 'waiting' | 'running' | 'shadowing' | 'done' | 'refused' | 'failed' | 'cancelled';

/** Kinds that wait in event time: each tick is one more look. */
export const LOOKS: readonly StepKind[] = ['shadow', 'decide'];

export interface StepRecord {
  /** As it was declared when the run began: a change of the file does not reach runs on their way. */
  readonly step: Step;
  readonly state: StepState;
  /** How often it was put into the queue: an older delivery means nothing. */
  readonly delivery: number;
  /** How often it was begun. */
  readonly attempt: number;
  /** Tries that failed, or lost their worker, since it last came forward. */
  readonly failures: number;
  readonly token: string | null;
  readonly worker: string;
  /** Wall time, epoch ms. */
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  /** Not before, wall time, epoch ms. */
  readonly notBefore: number | null;
  /** Of a look: the last tick that it has looked at; null before the first. */
  readonly looked: number | null;
  /** Its answer was no. */
  readonly refused: boolean;
  /** What later steps take. */
  readonly result: Json;
  /** For a person: how far it is, or what it came to. */
  readonly note: string;
  readonly error: string;
}

export interface PipelineRun {
  readonly format: 1;
  readonly id: string;
  readonly pipeline: string;
  readonly model: string;
  /** Event time of its start: nothing later is learnt from. Epoch ms. */
  readonly eventTime: number;
  /** Event time from which what it registers counts. */
  readonly effectiveFrom: number;
  /** `schedule`, `cron`, `by hand`, or `alert ID`. */
  readonly cause: string;
  /** The tick that started it and waits for it; null = none. */
  readonly tick: number | null;
  /** The largest tick that it was told of: looks go so far. */
  readonly told: number;
  /** Its steps are commanded from outside (Airflow, a Kubernetes job): no worker takes them. */
  readonly outside: boolean;
  readonly state: RunState;
  readonly steps: readonly StepRecord[];
  /** Counts the changes. */
  readonly revision: number;
  /** Wall time, epoch ms. */
  readonly createdAt: number;
  readonly at: number;
}

export interface Start {
  readonly id: string;
  readonly pipeline: Pipeline;
  readonly eventTime: number;
  readonly cause: string;
  readonly tick: number | null;
  readonly outside?: boolean;
}

export function newRun(start: Start, now: number): PipelineRun {
  const { pipeline, eventTime } = start;
  return {
    format: 1,
    id: start.id,
    pipeline: pipeline.name,
    model: pipeline.model,
    eventTime,
    effectiveFrom: eventTime + pipeline.eventLatency,
    cause: start.cause,
    tick: start.tick,
    told: start.tick ?? eventTime,
    outside: start.outside ?? false,
    state: 'waiting',
    steps: pipeline.steps.map((step) => ({
      step,
      state: 'waiting',
      delivery: 1,
      attempt: 0,
      failures: 0,
      token: null,
      worker: '',
      startedAt: null,
      finishedAt: null,
      notBefore: null,
      looked: null,
      refused: false,
      result: null,
      note: '',
      error: '',
    })),
    revision: 1,
    createdAt: now,
    at: now,
  };
}

export const parseRun = (text: string): PipelineRun => JSON.parse(text) as PipelineRun;

export const stepOf = (run: PipelineRun, name: string): StepRecord | undefined =>
  run.steps.find(({ step }) => step.name === name);

export const isLook = ({ step }: StepRecord): boolean => LOOKS.includes(step.kind);

/** Nothing more will happen to the run by itself. */
export const isOver = ({ state }: PipelineRun): boolean => state !== 'waiting' && !isUnderWay(state);
const isUnderWay = (state: RunState) => state === 'running' || state === 'shadowing';

const isThrough = (state: StepState) => state !== 'waiting' && state !== 'running';

/** Names of the steps that need this one, near or far. */
function dependants(run: PipelineRun, name: string): ReadonlySet<string> {
  const found = new Set<string>();
  // Steps stand in an order that respects their needs.
  for (const { step } of run.steps)
    if (step.needs.some((need) => need === name || found.has(need))) found.add(step.name);
  return found;
}

/** Steps before this one, near or far; the nearest last. */
export function ancestors(run: PipelineRun, name: string): readonly StepRecord[] {
  const wanted = new Set([name]);
  const found: StepRecord[] = [];
  for (const record of [...run.steps].reverse())
    if (wanted.has(record.step.name)) {
      if (record.step.name !== name) found.unshift(record);
      for (const need of record.step.needs) wanted.add(need);
    }
  return found;
}

/** Every step before it is done. */
const isFree = (run: PipelineRun, { step }: StepRecord) =>
  step.needs.every((need) => stepOf(run, need)?.state === 'done');

/** A step before it failed, or came to nothing: it cannot begin unless somebody resumes the run. */
function isCutOff(run: PipelineRun, { step }: StepRecord): boolean {
  return step.needs.some((need) => {
    const before = stepOf(run, need);
    if (before === undefined || before.state === 'done') return false;
    return isThrough(before.state) || (before.state === 'waiting' && isCutOff(run, before));
  });
}

/** Steps that may begin now, or when their time has come. */
export function ready(run: PipelineRun): readonly StepRecord[] {
  if (isOver(run)) return [];
  return run.steps.filter(
    (record) =>
      record.state === 'waiting' &&
      isFree(run, record) &&
      (record.looked === null || run.told > record.looked),
  );
}

/**
 * Whether a tick need not wait for this run any more: everything but the looks and what comes after them is
 * through.
 */
export function isSettled(run: PipelineRun): boolean {
  const waits = new Set<string>();
  for (const record of run.steps)
    if (isLook(record) || record.step.needs.some((need) => waits.has(need))) waits.add(record.step.name);
  return run.steps.every(
    (record) =>
      waits.has(record.step.name) ||
      isThrough(record.state) ||
      (record.state === 'waiting' && (isOver(run) || isCutOff(run, record))),
  );
}

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
  const told: Changes = { token: null, failures: 0, result, note, error: '', finishedAt: now };
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
  return held(run, name, token) === null ? null : withStep(run, name, { note }, now);
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
