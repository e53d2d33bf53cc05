import { asError } from '../../schemas/refusal.ts';
import { QueueError } from '../queue/errors.ts';
import type { Job, JobData, JobQueue, Lane, QueueWorker, WorkOptions } from '../queue/port.ts';

/** The queue in this process. */
export interface MemoryQueue extends JobQueue {
  /** The jobs in hand of this lane are forgotten by their workers, as if those had died, and handed out again. */
  lose(lane: Lane): void;
  /** While false every call fails as if the server were away. */
  setAvailable(available: boolean): void;
}

interface QueuedJob {
  readonly job: Job;
  state: 'waiting' | 'active';
  /** Changes when the job goes to another worker: an older holder's end means nothing. */
  hold: number;
  timer: NodeJS.Timeout | undefined;
  /** Gives the place at the worker back, once. */
  free: () => void;
}

interface Live {
  readonly options: WorkOptions;
  readonly handle: (data: JobData) => Promise<void>;
  readonly busy: Set<Promise<void>>;
  taken: number;
  closed: boolean;
}

export function createMemoryQueue(options: { readonly againMs?: number } = {}): MemoryQueue {
  const { againMs = 50 } = options;
  const texts = new Map<string, string>();
  const known = new Map<string, QueuedJob>();
  const workers = new Set<Live>();
  let available = true;
  let holds = 0;

  function check(): void {
    if (!available) throw new QueueError('unreachable', "The pipelines' queue is switched off by a test.");
  }

  function wake(one: QueuedJob, delayMs: number): void {
    clearTimeout(one.timer);
    one.state = 'waiting';
    one.timer = setTimeout(() => {
      one.timer = undefined;
      hand();
    }, delayMs);
    one.timer.unref();
  }

  function hand(): void {
    for (const worker of workers)
      for (const one of known.values()) {
        if (worker.closed || worker.taken >= worker.options.concurrency || !available) break;
        if (one.state === 'active' || one.timer !== undefined || one.job.lane !== worker.options.lane)
          continue;
        give(worker, one);
      }
  }

  function give(worker: Live, one: QueuedJob): void {
    one.state = 'active';
    holds += 1;
    const hold = holds;
    one.hold = hold;
    worker.taken += 1;
    let counted = true;
    const free = () => {
      if (counted) worker.taken -= 1;
      counted = false;
    };
    one.free = free;
    const done = worker
      .handle(one.job.data)
      .then(
        () => {
          if (one.hold === hold) known.delete(one.job.id);
        },
        (error: unknown) => {
          worker.options.onError(asError(error));
          if (one.hold === hold) wake(one, againMs);
        },
      )
      .finally(() => {
        worker.busy.delete(done);
        free();
        hand();
      });
    worker.busy.add(done);
  }

  return {
    documents: {
      async get(id) {
        check();
        return texts.get(id) ?? null;
      },
      async all() {
        check();
        return new Map(texts);
      },
      async set(id, expected, next) {
        check();
        if ((texts.get(id) ?? null) !== expected) return false;
        if (next === null) texts.delete(id);
        else texts.set(id, next);
        return true;
      },
    },
    ready: async () => check(),
    async add(jobs) {
      check();
      for (const job of jobs) {
        if (known.has(job.id)) continue;
        const one: QueuedJob = { job, state: 'waiting', hold: 0, timer: undefined, free: () => {} };
        known.set(job.id, one);
        wake(one, Math.max(0, job.delayMs));
      }
    },
    async work(workOptions, handle) {
      const live: Live = { options: workOptions, handle, busy: new Set(), taken: 0, closed: false };
      workers.add(live);
      hand();
      const worker: QueueWorker = {
        async close() {
          live.closed = true;
          workers.delete(live);
          await Promise.all(live.busy);
        },
      };
      return worker;
    },
    async workers(lane) {
      check();
      return [...workers].filter(({ options: of }) => of.lane === lane).length;
    },
    lose(lane) {
      for (const one of known.values())
        if (one.state === 'active' && one.job.lane === lane) {
          one.hold = 0;
          one.free();
          wake(one, againMs);
        }
    },
    setAvailable(value) {
      available = value;
      if (value) hand();
    },
    async close() {
      for (const { timer } of known.values()) clearTimeout(timer);
      for (const worker of workers) worker.closed = true;
      await Promise.all([...workers].flatMap(({ busy }) => [...busy]));
      known.clear();
    },
  };
}
