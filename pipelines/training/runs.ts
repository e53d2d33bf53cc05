import { availableParallelism } from 'node:os';
import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { retrying } from '../../infrastructure/clickhouse/retry.ts';
import type { Metrics } from '../../models/metrics.ts';
import type { EpochReport, Parameters } from '../../models/trainer.ts';
import { tables } from '../../schemas/names.ts';
import { iso } from '../../streams/runtime/iso.ts';

export const RUN_KINDS = ['train', 'tune', 'trial', 'evaluate', 'backfill'] as const;
export type RunKind = (typeof RUN_KINDS)[number];

/** One figure of a run. */
export interface RunMetric {
  readonly metric: string;
  /** `origin=ORD`; empty for all. */
  readonly slice: string;
  /** Epoch or round, from 1; 0 at the end. */
  readonly step: number;
  readonly value: number;
}

/** What was trained, tried, tuned, backfilled or evaluated, when, of what, and with what result. */
export interface Run {
  readonly id: string;
  readonly kind: RunKind;
  /** Model or view. */
  readonly subject: string;
  /** Run that this one belongs to: of a pipeline, or a tuning. */
  readonly parent?: string;
  /** Default: done. */
  readonly state?: 'done' | 'failed';
  /** Wall time, epoch ms. */
  readonly startedAt: number;
  readonly finishedAt: number;
  readonly parameters?: Parameters;
  /** SHA-256. */
  readonly dataset?: string;
  readonly artefact?: string;
  readonly codeVersion?: string;
  readonly environment?: Environment;
  readonly resources?: Resources;
  readonly metrics?: readonly RunMetric[];
  /** Result, as JSON; of a failed run `error` is its sentence. */
  readonly detail: object;
}

export interface Environment {
  readonly node: string;
  readonly platform: string;
  readonly processors: number;
  /** What trained; empty where nothing did. */
  readonly backend: string;
}

/** Of this process while the run lasted. */
export interface Resources {
  readonly cpuMs: number;
  readonly maxRssBytes: number;
}

/** Another place that runs are told to. It never fails a run: what it cannot deliver it tells of by itself. */
export interface RunMirror {
  mirror(run: Run): Promise<void>;
}

export async function recordRun(warehouse: Warehouse, prefix: string, run: Run): Promise<void> {
  const row = {
    id: run.id,
    kind: run.kind,
    subject: run.subject,
    parent: run.parent ?? '',
    state: run.state ?? 'done',
    started_at: iso(run.startedAt),
    finished_at: iso(run.finishedAt),
    parameters: JSON.stringify(run.parameters ?? {}),
    dataset: run.dataset ?? '',
    artefact: run.artefact ?? '',
    code_version: run.codeVersion ?? '',
    environment: JSON.stringify(run.environment ?? {}),
    resources: JSON.stringify(run.resources ?? {}),
    detail: JSON.stringify(run.detail),
  };
  const token = `${run.kind}:${run.id}:${run.startedAt}`;
  const metrics = (run.metrics ?? []).filter(({ value }) => Number.isFinite(value));
  if (metrics.length > 0) {
    const rows = metrics.map((metric) => ({ run: run.id, ...metric }));
    await retrying(() => warehouse.insert(tables.runMetrics(prefix), rows, { token }));
  }
  // Last: who sees the run sees its figures.
  await retrying(() => warehouse.insert(tables.runs(prefix), [row], { token }));
}

export interface TrackDeps {
  readonly warehouse: Warehouse;
  readonly prefix: string;
  readonly codeVersion: string;
  /** Wall time, epoch ms. */
  readonly now: () => number;
  readonly mirror?: RunMirror | null;
}

export type RunHead = Pick<Run, 'id' | 'kind' | 'subject' | 'parent' | 'parameters' | 'dataset'>;
export type RunTail = Pick<Run, 'artefact' | 'metrics' | 'detail' | 'parameters' | 'dataset'> & {
  readonly backend?: string;
};

/** Does a piece of work and keeps what it took and what came of it, a failure with its sentence too. */
export async function trackRun<T>(
  deps: TrackDeps,
  head: RunHead,
  work: () => Promise<{ readonly value: T; readonly tail: RunTail }>,
): Promise<T> {
  const startedAt = deps.now();
  const before = process.cpuUsage();
  const keep = async (state: 'done' | 'failed', { backend = '', ...tail }: RunTail) => {
    const { user, system } = process.cpuUsage(before);
    const run: Run = {
      ...head,
      ...tail,
      state,
      startedAt,
      finishedAt: deps.now(),
      codeVersion: deps.codeVersion,
      environment: environmentOf(backend),
      resources: {
        cpuMs: Math.round((user + system) / 1_000),
        maxRssBytes: process.resourceUsage().maxRSS * 1_024,
      },
    };
    await recordRun(deps.warehouse, deps.prefix, run);
    await deps.mirror?.mirror(run);
  };
  try {
    const { value, tail } = await work();
    await keep('done', tail);
    return value;
  } catch (error) {
    const sentence = error instanceof Error ? error.message : String(error);
    // The failure itself is what the caller has to hear of, not that it could not be written down.
    await keep('failed', { detail: { error: sentence } }).catch(() => undefined);
    throw error;
  }
}

const environmentOf = (backend: string): Environment => ({
  node: process.version,
  platform: `${process.platform}-${process.arch}`,
  processors: availableParallelism(),
  backend,
});

/** Training and validation loss by epoch. */
export const epochMetrics = (epochs: readonly EpochReport[]): readonly RunMetric[] =>
  epochs.flatMap(({ epoch, trainingLoss, validation }) => [
    { metric: 'training_loss', slice: '', step: epoch, value: trainingLoss },
    ...metricsFrom('validation', validation, '', epoch),
  ]);

/** The figures of one set of rows: `validation_log_loss`, `test_auc`. */
export function metricsFrom(
  what: string,
  { logLoss, auc, brier, calibrationError, rows, baseRate }: Metrics,
  slice = '',
  step = 0,
): readonly RunMetric[] {
  const figures: Readonly<Record<string, number | null>> =
    step > 0
      ? { log_loss: logLoss, auc }
      : { log_loss: logLoss, auc, brier, calibration_error: calibrationError, rows, base_rate: baseRate };
  return Object.entries(figures).flatMap(([name, value]) =>
    value === null ? [] : [{ metric: `${what}_${name}`, slice, step, value }],
  );
}
