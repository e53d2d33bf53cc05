import { createSender, type Sender } from '../../infrastructure/alerting/sender.ts';
import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import type { Kafka, KafkaRecord, Position } from '../../infrastructure/kafka/port.ts';
import { deliveriesOf } from '../../models/alerting/deliveries.ts';
import type { Clock } from '../../schemas/clock.ts';
import { groups, topics } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import type { Alert } from '../../schemas/records/alert.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import type { Codecs } from '../../streams/runtime/codecs.ts';
import { restartOnFailure, type Stream } from '../../streams/runtime/stream.ts';
import type { Telemetry } from '../../streams/runtime/telemetry.ts';
import { AlertLog, togetherOf } from '../alerts/log.ts';
import { createDeliverer, DELIVERY_PAUSES, type DeliveryLimits } from './deliver.ts';
import { refresh, refreshedReceivers } from './refresh.ts';

export interface DeliveryDeps {
  readonly project: Pick<Project, 'name' | 'prefix' | 'alerting' | 'connections'>;
  readonly kafka: Kafka;
  readonly warehouse: Pick<Warehouse, 'query' | 'insert'>;
  readonly codecs: Pick<Codecs, 'alerts'>;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** Default: HTTP to the receivers of the connections. */
  readonly sender?: Sender;
  readonly limits?: Partial<DeliveryLimits>;
  /** How often an Alertmanager is told again of what fires, ms. */
  readonly refreshMs?: number;
  /** 0 <= x < 1; default Math.random. */
  readonly random?: () => number;
}

/** A poll does not hear the signal to stop. */
const LONGEST_POLL_MS = 200;
const MAX_POLL_RECORDS = 100;
/** As often as Prometheus tells its own. */
const REFRESH_MS = 60_000;
/** With so many groups of changes under way nothing more is polled; the rest waits in Kafka. */
const MAX_UNDER_WAY = 64;
/** What a delivery that is being sent may still take when the stream stops. */
const DRAIN_MS = 2_000;

/** Changes that were appended together, with their place in the log. */
interface UnderWay {
  /** Offset after the last of them. */
  readonly end: number;
  ended: boolean;
}

/**
 * Alerts topic -> receivers. What was appended together is told together, so that a process which comes back makes the
 * same deliveries, with the same ids. Kafka's offset is told only when every delivery before it has ended and that is
 * written down: a crash repeats deliveries, under their ids, and loses none. Each receiver gets its own in order and
 * waits for no other.
 */
