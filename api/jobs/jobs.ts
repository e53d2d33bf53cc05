import { randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream, mkdtempSync, type ReadStream, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { asError, MillraceError } from '../../schemas/refusal.ts';
import { Problem } from '../problem.ts';

export const JOB_STATES = ['waiting', 'running', 'done', 'failed', 'cancelled'] as const;
export type JobState = (typeof JOB_STATES)[number];

export interface JobStatus {
  readonly id: string;
  readonly kind: string;
  readonly by: string;
  readonly state: JobState;
  /** Wall clock, epoch ms. */
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  /** For a person: what it does now. */
  readonly doing: string;
  readonly done: number;
  /** Null: not known. */
  readonly total: number | null;
  readonly error: { readonly code: string; readonly detail: string } | null;
  readonly result: { readonly type: string; readonly bytes: number } | null;
}

/** What a job works with. */
export interface Work {
  readonly signal: AbortSignal;
  progress(doing: string, done: number, total: number | null): void;
  /** Adds to its result; waits where the disk is slow. Throws Problem past the bound. */
  write(part: string | Uint8Array): Promise<void>;
}

export interface NewJob {
  readonly kind: string;
  readonly by: string;
  /** Media type of its result. */
  readonly type: string;
  run(work: Work): Promise<void>;
}

/** Work that takes longer than a request may: one at a time, since each reads the archive. */
export interface Jobs {
  /** Throws Problem where too many wait. */
  start(job: NewJob): JobStatus;
  get(id: string): JobStatus | null;
  all(): readonly JobStatus[];
  /** Null where there is none to cancel. */
  cancel(id: string): JobStatus | null;
  /** Null where there is no result. */
  result(id: string): { readonly type: string; readonly bytes: number; open(): ReadStream } | null;
  close(): Promise<void>;
}

const MOST_WAITING = 8;
/** Jobs that ended are forgotten, with their results, past this many or after this time. */
const MOST_KEPT = 50;
const KEPT_MS = 24 * 3_600_000;
const MAX_RESULT_BYTES = 1024 * 1024 * 1024;

interface Job {
  status: JobStatus;
  readonly made: NewJob;
  readonly stop: AbortController;
  readonly file: string;
}

/** `onFailure` hears of bugs and of servers that are away; whoever asked is told less. */
export function createJobs(now: () => number, onFailure: (error: Error) => void): Jobs {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-jobs-'));
  const jobs = new Map<string, Job>();
  let running: Promise<void> = Promise.resolve();
  let closed = false;

  const change = (job: Job, more: Partial<JobStatus>) => {
    job.status = { ...job.status, ...more };
  };
  const isOver = ({ status }: Job) => status.finishedAt !== null;

  function forget(): void {
    const over = [...jobs.values()].filter(isOver);
    for (const [i, job] of over.entries())
      if (i < over.length - MOST_KEPT || now() - (job.status.finishedAt ?? 0) > KEPT_MS) {
        jobs.delete(job.status.id);
        rmSync(job.file, { force: true });
      }
  }

  async function work(job: Job): Promise<void> {
    if (isOver(job) || closed) return;
    change(job, { state: 'running', startedAt: now() });
    const output = createWriteStream(job.file, { mode: 0o600 });
    const writeTo = writerTo(output);
    let bytes = 0;
    try {
      await job.made.run({
        signal: job.stop.signal,
        progress: (doing, done, total) => change(job, { doing, done, total }),
        write: async (part) => {
          job.stop.signal.throwIfAborted();
          bytes += Buffer.byteLength(part);
          if (bytes > MAX_RESULT_BYTES)
            throw new Problem(
              413,
              'too_large',
              `The result has more than ${MAX_RESULT_BYTES} bytes: ask in parts.`,
            );
          await writeTo(part);
        },
      });
      job.stop.signal.throwIfAborted();
      output.end();
      await finished(output);
      change(job, { state: 'done', finishedAt: now(), result: { type: job.made.type, bytes } });
    } catch (error) {
      output.destroy();
      if (!(error instanceof Problem) && !job.stop.signal.aborted) onFailure(asError(error));
      rmSync(job.file, { force: true });
      change(job, {
        state: job.stop.signal.aborted ? 'cancelled' : 'failed',
        finishedAt: now(),
        error: errorOf(error),
      });
    }
  }

  return {
    start(made) {
      forget();
      const waiting = [...jobs.values()].filter((job) => !isOver(job)).length;
      if (waiting >= MOST_WAITING)
        throw new Problem(503, 'busy', `${waiting} jobs wait already; start it again when some have ended.`, {
          headers: { 'retry-after': '30' },
        });
      const id = randomUUID();
      const { kind, by } = made;
      const job: Job = {
        made,
        stop: new AbortController(),
        file: join(directory, id),
        status: {
          id,
          kind,
          by,
          state: 'waiting',
          createdAt: now(),
          startedAt: null,
          finishedAt: null,
          doing: 'waits for its turn',
          done: 0,
          total: null,
          error: null,
          result: null,
        },
      };
      jobs.set(id, job);
      running = running.then(() => work(job));
      return job.status;
    },
    get: (id) => jobs.get(id)?.status ?? null,
    all: () => [...jobs.values()].map(({ status }) => status),
    cancel(id) {
      const job = jobs.get(id);
      if (job === undefined || isOver(job)) return null;
      job.stop.abort();
      if (job.status.state === 'waiting') change(job, { state: 'cancelled', finishedAt: now() });
      return job.status;
    },
    result(id) {
      const job = jobs.get(id);
      if (job === undefined || job.status.result === null) return null;
      return { ...job.status.result, open: () => createReadStream(job.file) };
    },
    async close() {
      closed = true;
      for (const job of jobs.values()) job.stop.abort();
      await running;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** What fails (a full disk, a directory that was cleaned away) is told to whoever writes or ends; unheard, it would end the process. */
export function writerTo(output: Writable): (part: string | Uint8Array) => Promise<void> {
  output.on('error', () => {});
  return async (part) => {
    if (output.errored !== null) throw output.errored;
    if (!output.write(part)) await drained(output);
  };
}

const drained = (output: Writable) =>
  new Promise<void>((go, fail) => {
    output.once('drain', go);
    output.once('error', fail);
  });

/** What a bug says is for the log alone. */
function errorOf(error: unknown): NonNullable<JobStatus['error']> {
  if (error instanceof Problem) return { code: error.code, detail: error.message };
  if (error instanceof MillraceError)
    return { code: error.code, detail: 'A server that it needs does not answer.' };
  if (error instanceof Error && error.name === 'AbortError')
    return { code: 'cancelled', detail: 'Somebody cancelled it.' };
  if (error instanceof Error && 'syscall' in error && 'code' in error)
    return {
      code: 'not_written',
      detail: `The result cannot be written (${error.code}): the server's temporary directory is full or gone. Make room there; where it is gone, start the server again.`,
    };
  return { code: 'internal', detail: 'This is a bug of Millrace.' };
}
