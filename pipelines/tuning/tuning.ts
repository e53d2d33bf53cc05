import { createHash } from 'node:crypto';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import type { Parameters } from '../../models/trainer.ts';
import { createHalving, type TrialJob, type TrialResult } from '../../models/tuning/halving.ts';
import { trialsOf } from '../../models/tuning/space.ts';
import { tables } from '../../schemas/names.ts';
import type { Model } from '../../schemas/project.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import type { SearchSpace } from '../../schemas/search.ts';
import { LONGEST_TIMER } from '../../schemas/time.ts';
import type { DataSet } from '../training/dataset.ts';
import {
  epochMetrics,
  metricsFrom,
  type RunTail,
  recordRun,
  type TrackDeps,
  trackRun,
} from '../training/runs.ts';
import { TrialCutOff, TrialFailed } from './errors.ts';
import { createTrialPool, type TrialAnswer, type TrialPool } from './pool.ts';

export interface TuneOptions extends TrackDeps {
  readonly model: Model;
  readonly training: DataSet;
  readonly space: SearchSpace;
  /** Threads. */
  readonly workers: number;
  /** Run that the tuning belongs to. */
  readonly parent?: string;
  /** Goes on where an earlier tuning of the same model, rows and space stood; default true. */
  readonly resume?: boolean;
  readonly progress?: (done: TuneProgress) => void;
  readonly signal?: AbortSignal;
}

export interface TuneProgress {
  readonly job: TrialJob;
  readonly loss: number;
  readonly parameters: Parameters;
  /** Answered from an earlier tuning. */
  readonly known: boolean;
  readonly best: TunedTrial | null;
  readonly done: number;
}

export interface TunedTrial {
  readonly trial: number;
  readonly share: number;
  /** Validation log loss. */
  readonly loss: number;
  readonly parameters: Parameters;
}

export interface Tuned {
  /** Of the tuning: the same for the same model, rows, space and seed. */
  readonly id: string;
  readonly best: TunedTrial;
  readonly trials: ReadonlyArray<TrialResult & { readonly share: number; readonly parameters: Parameters }>;
  readonly known: number;
  /** Whether the time ran out before all was tried. */
  readonly outOfTime: boolean;
}

export class NothingTuned extends MillraceError {
  readonly code = 'nothing_tuned';
  readonly retriable = false;
}

/** What a tuning is of: whoever says the same again goes on with it. */
const tuningId = (model: Model, training: Pick<DataSet, 'hash'>, space: SearchSpace): string => {
  const { budget: _, trials: __, ...same } = space;
  const of = [model.name, model.trainer, training.hash, same];
  return `tune-${model.name}-${createHash('sha256').update(JSON.stringify(of)).digest('hex').slice(0, 12)}`;
};

/**
 * Tries points of the search space and keeps each trial as a run. A trial that was run before, for the same rows
 * and space, is not run again: its loss is read back, so a tuning that was interrupted goes on, and with one
 * worker ends as it would have.
 *
 * @throws NothingTuned where no trial came through in time.
 */
