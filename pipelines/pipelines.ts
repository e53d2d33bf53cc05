import { hostname } from 'node:os';
import { parseCron } from '../config/cron.ts';
import type { Warehouse } from '../infrastructure/clickhouse/port.ts';
import { quoteName } from '../infrastructure/clickhouse/tables.ts';
import type { Kafka } from '../infrastructure/kafka/port.ts';
import { type JobQueue, LANES } from '../infrastructure/queue/port.ts';
import { createModelRegistry } from '../infrastructure/registry/models.ts';
import { objectIn } from '../monitoring/measures.ts';
import { eventTimeFinished, writeTick } from '../monitoring/progress.ts';
import type { Clock } from '../schemas/clock.ts';
import { tables } from '../schemas/names.ts';
import type { Project } from '../schemas/project.ts';
import { asError } from '../schemas/refusal.ts';
import type { Codecs } from '../streams/runtime/codecs.ts';
import { iso } from '../streams/runtime/iso.ts';
import { restartOnFailure, type Stream } from '../streams/runtime/stream.ts';
import type { Telemetry } from '../streams/runtime/telemetry.ts';
import { guardChampion } from './rollout/guard.ts';
import { tell } from './runs/changes.ts';
import { writeRun } from './runs/history.ts';
import { createRunLog, type RunLog } from './runs/log.ts';
import { isOver, isSettled, type PipelineRun, type Start } from './runs/run.ts';
import { cronDue, type FiredAlert, pipelinesAt, runId } from './runs/starts.ts';
import { jobsOf, type StepExecutor, workOn } from './runs/work.ts';

export interface PipelinesDeps {
  readonly project: Project;
  readonly warehouse: Warehouse;
  readonly kafka: Kafka;
  readonly codecs: Pick<Codecs, 'models'>;
  readonly queue: JobQueue;
  readonly execute: StepExecutor;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** `light` steps at once in one worker. */
  readonly concurrency?: number;
  /** How often ticks, starts and lost jobs are looked for, ms. */
  readonly lookMs?: number;
}

/** What has to be told, and asked, of pipelines at each tick of event time. */
export interface PipelineTicks {
  /** Starts the runs that a tick begins and tells all others of it; done twice it is done once. Answers their ids. */
  onTick(tick: number, fired: readonly FiredAlert[]): Promise<readonly string[]>;
  /** Whether every run that the tick began has registered what it makes, or given up. */
  tickSettled(tick: number): Promise<boolean>;
  /** By hand. */
  start(start: Start): Promise<{ readonly run: PipelineRun; readonly begun: boolean }>;
}

export function createPipelineTicks(
  { project, queue, clock }: Pick<PipelinesDeps, 'project' | 'queue' | 'clock'>,
  log: RunLog,
): PipelineTicks {
  async function start(one: Start) {
    const started = await log.start(one);
    await queue.add(jobsOf(started.run, clock.now()));
    return started;
  }
  return {
    start,
    async onTick(tick, fired) {
      const runs = await log.all();
      const before = new Map<string, number[]>();
      for (const { pipeline, cause, eventTime } of runs)
        if (cause.startsWith('alert ')) before.set(pipeline, [...(before.get(pipeline) ?? []), eventTime]);
      const starts = pipelinesAt(project.pipelines, tick, fired, before);
      for (const one of starts) await start(one);
      for (const run of runs) {
        const told = await log.update(run.id, (now, at) => tell(now, tick, at));
        if (told !== null) await queue.add(jobsOf(told, clock.now()));
      }
      return starts.map(({ id }) => id);
    },
    async tickSettled(tick) {
      return (await log.all()).every((run) => run.tick !== tick || isSettled(run));
    },
  };
}

/** Runs of a project, told to ClickHouse too. A run that ClickHouse could not take is written later. */
export function openRunLog(
  deps: Pick<PipelinesDeps, 'project' | 'warehouse' | 'queue' | 'clock'>,
  onFailure: (error: Error) => void,
): { readonly log: RunLog; settleHistory(): Promise<void> } {
  const unwritten = new Map<string, PipelineRun>();
  const write = async (run: PipelineRun) => {
    try {
      await writeRun(deps.warehouse, deps.project.prefix, run);
      if ((unwritten.get(run.id)?.revision ?? 0) <= run.revision) unwritten.delete(run.id);
    } catch (error) {
      unwritten.set(run.id, run);
      onFailure(asError(error));
    }
  };
  return {
    log: createRunLog(deps.queue.documents, deps.clock.now, write),
    async settleHistory() {
      for (const run of [...unwritten.values()]) await write(run);
    },
  };
}

/**
 * Ticks of monitoring -> runs -> steps. One of the workers of a project's pipelines: any number of them share
 * the queue, each takes `cpu` steps one at a time, and all of them look for what is due, which is harmless as
 * a start is named by what caused it.
 */
