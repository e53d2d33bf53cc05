import type { Pipeline, Step, StepKind } from '../../schemas/pipeline.ts';

/** A run of a pipeline: plain data, and what may be read off it. How it changes is told in changes.ts. */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export type StepState = 'waiting' | 'running' | 'done' | 'skipped' | 'failed' | 'cancelled';
export type RunState = 'waiting' | 'running' | 'shadowing' | 'done' | 'refused' | 'failed' | 'cancelled';

/** Kinds that wait in event time: each tick is one more look. */
const LOOKS: readonly StepKind[] = ['shadow', 'decide'];

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
  /** When that was said, wall time, epoch ms; null before anything was. A run of an earlier version does not know. */
  readonly notedAt?: number | null;
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
      notedAt: null,
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

export const isThrough = (state: StepState) => state !== 'waiting' && state !== 'running';

/** Names of the steps that need this one, near or far. */
export function dependants(run: PipelineRun, name: string): ReadonlySet<string> {
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
export const isFree = (run: PipelineRun, { step }: StepRecord) =>
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
