import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { labelBound } from './bound.ts';
import type { Logger } from './logger.ts';

/**
 * Everything that can be said about a running process, as named events. Times and delays are
 * milliseconds, counts are whole numbers. A stream declares the few of these that it calls; this fits.
 */
export interface Telemetry {
  /** One step (poll, decode, read, fold, score, flush, commit) of one batch of a stream took `ms` for `records` records. */
  batch(stream: string, step: string, ms: number, records: number): void;
  /** Raw records read from a source, clocks apart. */
  received(source: string, records: number): void;
  accepted(source: string, records: number): void;
  rejected(source: string, stage: string, code: string, records: number): void;
  /** Contributions of a view, by what became of them. */
  contributions(view: string, outcome: 'applied' | 'refused' | 'skipped', records: number): void;
  /** Records between a stream's position and the end of the partition. */
  lag(stream: string, topic: string, partition: number, records: number): void;
  /** Append time of the newest record minus the partition's watermark. */
  watermarkDelay(source: string, partition: number, ms: number): void;
  /** Request time minus the young edge that was read. */
  featureAge(view: string, ms: number): void;
  /** Broker's append time of the raw event to the moment its contribution could be read. */
  featureLatency(view: string, ms: number): void;
  predicted(model: string, version: number, records: number): void;
  score(model: string, score: number): void;
  refused(model: string, reason: string, records: number): void;
  /** Broker's append time of the raw event to the moment its prediction was acknowledged. */
  predictionLatency(model: string, ms: number): void;
  /** Time that requests stood at the gate. */
  gateWait(model: string, ms: number): void;
  /** Rows written to the warehouse. */
  archived(table: string, rows: number): void;
  /** A commit found that somebody else had written: the batch is read again. */
  conflict(stream: string): void;
  /** A failure of the world ended a stream's work; it starts again in `delayMs`. */
  restarted(stream: string, code: string, delayMs: number): void;
  /** Another version of a model scores from now on. */
  modelSwapped(model: string, version: number): void;
  /** What /metrics answers, in Prometheus' text format. */
  metrics(): Promise<string>;
}

export interface TelemetryOptions {
  /** Name of the process, put on every line of the log and every metric. */
  readonly process: string;
  readonly logger: Logger;
  /** Metrics of the Node process itself (CPU, memory, event loop). Default true. */
  readonly processMetrics?: boolean;
}

/** Milliseconds: from a quick read to a stuck batch. */
const STEP_BUCKETS = [0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 15_000];
const AGE_BUCKETS = [1_000, 10_000, 60_000, 300_000, 900_000, 3_600_000, 6 * 3_600_000, 86_400_000];
const SCORE_BUCKETS = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1];

/** A line for each repeated event at most this often; the counters count them all. */
const LOG_EVERY_MS = 1_000;