export function createPipelines(deps: PipelinesDeps): Stream {
  const { project, queue, clock, telemetry, lookMs = 500 } = deps;
  const name = 'pipelines';
  const onFailure = (error: Error) => telemetry.failure(name, error);
  const registry = createModelRegistry({
    kafka: deps.kafka,
    codec: deps.codecs.models,
    prefix: project.prefix,
    now: clock.now,
  });

  async function runLoop(signal: AbortSignal, healthy: () => void): Promise<void> {
    await queue.ready();
    const { log, settleHistory } = openRunLog(deps, onFailure);
    const ticks = createPipelineTicks(deps, log);
    const worker = `${hostname()}:${process.pid}`;
    const work = { log, clock, execute: deps.execute, worker, onFailure };
    const workers = await Promise.all(
      LANES.map((lane) =>
        queue.work(
          { lane, concurrency: lane === 'cpu' ? 1 : (deps.concurrency ?? 4), onError: onFailure },
          async (data) => {
            const { run, end } = await workOn(work, data, signal);
            if (end !== 'stale')
              telemetry.note(name, `step ${end}`, {
                run: data.run,
                step: data.step,
                state: run?.state ?? '',
              });
            // What it made possible.
            if (run !== null && !signal.aborted) await queue.add(jobsOf(run, clock.now()));
          },
        ),
      ),
    );
    try {
      await rewrite(log);
      while (!signal.aborted) {
        await startByClock(ticks);
        await mindTicks(ticks);
        await putBackLost(log);
        await settleHistory();
        healthy();
        await pause(lookMs, signal);
      }
    } finally {
      await Promise.all(workers.map((one) => one.close()));
      await settleHistory();
    }
  }

  /** What another worker could not write before it ended. */
  async function rewrite(log: RunLog): Promise<void> {
    for (const run of await log.all()) await writeRun(deps.warehouse, project.prefix, run);
  }

  /** A job whose queue lost it (Redis went back in time) is put in again; one that is there stays one. */
  async function putBackLost(log: RunLog): Promise<void> {
    for (const run of await log.all()) if (!isOver(run)) await queue.add(jobsOf(run, clock.now()));
  }

  /** Of each pipeline, the minute of the clock that it was last started by. */
  const startedAt = new Map<string, number>();

  /** Of what had come by then, whether clock records brought it or not: a project that is live alone has none. */
  async function startByClock(ticks: PipelineTicks): Promise<void> {
    for (const pipeline of project.pipelines) {
      if (pipeline.start.cron === null) continue;
      const due = cronDue(parseCron(pipeline.start.cron), clock.now());
      if (due === null || startedAt.get(pipeline.name) === due) continue;
      const eventTime = await eventTimeFinished(
        { project, warehouse: deps.warehouse, now: clock.now() },
        { name: pipeline.model },
      );
      if (eventTime === null) continue;
      const id = runId(`${pipeline.name}@cron`, due);
      await ticks.start({ id, pipeline, eventTime, cause: 'cron', tick: null });
      startedAt.set(pipeline.name, due);
    }
  }

  /** Ticks that monitoring has measured: their runs begin; where those are through, the tick is finished. */
  async function mindTicks(ticks: PipelineTicks): Promise<void> {
    const measured = await deps.warehouse.query<{ tick: number; detail: string }>(
      `SELECT toUnixTimestamp64Milli(tick) AS tick, detail FROM ${quoteName(tables.ticks(project.prefix))} FINAL
       WHERE state = 'measured' ORDER BY tick`,
    );
    for (const { tick, detail } of measured) {
      await ticks.onTick(tick, firedOf(detail));
      await guard(tick);
      if (await ticks.tickSettled(tick))
        await writeTick(deps.warehouse, project.prefix, tick, 'finished', objectIn(detail), clock.now());
    }
    if (project.pipelines.length > 0) return;
    // Nobody waits for a tick here, but whoever promoted a version by hand wants it watched.
    const [newest] = await deps.warehouse.query<{ rows: number; tick: number }>(
      `SELECT count() AS rows, max(toUnixTimestamp64Milli(tick)) AS tick FROM ${quoteName(tables.ticks(project.prefix))}`,
    );
    if (newest !== undefined && newest.rows > 0) await guard(newest.tick);
  }

  let guarded = Number.NEGATIVE_INFINITY;

  /**
   * New champions are watched at each tick, whoever promoted them. Of several workers that look at the same
   * tick the registry hears the first.
   */
  async function guard(tick: number): Promise<void> {
    if (tick <= guarded) return;
    for (const model of project.models) {
      const latency = project.pipelines.find((one) => one.model === model.name)?.eventLatency ?? 0;
      const { decision, sentence } = await guardChampion(
        { registry, project, warehouse: deps.warehouse },
        { model, upTo: tick, by: 'guard', latency },
      );
      if (decision === 'rollback' || decision === 'keep')
        telemetry.note(name, `guard: ${decision}`, { model: model.name, tick: iso(tick), sentence });
    }
    guarded = tick;
  }

  return {
    name,
    run: (signal, healthy) =>
      restartOnFailure(name, clock, telemetry, signal, (done) => runLoop(signal, done), healthy),
  };
}

/** The alerts that monitoring names in a tick's detail: `{"fired": [{rule, id, model}]}`. */
function firedOf(detail: string): readonly FiredAlert[] {
  const { fired = [] } = objectIn(detail);
  if (!Array.isArray(fired)) return [];
  return fired.flatMap((one: unknown) => {
    if (typeof one !== 'object' || one === null || !('rule' in one)) return [];
    const { rule, id = '', model = '' } = one as Record<string, unknown>;
    return [{ rule: String(rule), id: String(id), model: String(model) }];
  });
}

/** Waits, and wakes when told to end. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end, { once: true });
  });
}
