import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { labelBound } from './bound.ts';
import { HotHistogram } from './hot-histogram.ts';
import type { Logger } from './logger.ts';

/**
 * What a running process tells of itself, as named events: each is one function that counts and, where a
 * person wants to read it, logs. Times and delays are milliseconds. The streams declare what they call;
 * this fits it.
 */
export interface Telemetry {
  /** One step (decode, work, send, read, fold, score, commit) of a batch took `ms` for `records`; streams/runtime/telemetry.ts says of what. */
  step(stream: string, step: string, ms: number, records: number): void;
  /** Events, contributions or requests refused, by reason. */
  refused(stream: string, code: string, count: number): void;
  /** Wall time minus the watermark of a source partition. */
  watermark(source: string, partition: number, delayMs: number): void;
  /** Frontier of a view partition, epoch ms of event time. */
  frontier(view: string, partition: number, time: number): void;
  /** Records of a partition that were not fetched yet, as of its last fetch. */
  lag(stream: string, topic: string, partition: number, records: number): void;
  /** Request time minus the young edge that was read. */
  featureAge(view: string, ms: number): void;
  score(model: string, score: number): void;
  /** A stream has waited for longer than ten seconds; `sentence` says for whom, null once it goes on. */
  waiting(stream: string, what: string, where: string, sentence: string | null): void;
  /** A rule of the data plane held something back. */
  guarded(rule: string): void;
  /** Records came with their producers' own times: their topic is CreateTime, or was when they came. */
  producerTimes(topic: string, partition: number, records: number): void;
  /** Ids that a source partition remembers, to recognise repeats; `forgotten` of them were forgotten before their time. */
  remembered(source: string, partition: number, ids: number, forgotten: number): void;
  /** The sentences of all that wait now, by `stream what where`. */
  waits(): Readonly<Record<string, string>>;
  /** A failure of the world that the stream recovers from by itself. */
  failure(stream: string, error: Error): void;
  /** A stream fails in the same way again and again, or has stopped for good; null once it goes on. */
  failing(stream: string, failure: LastingFailure | null): void;
  /** What fails now: a sentence by stream. */
  failures(): Readonly<Record<string, string>>;
  /** Something seldom that an operator wants to read: an assignment, a rebuild, a new model. */
  note(stream: string, message: string, details?: Readonly<Record<string, string | number>>): void;
  /** What /metrics answers, in Prometheus' text format. */
  metrics(): Promise<string>;
}

export interface LastingFailure {
  readonly reason: string;
  readonly times: number;
  readonly sentence: string;
  readonly final: boolean;
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
/** The same for a stream that fails in one way again and again. */
const FAILING_EVERY_MS = 60_000;
/** The same for what stays wrong until a person mends it. */
const WARN_EVERY_MS = 600_000;

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
  const stepRecords = counter(
    'step_records_total',
    'Records, contributions, requests or rows through a step.',
    ['stream', 'step'],
  );
  const refused = counter('refused_total', 'Refused, by reason.', ['stream', 'code']);
  const watermark = gauge('watermark_delay_ms', 'Wall time minus watermark.', ['source', 'partition']);
  const frontier = gauge('frontier_seconds', 'Event time of the frontier, epoch seconds.', [
    'view',
    'partition',
  ]);
  const lag = gauge('lag_records', 'Records not fetched yet.', ['stream', 'topic', 'partition']);
  const age = new HotHistogram(registry, {
    name: 'millrace_feature_age_ms',
    help: 'Request time minus as-of of a read.',
    label: 'view',
    buckets: AGE_BUCKETS,
  });
  const scores = new HotHistogram(registry, {
    name: 'millrace_score',
    help: 'Published scores.',
    label: 'model',
    buckets: SCORE_BUCKETS,
  });
  const failures = counter('failures_total', 'Failures of the world, by error.', ['stream', 'code']);
  const notes = counter('notes_total', 'Seldom things: assignments, rebuilds, new models.', [
    'stream',
    'message',
  ]);

