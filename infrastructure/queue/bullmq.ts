import type { Queue } from 'bullmq';
import type { RedisConnection } from '../../schemas/project.ts';
import { addressOf } from '../redis/address.ts';
import { bullConnection } from './connection.ts';
import { createDocuments, queueErrorOf } from './documents.ts';
import { QueueError } from './errors.ts';
import type { JobData, JobQueue, Lane, QueueWorker } from './port.ts';

export interface BullQueueOptions {
  readonly server: RedisConnection;
  /** Part of every key up to the closing brace: one slot of a Redis Cluster. */
  readonly prefix: string;
  /** A worker that has not been heard of for so long is dead; its jobs go to others at most half as long later. */
  readonly lockMs?: number;
}

/** A handler that threw gets its job again after this. */
const AGAIN_MS = 1_000;
const CONNECT_WAIT_MS = 5_000;

/**
 * Jobs on BullMQ. How often a step is tried again is the pipeline's affair, and what has come of it stands in
 * the documents; BullMQ carries the job, waits out its delay, and gives it to another worker where one died.
 */
export function createBullQueue(options: BullQueueOptions): JobQueue {
  const { server, prefix, lockMs = 3_000 } = options;
  const documents = createDocuments(server, `${prefix}:runs`);
  const { where } = addressOf(server);
  const queues = new Map<Lane, Promise<Queue<JobData>>>();
  const workers = new Set<QueueWorker>();
  const closings: Array<() => Promise<void>> = [];

  function queue(lane: Lane): Promise<Queue<JobData>> {
    let one = queues.get(lane);
    if (one === undefined) {
      one = openQueue(lane).catch((error: unknown) => {
        queues.delete(lane);
        throw error;
      });
      queues.set(lane, one);
    }
    return one;
  }

  async function openQueue(lane: Lane): Promise<Queue<JobData>> {
    const { Queue } = await import('bullmq');
    const settings = { maxRetriesPerRequest: 1, enableOfflineQueue: false };
    const { connection, close } = bullConnection(server, await documents.cluster(), settings);
    closings.push(close);
    const opened = new Queue<JobData>(lane, { connection, prefix });
    // Told by the call that failed.
    opened.on('error', () => undefined);
    return opened;
  }

  return {
    documents,
    ready: () => documents.check(),

    async add(jobs) {
      try {
        for (const { id, lane, data, delayMs } of jobs) {
          const of = await queue(lane);
          await inTime(of.waitUntilReady(), where);
          await of.add('step', data, {
            jobId: id,
            delay: Math.max(0, Math.round(delayMs)),
            attempts: Number.MAX_SAFE_INTEGER,
            backoff: { type: 'fixed', delay: AGAIN_MS },
            removeOnComplete: true,
            removeOnFail: true,
          });
        }
      } catch (error) {
        throw queueErrorOf(error, where);
      }
    },

    async work({ lane, concurrency, onError }, handle) {
      const { Worker } = await import('bullmq');
      const settings = { maxRetriesPerRequest: null, enableOfflineQueue: true };
      const { connection, close } = bullConnection(server, await documents.cluster(), settings);
      closings.push(close);
      const worker = new Worker<JobData>(lane, (job) => handle(job.data), {
        connection,
        prefix,
        concurrency,
        lockDuration: lockMs,
        stalledInterval: Math.ceil(lockMs / 2),
        // A job may lose its worker any number of times: the pipeline counts.
        maxStalledCount: Number.MAX_SAFE_INTEGER,
        drainDelay: 1,
        runRetryDelay: 1_000,
      });
      worker.on('error', onError);
      worker.on('failed', (_job, error) => onError(error));
      const own: QueueWorker = {
        async close() {
          workers.delete(own);
          await worker.close();
        },
      };
      workers.add(own);
      return own;
    },

    async workers(lane) {
      try {
        const of = await queue(lane);
        await inTime(of.waitUntilReady(), where);
        return await of.getWorkersCount();
      } catch (error) {
        throw queueErrorOf(error, where);
      }
    },

    async close() {
      await Promise.all([...workers].map((worker) => worker.close()));
      await Promise.all([...queues.values()].map(async (one) => (await one).close()));
      await Promise.all(closings.map((close) => close()));
      await documents.close();
    },
  };
}

/** BullMQ waits for a server without end. */
async function inTime<T>(work: Promise<T>, where: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new QueueError('unreachable', `Redis at ${where} does not answer the pipelines' queue.`)),
      CONNECT_WAIT_MS,
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