export function createDelivery(deps: DeliveryDeps): Stream {
  const { project, kafka, warehouse, codecs, clock, telemetry, random = Math.random } = deps;
  const { prefix, connections } = project;
  const topic = topics.alerts(prefix);
  const group = groups.delivery(prefix);
  const sender =
    deps.sender ??
    createSender({
      from: { project: project.name, prefix },
      connections,
      now: () => clock.now(),
      timeoutMs: project.alerting.delivery.timeout,
    });
  const limits = { ...DELIVERY_PAUSES, ...project.alerting.delivery, ...deps.limits };
  const deliverer = createDeliverer({ prefix, warehouse, sender, clock, telemetry, limits, random });
  const reminded = refreshedReceivers(project);
  const { refreshMs = REFRESH_MS } = deps;
  const isOn = (receiver: string) => (connections.receivers[receiver]?.url ?? '') !== '';

  async function runLoop(signal: AbortSignal, healthy: () => void): Promise<void> {
    /** Ends with the assignment that the deliveries under way belong to. */
    let turn = new AbortController();
    let log = new AlertLog({ kafka, codec: codecs.alerts, prefix });
    let together: Alert[] = [];
    let underWay: UnderWay[] = [];
    let queues = new Map<string, Promise<unknown>>();
    let failures: unknown[] = [];
    let refreshedAt = clock.now();
    /** Receivers with a reminder that waits in their queue: one is enough. */
    const reminding = new Set<string>();

    async function onAssigned(assigned: ReadonlyArray<{ readonly partition: number }>): Promise<Position[]> {
      turn.abort();
      turn = new AbortController();
      together = [];
      underWay = [];
      queues = new Map();
      failures = [];
      reminding.clear();
      log = new AlertLog({ kafka, codec: codecs.alerts, prefix });
      if (assigned.length === 0) return [];
      const admin = await kafka.admin();
      const [committed] = await admin.committed(group, topic).finally(() => admin.close());
      // Which records repeat an earlier one is known only to who has read the log from its start.
      await log.catchUp();
      telemetry.note('delivery', 'assigned', { next: committed ?? 0 });
      return assigned.map(() => committed ?? 'earliest');
    }

    const consumer = await kafka.consumer({
      group,
      topics: [topic],
      onAssigned,
      maxPollRecords: MAX_POLL_RECORDS,
    });

    function addRecord(record: KafkaRecord): void {
      const { index, count } = togetherOf(record);
      // The rest of those before was never appended: the process that began it died, and another began again.
      if (index === 0 && together.length > 0) dispatch(record.offset);
      if (record.value !== null) {
        const alert = codecs.alerts.read(record.value);
        if (alert !== null && log.learn(alert, record.offset)) together.push(alert);
      }
      if (index + 1 >= count) dispatch(record.offset + 1);
    }

    function dispatch(end: number): void {
      const deliveries = deliveriesOf(project.alerting, prefix, together).filter(({ receiver }) =>
        isOn(receiver),
      );
      together = [];
      const item: UnderWay = { end, ended: false };
      underWay.push(item);
      const mine = turn.signal;
      const told = deliveries.map((delivery) =>
        enqueue(delivery.receiver, () => deliverer.deliver(delivery, mine)),
      );
      Promise.all(told).then(
        (ends) => {
          item.ended = ends.every((ended) => ended);
        },
        (error: unknown) => {
          if (!mine.aborted) failures.push(error);
        },
      );
    }

    /** After whatever the receiver is still to be told, so that it hears everything in its order. */
    function enqueue(receiver: string, tell: () => Promise<boolean>): Promise<boolean> {
      const mine = turn.signal;
      const before = queues.get(receiver) ?? Promise.resolve();
      const next = before.then(() => !mine.aborted && tell());
      queues.set(
        receiver,
        next.catch(() => {}),
      );
      return next;
    }

    function remind(): void {
      if (clock.now() - refreshedAt < refreshMs || consumer.assignment().length === 0) return;
      refreshedAt = clock.now();
      const mine = turn.signal;
      for (const receiver of reminded.filter((one) => !reminding.has(one))) {
        reminding.add(receiver);
        enqueue(receiver, async () => {
          reminding.delete(receiver);
          await refresh({ project, sender, deliverer, telemetry }, receiver, log.changes(), mine);
          return true;
        }).catch((error: unknown) => {
          if (!mine.aborted) failures.push(error);
        });
      }
    }

    async function tellKafka(): Promise<void> {
      const open = underWay.findIndex(({ ended }) => !ended);
      const ended = underWay.slice(0, open < 0 ? underWay.length : open);
      const last = ended.at(-1);
      if (last === undefined) return;
      try {
        await consumer.commit([{ topic, partition: 0, offset: last.end }]);
        underWay.splice(0, ended.length);
      } catch (error) {
        // Told again with the next; the table of deliveries knows what has ended.
        if (!(error instanceof MillraceError) || !error.retriable) throw error;
        telemetry.failure('delivery', error);
      }
    }

    try {
      while (!signal.aborted) {
        const held = consumer.assignment();
        if (underWay.length >= MAX_UNDER_WAY) consumer.pause(held);
        else consumer.resume(held);
        const poll = await consumer.poll(LONGEST_POLL_MS);
        for (const { topic: name, partition, start } of poll.cut) {
          telemetry.note('delivery', 'log cut before it was delivered', { start });
          await consumer.seek({ topic: name, partition }, start);
        }
        for (const { records, highWatermark } of poll.batches) {
          for (const record of records) addRecord(record);
          telemetry.lag('delivery', topic, 0, highWatermark - (records.at(-1)?.offset ?? -1) - 1);
        }
        if (failures.length > 0) throw failures[0];
        await tellKafka();
        remind();
        healthy();
      }
      await Promise.race([Promise.all(queues.values()), clock.sleep(DRAIN_MS)]);
      await tellKafka();
    } finally {
      turn.abort();
      await consumer.close().catch(() => {});
      await log.close();
    }
  }

  return {
    name: 'delivery',
    run: (signal, healthy) =>
      restartOnFailure('delivery', clock, telemetry, signal, (done) => runLoop(signal, done), healthy),
  };
}