  const waitingNow = gauge('waiting', 'Waits of more than ten seconds: 1 while one lasts.', [
    'stream',
    'what',
    'where',
  ]);
  const guarded = counter('guarded_total', 'Times that a rule of the data plane held something back.', [
    'rule',
  ]);
  const producerTimes = counter(
    'producer_times_total',
    "Raw records with their producers' own times: nothing bounds the time of their events.",
    ['topic', 'partition'],
  );
  const remembered = gauge('remembered_ids', 'Ids that are remembered, to recognise repeats.', [
    'source',
    'partition',
  ]);
  const forgotten = counter(
    'forgotten_ids_total',
    'Ids that were forgotten before their time: more than `at_most` came within it.',
    ['source', 'partition'],
  );
  const waits = new Map<string, string>();
  const failingNow = gauge('failing', 'Streams that fail: 1 until they go on.', ['stream']);
  const failing = new Map<string, string>();

  // Names come from the project, reasons from closed lists; these bounds hold if either is ever wrong.
  const name = labelBound(500);
  const reason = labelBound(100);
  const partition = labelBound(2_000);
  const mayLog = everyMs(LOG_EVERY_MS);
  const mayLogAgain = everyMs(FAILING_EVERY_MS);
  const mayWarn = everyMs(WARN_EVERY_MS);

  return {
    step(stream, step, ms, records) {
      stepMs.labels(name(stream), name(step)).observe(ms);
      stepRecords.labels(name(stream), name(step)).inc(records);
    },
    refused(stream, code, count) {
      refused.labels(name(stream), reason(code)).inc(count);
      if (mayLog(`refused ${stream} ${code}`))
        logger.debug({ event: 'refused', stream, code, count }, 'refused');
    },
    watermark: (source, number, ms) => watermark.labels(name(source), partition(String(number))).set(ms),
    frontier: (view, number, time) =>
      frontier.labels(name(view), partition(String(number))).set(time / 1_000),
    lag: (stream, topic, number, records) =>
      lag.labels(name(stream), name(topic), partition(String(number))).set(records),
    featureAge: (view, ms) => age.observe(name(view), ms),
    score: (model, value) => scores.observe(name(model), value),
    failure(stream, error) {
      const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
      failures.labels(name(stream), reason(code)).inc();
      // One that lasts is told by `failing`.
      if (!failing.has(stream) && mayLog(`failure ${stream} ${code}`))
        logger.warn({ event: 'failure', stream, code, error }, error.message || code);
    },
    failing(stream, failure) {
      failingNow.labels(name(stream)).set(failure === null ? 0 : 1);
      if (failure === null) {
        if (failing.delete(stream)) logger.info({ event: 'goes_on', stream }, 'the stream goes on');
        return;
      }
      failing.set(stream, failure.sentence);
      const { reason, times, sentence, final } = failure;
      // The first of its kind was told with its stack by `failure`.
      if (times === 1 && !final) return;
      if (final || mayLogAgain(`failing ${stream} ${reason.replace(/\d+/g, '0')}`))
        logger.error({ event: 'failing', stream, times }, sentence);
    },
    failures: () => Object.fromEntries(failing),
    note(stream, message, details = {}) {
      notes.labels(name(stream), reason(message)).inc();
      logger.info({ event: 'note', stream, ...details }, message);
    },
    waiting(stream, what, where, sentence) {
      const key = `${stream} ${what} ${where}`;
      if (sentence === null) waits.delete(key);
      else waits.set(key, sentence);
      waitingNow.labels(name(stream), reason(what), name(where)).set(sentence === null ? 0 : 1);
      const fields = { event: 'waiting', stream, what, where };
      if (sentence === null) logger.info(fields, 'the wait is over');
      else logger.warn(fields, sentence);
    },
    guarded: (rule) => guarded.labels(reason(rule)).inc(),
    producerTimes(topic, number, records) {
      producerTimes.labels(name(topic), partition(String(number))).inc(records);
      if (mayWarn(`producer times ${topic} ${number}`))
        logger.warn(
          { event: 'producer_times', topic, partition: number, records },
          `${topic} partition ${number} has records with their producers' own times (CreateTime): one fast clock among them makes later events late. If its newest records are among them, 'millrace apply' sets message.timestamp.type=LogAppendTime`,
        );
    },
    remembered(source, number, ids, early) {
      remembered.labels(name(source), partition(String(number))).set(ids);
      if (early === 0) return;
      forgotten.labels(name(source), partition(String(number))).inc(early);
      if (mayWarn(`forgotten ${source} ${number}`))
        logger.warn(
          { event: 'forgotten_ids', source, partition: number, ids },
          `${source} partition ${number} remembers no more than ${ids} ids: older ones are forgotten before their time, and their repeats count as other events. Raise deduplicate.at_most, or lower deduplicate.within`,
        );
    },
    waits: () => Object.fromEntries(waits),
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
