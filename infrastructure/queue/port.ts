/** What pipelines need of a queue. Adapters: BullMQ over Redis (or Valkey), and memory. */

/** `cpu`: one job at a time and worker; `light`: several. */
export const LANES = ['light', 'cpu'] as const;
export type Lane = (typeof LANES)[number];

/** One step of a run that may begin. */
export interface JobData {
  readonly run: string;
  readonly step: string;
  /** How often the step has been put into the queue: an older delivery of it means nothing any more. */
  readonly delivery: number;
}

export interface Job {
  /** Letters, digits and - _ . @: a job whose id is in the queue already is not added again. */
  readonly id: string;
  readonly lane: Lane;
  readonly data: JobData;
  /** Not before so much wall time has passed, ms. */
  readonly delayMs: number;
}

export interface QueueWorker {
  /** Takes no more; resolves when the jobs in hand are through. */
  close(): Promise<void>;
}

export interface WorkOptions {
  readonly lane: Lane;
  /** Jobs at once. */
  readonly concurrency: number;
  /** A failure that the worker recovers from by itself: the connection broke, a handler threw. */
  readonly onError: (error: Error) => void;
}

export interface JobQueue {
  /** Throws QueueError where the server cannot carry a queue, with the mend. */
  ready(): Promise<void>;
  /** Throws QueueError. */
  add(jobs: readonly Job[]): Promise<void>;
  /**
   * Hands out jobs, at least once each: a job leaves the queue when its handler returns; it is handed out
   * again a while after its worker died or its handler threw, and may then be in two hands for a moment.
   */
  work(options: WorkOptions, handle: (data: JobData) => Promise<void>): Promise<QueueWorker>;
  /** Workers, of whatever process, that take jobs of this lane now. Throws QueueError. */
  workers(lane: Lane): Promise<number>;
  /** Texts by id, beside the jobs and as lasting as they are. */
  readonly documents: Documents;
  close(): Promise<void>;
}

/** Texts by id that change by compare-and-set. Throw QueueError. */
export interface Documents {
  get(id: string): Promise<string | null>;
  all(): Promise<ReadonlyMap<string, string>>;
  /** Writes (null: removes) only where the text is still `expected` (null: none); answers whether it was. */
  set(id: string, expected: string | null, next: string | null): Promise<boolean>;
}
