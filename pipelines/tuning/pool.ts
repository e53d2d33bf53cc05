import { Worker } from 'node:worker_threads';
import { moduleUrl } from '../../infrastructure/module-url.ts';
import type { Metrics } from '../../models/metrics.ts';
import type { EpochReport, Parameters } from '../../models/trainer.ts';
import type { Model } from '../../schemas/project.ts';
import type { DataSet } from '../training/dataset.ts';
import { TrialFailed } from './errors.ts';

export interface TrialQuestion {
  readonly parameters: Parameters;
  /** Of the declared epochs (rounds). */
  readonly share: number;
}

export interface TrialAnswer {
  /** Validation log loss. */
  readonly loss: number;
  readonly validation: Metrics;
  readonly epochs: readonly EpochReport[];
  readonly rounds: number;
  readonly bestEpoch: number;
  readonly parameters: Parameters;
  readonly backend: string;
  readonly durationMs: number;
}

/** What a thread is given once: the rows lie in memory that all threads share. */
export interface TrialData {
  readonly features: readonly string[];
  readonly trainer: Model['trainer'];
  readonly rows: Float64Array;
  readonly labels: Uint8Array;
  readonly times: Float64Array;
}

export type TrialMessage =
  | { readonly kind: 'answer'; readonly answer: TrialAnswer }
  | { readonly kind: 'failure'; readonly message: string };

export interface TrialPool {
  /** Waits for a free thread. Throws TrialFailed for parameters that cannot be trained, and where the signal came. */
  run(question: TrialQuestion, signal: AbortSignal): Promise<TrialAnswer>;
  close(): Promise<void>;
}

const shared = <A extends Float64Array | Uint8Array>(array: A, make: (buffer: SharedArrayBuffer) => A): A => {
  const copy = make(new SharedArrayBuffer(array.byteLength));
  copy.set(array as never);
  return copy;
};

/** Threads that train: each holds a processor, and none the thread that talks to the servers. */
export function createTrialPool(
  workers: number,
  model: Model,
  training: Pick<DataSet, 'rows' | 'labels' | 'times'>,
): TrialPool {
  const data: TrialData = {
    features: model.features.map(({ name }) => name),
    trainer: model.trainer,
    rows: shared(training.rows, (buffer) => new Float64Array(buffer)),
    labels: shared(training.labels, (buffer) => new Uint8Array(buffer)),
    times: shared(training.times, (buffer) => new Float64Array(buffer)),
  };
  const idle: Worker[] = [];
  const all = new Set<Worker>();
  const waiting: Array<(worker: Worker) => void> = [];

  function begin(): Worker {
    const worker = new Worker(moduleUrl(import.meta.url, './thread'), { workerData: data });
    all.add(worker);
    return worker;
  }

  async function acquire(): Promise<Worker> {
    const free = idle.pop();
    if (free !== undefined) return free;
    if (all.size < Math.max(1, workers)) return begin();
    return new Promise((resolve) => waiting.push(resolve));
  }

  function release(worker: Worker): void {
    const next = waiting.shift();
    if (next === undefined) idle.push(worker);
    else next(worker);
  }

  async function drop(worker: Worker): Promise<void> {
    all.delete(worker);
    await worker.terminate();
    const next = waiting.shift();
    if (next !== undefined) next(begin());
  }

  return {
    async run(question, signal) {
      signal.throwIfAborted();
      const worker = await acquire();
      return new Promise<TrialAnswer>((resolve, reject) => {
        const settle = (then: () => void, keep: boolean) => {
          worker.off('message', onMessage);
          worker.off('error', onError);
          signal.removeEventListener('abort', onAbort);
          if (keep) release(worker);
          else drop(worker).catch(() => undefined);
          then();
        };
        const onAbort = () => settle(() => reject(signal.reason as Error), false);
        const onMessage = (message: TrialMessage) =>
          settle(() => {
            if (message.kind === 'answer') resolve(message.answer);
            else reject(new TrialFailed(message.message));
          }, true);
        const onError = (error: Error) => settle(() => reject(new TrialFailed(error.message)), false);
        signal.addEventListener('abort', onAbort, { once: true });
        worker.on('message', onMessage);
        worker.on('error', onError);
        if (signal.aborted) onAbort();
        else worker.postMessage(question);
      });
    },
    async close() {
      await Promise.all([...all].map((worker) => worker.terminate()));
      all.clear();
    },
  };
}