export async function tune(options: TuneOptions): Promise<Tuned> {
  const { model, space, warehouse, prefix, now } = options;
  const id = tuningId(model, options.training, space);
  const known = options.resume === false ? new Map<string, number>() : await knownTrials(options, id);
  const parametersOf = trialsOf(space);
  const halving = createHalving(space);
  const startedAt = now();
  const deadline = startedAt + space.budget;
  const ending = new AbortController();
  const outOfTime = () => ending.abort(new TrialCutOff("The search's time was over"));
  const stop = setTimeout(outOfTime, Math.min(space.budget, LONGEST_TIMER));
  const onAbort = () => ending.abort(new TrialCutOff('The search was stopped'));
  options.signal?.addEventListener('abort', onAbort, { once: true });
  let pool: TrialPool | undefined;
  let answered = 0;
  let finished = 0;

  const bestOf = (): TunedTrial | null => {
    const best = halving.best();
    return best === null
      ? null
      : {
          trial: best.trial,
          share: halving.shares[best.rung] ?? 1,
          loss: best.loss,
          parameters: parametersOf(best.trial),
        };
  };

  async function tryOut(job: TrialJob): Promise<void> {
    const parameters = parametersOf(job.trial);
    const key = trialKey(job);
    const before = known.get(key);
    let loss = before;
    if (loss === undefined) {
      pool ??= createTrialPool(options.workers, model, options.training);
      const { run } = pool;
      loss = await trackRun(
        options,
        {
          id: `${id}.${key}`,
          kind: 'trial',
          subject: model.name,
          parent: id,
          parameters: { ...model.trainer.parameters, ...parameters },
          dataset: options.training.hash,
        },
        async () => {
          const answer = await run({ parameters, share: job.share }, ending.signal);
          return { value: answer.loss, tail: tailOf(job, answer) };
        },
      ).catch((error: unknown) => {
        // Parameters that cannot be trained are a bad point, not the end of the search.
        if (ending.signal.aborted || !(error instanceof TrialFailed)) throw error;
        return Number.NaN;
      });
    } else answered += 1;
    halving.tell({ ...job, loss });
    finished += 1;
    options.progress?.({
      job,
      loss,
      parameters,
      known: before !== undefined,
      best: bestOf(),
      done: finished,
    });
  }

  try {
    const busy = new Set<Promise<void>>();
    const hands = Math.max(1, options.workers);
    let failure: unknown;
    for (;;) {
      while (busy.size < hands && failure === undefined && !ending.signal.aborted && now() < deadline) {
        const job = halving.next();
        if (job === null) break;
        const work: Promise<void> = tryOut(job)
          .catch((error: unknown) => {
            // What the end of the budget cut off was not tried.
            if (!ending.signal.aborted) failure ??= error;
          })
          .finally(() => busy.delete(work));
        busy.add(work);
        // Known ones need no hand: one after the other keeps their order.
        if (known.has(trialKey(job))) await work;
      }
      if (busy.size === 0) break;
      await Promise.race(busy);
    }
    if (failure !== undefined) throw failure;
    options.signal?.throwIfAborted();
    const best = bestOf();
    if (best === null)
      throw new NothingTuned(
        `No trial of ${model.name} came through within ${Math.round(space.budget / 1_000)} s: give the search a longer budget, or a smaller min_share.`,
      );
    const trials = halving.results().map((result) => ({
      ...result,
      share: halving.shares[result.rung] ?? 1,
      parameters: parametersOf(result.trial),
    }));
    const tuned: Tuned = { id, best, trials, known: answered, outOfTime: ending.signal.aborted };
    await recordRun(warehouse, prefix, {
      id,
      kind: 'tune',
      subject: model.name,
      parent: options.parent ?? '',
      startedAt,
      finishedAt: now(),
      parameters: { ...model.trainer.parameters, ...best.parameters },
      dataset: options.training.hash,
      codeVersion: options.codeVersion,
      metrics: [{ metric: 'validation_log_loss', slice: '', step: 0, value: best.loss }],
      detail: { best, trials: trials.length, known: answered, outOfTime: tuned.outOfTime, space },
    });
    return tuned;
  } finally {
    clearTimeout(stop);
    options.signal?.removeEventListener('abort', onAbort);
    await pool?.close();
  }
}

const trialKey = ({ trial, rung }: Pick<TrialJob, 'trial' | 'rung'>) =>
  `t${String(trial).padStart(4, '0')}r${rung}`;

/** Losses by trial and rung, of trials that came through. */
async function knownTrials({ warehouse, prefix }: TuneOptions, id: string): Promise<Map<string, number>> {
  const rows = await warehouse.query<{ id: string; loss: number | null; state: string }>(
    `SELECT id, argMax(state, finished_at) AS state, argMax(JSONExtract(detail, 'loss', 'Nullable(Float64)'), finished_at) AS loss
     FROM ${quoteName(tables.runs(prefix))} FINAL WHERE kind = 'trial' AND parent = {id:String} GROUP BY id`,
    { id },
  );
  return new Map(
    rows.flatMap((row) =>
      row.state === 'done' && row.loss !== null ? [[row.id.slice(id.length + 1), row.loss] as const] : [],
    ),
  );
}

const tailOf = (job: TrialJob, answer: TrialAnswer): RunTail => ({
  parameters: answer.parameters,
  backend: answer.backend,
  metrics: [...epochMetrics(answer.epochs), ...metricsFrom('validation', answer.validation)],
  detail: {
    ...job,
    loss: answer.loss,
    rounds: answer.rounds,
    bestEpoch: answer.bestEpoch,
    trainingMs: Math.round(answer.durationMs),
  },
});
