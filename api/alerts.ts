import { setTimeout as sleep } from 'node:timers/promises';
import type { KafkaRecord, Reader } from '../infrastructure/kafka/port.ts';
import { type Codec, createCodec, DecodeFailure, wireId } from '../schemas/codec.ts';
import { topics } from '../schemas/names.ts';
import type { Project } from '../schemas/project.ts';
import { type Alert, alertSchema } from '../schemas/records/alert.ts';
import { MillraceError } from '../schemas/refusal.ts';
import { openPorts, type Ports } from './ports.ts';

export interface AlertSubscribeOptions {
  readonly project: Project;
  /**
   * `latest`: what changes from now on (default). `earliest`: every change that was ever made. A number: where an
   * earlier subscription had come to, as its handler was told.
   */
  readonly from?: 'earliest' | 'latest' | number;
  /** Told of outages that the subscription waits out. */
  readonly onTrouble?: (error: MillraceError) => void;
  readonly ports?: Ports;
}

/**
 * Gets changes of alerts in their order, each once, and the offset after them: whoever stores both in one transaction
 * handles each change exactly once. The next ones wait for the handler. An error that it throws ends the subscription.
 */
export type AlertHandler = (alerts: readonly Alert[], next: number) => void | Promise<void>;

export interface AlertSubscription {
  /** Resolves when the subscription has been closed, rejects with what ended it. */
  readonly done: Promise<void>;
  close(): Promise<void>;
}

/** A record on the alerts topic is not in a form that this version reads. */
export class UnreadableAlert extends MillraceError {
  readonly code = 'unreadable_alert';
  readonly retriable = false;
}

const POLL_MS = 500;

/** Follows the alerts topic. It is read from its start whatever `from` says: only so is known what repeats an earlier record. */
export async function subscribeAlerts(
  options: AlertSubscribeOptions,
  handler: AlertHandler,
): Promise<AlertSubscription> {
  const { project, from = 'latest' } = options;
  const topic = topics.alerts(project.prefix);
  const ports = openPorts(project, options.ports);
  const closing = new AbortController();
  const seen = new Set<string>();
  let reader: Reader | null = null;
  let next: number;
  let deliverFrom: number;
  let codec: Codec<Alert>;
  try {
    const admin = await ports.kafka.admin();
    const [bounds] = await admin.offsets(topic).finally(() => admin.close());
    next = bounds?.start ?? 0;
    deliverFrom = from === 'earliest' ? 0 : from === 'latest' ? (bounds?.end ?? 0) : from;
    codec = createCodec<Alert>(alertSchema, await ports.registry.register(`${topic}-value`, alertSchema));
  } catch (error) {
    await ports.close();
    throw error;
  }

  const learnt = new Set([codec.id]);
  /** Learns schemas that an older or newer Millrace wrote. */
  async function learn(records: readonly KafkaRecord[]): Promise<void> {
    const ids = new Set<number>();
    for (const { value } of records) {
      const id = value === null ? codec.id : wireId(value);
      if (typeof id === 'number' && !learnt.has(id)) ids.add(id);
    }
    if (ids.size === 0) return;
    for (const [id, schema] of await ports.registry.schemasById(ids)) {
      if (schema === null) continue;
      codec.accept(id, schema);
      learnt.add(id);
    }
  }

  function take(record: KafkaRecord): Alert[] {
    if (record.offset < next) return [];
    next = record.offset + 1;
    if (record.value === null) return [];
    const alert = codec.decode(record.value);
    if (alert instanceof DecodeFailure)
      throw new UnreadableAlert(`${topic} at offset ${record.offset} cannot be read: ${alert.detail}.`);
    if (seen.has(alert.id)) return [];
    seen.add(alert.id);
    return record.offset >= deliverFrom ? [alert] : [];
  }

  async function follow(): Promise<void> {
    for (let failures = 0; !closing.signal.aborted; ) {
      let fresh: Alert[] = [];
      try {
        reader ??= await ports.kafka.reader([{ topic, partition: 0, position: next }]);
        const records = (await reader.poll(POLL_MS)).flatMap((batch) => batch.records);
        if (closing.signal.aborted) return;
        await learn(records);
        fresh = records.flatMap(take);
        failures = 0;
      } catch (error) {
        if (closing.signal.aborted) return;
        if (!(error instanceof MillraceError) || !error.retriable) throw error;
        options.onTrouble?.(error);
        await reader?.close().catch(() => {});
        reader = null;
        const pause = Math.min(5_000, 100 * 2 ** failures++);
        await sleep(pause, undefined, { signal: closing.signal }).catch(() => {});
      }
      if (fresh.length > 0) await handler(fresh, next);
    }
  }

  const done = follow().finally(async () => {
    await reader?.close().catch(() => {});
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
