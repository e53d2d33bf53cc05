import { setTimeout as sleep } from 'node:timers/promises';
import type { KafkaRecord, Reader } from '../infrastructure/kafka/port.ts';
import { type Codec, wireId } from '../schemas/codec.ts';
import { MillraceError } from '../schemas/refusal.ts';
import type { Ports } from './ports.ts';

const POLL_MS = 500;

export interface Follow {
  readonly ports: Ports & { close(): Promise<void> };
  readonly topic: string;
  readonly codec: Pick<Codec<unknown>, 'id' | 'accept'>;
  /** Next offset of each partition: where reading begins, and goes on after an outage. */
  positions(): readonly number[];
  /** The next records wait for it. An error that it throws, whatever it is, ends the subscription. */
  handle(records: readonly KafkaRecord[]): Promise<void>;
  /** Told of outages that are waited out. */
  readonly onTrouble: ((error: MillraceError) => void) | undefined;
}

export interface Following {
  /** Resolves when it has been closed, rejects with what ended it. */
  readonly done: Promise<void>;
  close(): Promise<void>;
}

/** Reads a topic on and on. Outages are waited out, and schemas of other versions learnt; the ports are closed at the end. */
export function follow({ ports, topic, codec, positions, handle, onTrouble }: Follow): Following {
  const closing = new AbortController();
  const learnt = new Set([codec.id]);
  let reader: Reader | null = null;

  const closeReader = async () => {
    await reader?.close().catch(() => {});
    reader = null;
  };

  async function poll(): Promise<readonly KafkaRecord[]> {
    reader ??= await ports.kafka.reader(
      positions().map((position, partition) => ({ topic, partition, position })),
    );
    const records = (await reader.poll(POLL_MS)).flatMap((batch) => batch.records);
    if (!closing.signal.aborted) await learn(records);
    return records;
  }

  /** Learns schemas that an older or newer Millrace wrote. */
  async function learn(records: readonly KafkaRecord[]): Promise<void> {
    const ids = new Set<number>();
    for (const { value } of records) {
      const id = value === null ? codec.id : wireId(value);
      if (typeof id === 'number' && !learnt.has(id)) ids.add(id);
    }
    if (ids.size === 0) return;
    for (const [id, schema] of await ports.registry.schemasById(ids)) {
      // What is written on our topics names no other schema; anything else is not ours.
      if (typeof schema !== 'string') continue;
      codec.accept(id, schema);
      learnt.add(id);
    }
  }

  async function run(): Promise<void> {
    for (let failures = 0; !closing.signal.aborted; ) {
      let records: readonly KafkaRecord[] = [];
      try {
        records = await poll();
        failures = 0;
      } catch (error) {
        if (closing.signal.aborted) return;
        if (!(error instanceof MillraceError) || !error.retriable) throw error;
        onTrouble?.(error);
        await closeReader();
        const pause = Math.min(5_000, 100 * 2 ** failures++);
        await sleep(pause, undefined, { signal: closing.signal }).catch(() => {});
      }
      if (records.length > 0 && !closing.signal.aborted) await handle(records);
    }
  }

  const done = run().finally(async () => {
    await closeReader();
    await ports.close();
  });
  done.catch(() => {}); // Whoever looks at `done` is told; a subscriber that does not is not ended by it.
  return {
    done,
    async close() {
      closing.abort();
      await reader?.close().catch(() => {});
      await done.catch(() => {});
    },
  };
}
