import type { Kafka, OutgoingRecord, Producer } from '../infrastructure/kafka/port.ts';
import { Problem } from './problem.ts';

/** Where a record came to stand; null where the broker stored it and its answer was lost. */
export interface Placed {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number | null;
}

export interface Outbox {
  /** Sends records in their order, together with whatever else waits, and answers where they stand. Throws KafkaError; Problem where too much waits. */
  send(records: readonly OutgoingRecord[]): Promise<readonly Placed[]>;
  /** Sends what waits, and closes. */
  close(): Promise<void>;
  readonly waitingBytes: number;
}

/** Bytes that may wait for the broker before requests are refused. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024;
/** Records that are sent together. */
const MAX_TOGETHER = 5_000;

interface Waiting {
  readonly records: readonly OutgoingRecord[];
  readonly bytes: number;
  resolve(placed: readonly Placed[]): void;
  reject(error: unknown): void;
}

const bytesOf = (records: readonly OutgoingRecord[]) =>
  records.reduce((sum, { key, value }) => sum + 100 + (key?.length ?? 0) + (value?.length ?? 0), 0);

/** One producer for all requests: what comes while a send is under way goes together in the next one. */
export function createOutbox(kafka: Pick<Kafka, 'producer'>): Outbox {
  const waiting: Waiting[] = [];
  let waitingBytes = 0;
  let producer: Producer | null = null;
  let running: Promise<void> | null = null;

  function take(): Waiting[] {
    const batch: Waiting[] = [];
    for (let count = 0; waiting.length > 0 && count < MAX_TOGETHER; ) {
      const next = waiting.shift();
      if (next === undefined) break;
      count += next.records.length;
      batch.push(next);
    }
    return batch;
  }

  async function sendOne(batch: readonly Waiting[]): Promise<void> {
    try {
      producer ??= await kafka.producer();
      const records = batch.flatMap((one) => one.records);
      const offsets = await producer.place(records);
      let at = 0;
      for (const one of batch)
        one.resolve(
          one.records.map(({ topic, partition }) => ({ topic, partition, offset: offsets[at++] ?? null })),
        );
    } catch (error) {
      // Whether they were stored is not known: whoever asked is told, and sends again with the same ids.
      for (const one of batch) one.reject(error);
      const dead = producer;
      producer = null;
      await dead?.close().catch(() => {});
    }
  }

  async function drain(): Promise<void> {
    while (waiting.length > 0) {
      const batch = take();
      await sendOne(batch);
      for (const { bytes } of batch) waitingBytes -= bytes;
    }
    running = null;
  }

  return {
    get waitingBytes() {
      return waitingBytes;
    },
    send(records) {
      if (records.length === 0) return Promise.resolve([]);
      const bytes = bytesOf(records);
      if (waitingBytes > 0 && waitingBytes + bytes > MAX_WAITING_BYTES)
        return Promise.reject(
          new Problem(
            503,
            'busy',
            'Kafka does not take records as fast as they come; send again in a moment.',
            {
              headers: { 'retry-after': '1' },
            },
          ),
        );
      waitingBytes += bytes;
      const sent = new Promise<readonly Placed[]>((resolve, reject) =>
        waiting.push({ records, bytes, resolve, reject }),
      );
      // After the current turn, so that what comes in one turn goes together.
      running ??= Promise.resolve().then(drain);
      return sent;
    },
    async close() {
      await running;
      await producer?.close().catch(() => {});
      producer = null;
    },
  };
}
