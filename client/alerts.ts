import { boundsOf } from '../infrastructure/kafka/bounds.ts';
import type { KafkaRecord } from '../infrastructure/kafka/port.ts';
import { type Codec, createCodec, DecodeFailure } from '../schemas/codec.ts';
import { topics } from '../schemas/names.ts';
import type { Project } from '../schemas/project.ts';
import { type Alert, alertSchema } from '../schemas/records/alert.ts';
import { MillraceError } from '../schemas/refusal.ts';
import { type Following, follow } from './follow.ts';
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

export type AlertSubscription = Following;

/** A record on the alerts topic is not in a form that this version reads. */
export class UnreadableAlert extends MillraceError {
  readonly code = 'unreadable_alert';
  readonly retriable = false;
}

/** Follows the alerts topic. It is read from its start whatever `from` says: only so is known what repeats an earlier record. */
export async function subscribeAlerts(
  options: AlertSubscribeOptions,
  handler: AlertHandler,
): Promise<AlertSubscription> {
  const { project, from = 'latest' } = options;
  const topic = topics.alerts(project.prefix);
  const ports = openPorts(project, options.ports);
  const seen = new Set<string>();
  let next: number;
  let deliverFrom: number;
  let codec: Codec<Alert>;
  try {
    const [bounds] = await boundsOf(ports.kafka, topic);
    next = bounds?.start ?? 0;
    deliverFrom = from === 'earliest' ? 0 : from === 'latest' ? (bounds?.end ?? 0) : from;
    codec = createCodec<Alert>(alertSchema, await ports.registry.register(`${topic}-value`, alertSchema));
  } catch (error) {
    await ports.close();
    throw error;
  }

  function newAlerts(record: KafkaRecord): Alert[] {
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

  return follow({
    ports,
    topic,
    codec,
    positions: () => [next],
    async handle(records) {
      const fresh = records.flatMap(newAlerts);
      if (fresh.length > 0) await handler(fresh, next);
    },
    onTrouble: options.onTrouble,
  });
}