export function createTelemetry(options: TelemetryOptions): Telemetry {
  const { logger } = options;
  const registry = new Registry();
  registry.setDefaultLabels({ process: options.process });
  if (options.processMetrics ?? true) collectDefaultMetrics({ register: registry });

  const registers = [registry];
  const counter = (name: string, help: string, labelNames: string[]) =>
    new Counter({ name: `millrace_${name}`, help, labelNames, registers });
  const gauge = (name: string, help: string, labelNames: string[]) =>
    new Gauge({ name: `millrace_${name}`, help, labelNames, registers });
  const histogram = (name: string, help: string, labelNames: string[], buckets: number[]) =>
    new Histogram({ name: `millrace_${name}`, help, labelNames, buckets, registers });

  const stepMs = histogram('step_ms', 'Time of one step of a batch.', ['stream', 'step'], STEP_BUCKETS);
  const stepRecords = counter('step_records_total', 'Records through a step.', ['stream', 'step']);
  const received = counter('received_total', 'Raw records read.', ['source']);
  const accepted = counter('accepted_total', 'Events accepted.', ['source']);
  const rejected = counter('rejected_total', 'Records refused, by reason.', ['source', 'stage', 'code']);
  const contributions = counter('contributions_total', 'Contributions to views.', ['view', 'outcome']);
  const lag = gauge('lag_records', 'Records not yet read.', ['stream', 'topic', 'partition']);
  const watermark = gauge('watermark_delay_ms', 'Append time minus watermark.', ['source', 'partition']);
  const age = histogram('feature_age_ms', 'Request time minus as-of of a read.', ['view'], AGE_BUCKETS);
  const featureMs = histogram('event_to_feature_ms', 'Event to readable feature.', ['view'], STEP_BUCKETS);
  const predicted = counter('predictions_total', 'Predictions published.', ['model', 'version']);
  const scores = histogram('score', 'Published scores.', ['model'], SCORE_BUCKETS);
  const refused = counter('refusals_total', 'Predictions refused, by reason.', ['model', 'reason']);
  const predictionMs = histogram('event_to_prediction_ms', 'Event to prediction.', ['model'], STEP_BUCKETS);
  const gateMs = histogram('gate_wait_ms', 'Time at the gate.', ['model'], STEP_BUCKETS);
  const archived = counter('archived_rows_total', 'Rows written to the warehouse.', ['table']);
  const conflicts = counter('conflicts_total', 'Commits that lost a race.', ['stream']);
  const restarts = counter('restarts_total', 'Restarts after a failure of the world.', ['stream', 'code']);
  const modelVersion = gauge('model_version', 'Version that scores.', ['model']);

  // Names come from the project, reasons from closed lists; these bounds hold if either is ever wrong.
  const name = labelBound(500);
  const reason = labelBound(100);
  const version = labelBound(200);
  const partition = labelBound(2_000);
  const mayLog = everyMs(LOG_EVERY_MS);

  return {
    batch(stream, step, ms, records) {
      stepMs.labels(name(stream), name(step)).observe(ms);
      stepRecords.labels(name(stream), name(step)).inc(records);
    },
    received: (source, records) => received.labels(name(source)).inc(records),
    accepted: (source, records) => accepted.labels(name(source)).inc(records),
    rejected(source, stage, code, records) {
      rejected.labels(name(source), reason(stage), reason(code)).inc(records);
      if (mayLog(`rejected ${source} ${code}`))
        logger.debug({ event: 'rejected', source, stage, code, records }, 'records refused');
    },
    contributions: (view, outcome, records) => contributions.labels(name(view), outcome).inc(records),
    lag: (stream, topic, number, records) =>
      lag.labels(name(stream), name(topic), partition(String(number))).set(records),
    watermarkDelay: (source, number, ms) => watermark.labels(name(source), partition(String(number))).set(ms),
    featureAge: (view, ms) => age.labels(name(view)).observe(ms),
    featureLatency: (view, ms) => featureMs.labels(name(view)).observe(ms),
    predicted: (model, number, records) =>
      predicted.labels(name(model), version(String(number))).inc(records),
    score: (model, value) => scores.labels(name(model)).observe(value),
    refused(model, why, records) {
      refused.labels(name(model), reason(why)).inc(records);
      if (mayLog(`refused ${model} ${why}`))
        logger.warn({ event: 'refused', model, reason: why, records }, 'predictions refused');
    },
    predictionLatency: (model, ms) => predictionMs.labels(name(model)).observe(ms),
    gateWait: (model, ms) => gateMs.labels(name(model)).observe(ms),
    archived: (table, rows) => archived.labels(name(table)).inc(rows),
    conflict(stream) {
      conflicts.labels(name(stream)).inc();
      if (mayLog(`conflict ${stream}`))
        logger.info({ event: 'conflict', stream }, 'commit lost a race; reading again');
    },
    restarted(stream, code, delayMs) {
      restarts.labels(name(stream), reason(code)).inc();
      logger.warn({ event: 'restarted', stream, code, delayMs }, 'stream starts again after a failure');
    },
    modelSwapped(model, number) {
      modelVersion.labels(name(model)).set(number);
      logger.info({ event: 'model_swapped', model, version: number }, 'another model version scores now');
    },
    metrics: () => registry.metrics(),
  };
}

/** True at most once in `interval` for the same key. Keys are as bounded as the reasons they are made of. */
function everyMs(interval: number): (key: string) => boolean {
  const last = new Map<string, number>();
  return (key) => {
    const now = performance.now();
    const before = last.get(key);
    if (before !== undefined && now - before < interval) return false;
    if (last.size > 1_000) last.clear();
    last.set(key, now);
    return true;
  };
}
