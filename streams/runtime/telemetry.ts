/**
 * What a stream tells of itself. Every label comes from a closed list or from the project's declarations,
 * so that the number of time series is bounded.
 */
export interface Telemetry {
  /**
   * One step of a batch took `ms` for `records`: raw records in ingest, contributions in features, requests in inference, rows in
   * the archive, alerts in delivery and figures in monitoring.
   */
  step(stream: string, step: string, ms: number, records: number): void;
  /** Events (or contributions) refused. */
  refused(stream: string, code: string, count: number): void;
  /** Wall time minus watermark of a source partition, ms. */
  watermark(source: string, partition: number, delayMs: number): void;
  /** Frontier of a view partition, epoch ms of event time. */
  frontier(view: string, partition: number, time: number): void;
  /** Records of a partition that were not fetched yet, as of its last fetch. */
  lag(stream: string, topic: string, partition: number, records: number): void;
  /** Request time minus as-of, ms. */
  featureAge(view: string, ms: number): void;
  score(model: string, score: number): void;
  /**
   * A stream has waited for longer than ten seconds: `sentence` says for whom; null once it goes on. `what` is one of a closed
   * list, `where` names the partition or the view.
   */
  waiting(stream: string, what: string, where: string, sentence: string | null): void;
  /** A rule of the data plane (guards.ts) held something back. */
  guarded(rule: string): void;
  /** Records came to ingest with their producers' own times: the topic is CreateTime, or was when they came. */
  producerTimes(topic: string, partition: number, records: number): void;
  /** Ids that a source partition remembers, to recognise repeats; `forgotten` of them were forgotten before their time. */
  remembered(source: string, partition: number, ids: number, forgotten: number): void;
  /** A failure of the world that the stream recovers from by itself. */
  failure(stream: string, error: Error): void;
  /** A stream fails in the same way again and again, or has stopped for good: with what; null once it goes on. */
  failing(stream: string, failure: LastingFailure | null): void;
  /** Something that happens seldom and that an operator wants to read: assignment, rebuild, new model. */
  note(stream: string, message: string, details?: Readonly<Record<string, string | number>>): void;
}

export interface LastingFailure {
  /** One line, never empty. */
  readonly reason: string;
  /** In a row. */
  readonly times: number;
  /** The reason, since when, and what comes next. */
  readonly sentence: string;
  /** It has stopped and does not begin again. */
  readonly final: boolean;
}

export const SILENT: Telemetry = {
  step: () => {},
  refused: () => {},
  watermark: () => {},
  frontier: () => {},
  lag: () => {},
  featureAge: () => {},
  score: () => {},
  waiting: () => {},
  guarded: () => {},
  producerTimes: () => {},
  remembered: () => {},
  failure: () => {},
  failing: () => {},
  note: () => {},
};
