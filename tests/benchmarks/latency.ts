import type { HistoryFile } from '../../infrastructure/readers/port.ts';
import { partitionOf } from '../../processors/partition.ts';
import type { EventRecord } from '../../schemas/event.ts';
import { topics } from '../../schemas/names.ts';
import { MINUTE } from '../../schemas/time.ts';
import type { Flights } from '../scenarios/flights.ts';
import { CpuMeter, quantiles } from './cpu.ts';

export interface Latency {
  readonly eventsPerSecond: number;
  readonly seconds: number;
  /** From the moment an event should have been sent (open loop) to the moment its prediction was received, ms. */
  readonly eventToPredictionMs: {
    readonly n: number;
    readonly p50: number;
    readonly p99: number;
    readonly max: number;
  };
  readonly refused: number;
  readonly cpuMicrosecondsPerEvent: Readonly<Record<string, number>>;
}

const WARM_SECONDS = 8;
/** The load is made in small portions, as many producers beside each other would. */
const TICK_MS = 5;

/**
 * Sends flights of history as if they happened now, at an even rate, whatever comes back (open loop), gate live.
 * The first seconds are not counted: every view must have a frontier first.
 */
export async function measureLatency(
  flights: Flights,
  file: HistoryFile,
  options: {
    readonly from: number;
    readonly rate: number;
    readonly seconds: number;
    readonly servers: ReadonlyMap<string, number>;
  },
): Promise<Latency> {
  await flights.createTopics();
  await flights.createTables();
  const pids = new Map(options.servers);
  for (const name of ['ingest', 'features', 'inference', 'archive'])
    pids.set(name, (await flights.start([name])).pid ?? 0);
  pids.set('load', process.pid);

  const { kafka } = flights.platform;
  const codecs = await flights.platform.codecs();
  const predictions = topics.predictions(flights.project.prefix, flights.model.name);
  const partitions = flights.source.partitions;
  const reader = await kafka.reader(
    Array.from({ length: partitions }, (_, partition) => ({
      topic: predictions,
      partition,
      position: 'earliest' as const,
    })),
  );
  const due = new Map<string, number>();
  const waits: number[] = [];
  let refused = 0;
  let measuring = false;
  let reading = true;
  const receiving = (async () => {
    while (reading)
      for (const { records } of await reader.poll(50)) {
        const now = performance.now();
        for (const { value } of records) {
          if (value === null) continue;
          const { requestId, status, reason } = codecs.predictions.decode(value);
          const sentAt = due.get(requestId);
          due.delete(requestId);
          if (sentAt === undefined) continue;
          waits.push(now - sentAt);
          // Without a trained model a vector is all there is to answer with.
          if (status === 'refused' && reason !== 'no_model') refused += 1;
        }
      }
  })();

  const events = endless(file, options.from);
  const producer = await kafka.producer();
  const topic = topics.raw(flights.project.prefix, flights.source.name);
  const started = performance.now();
  const total = (WARM_SECONDS + options.seconds) * options.rate;
  let meter = new CpuMeter(pids);
  const underWay = new Set<Promise<unknown>>();
  for (let sent = 0; sent < total; ) {
    const elapsed = performance.now() - started;
    const target = Math.min(total, Math.floor((elapsed / 1_000) * options.rate));
    if (!measuring && elapsed >= WARM_SECONDS * 1_000) {
      measuring = true;
      meter = new CpuMeter(pids);
    }
    const records = [];
    for (; sent < target; sent += 1) {
      const event = await events();
      const moved = shifted(event, sent);
      if (measuring && event.type === 'flight.departed')
        due.set(moved.id, started + (sent / options.rate) * 1_000);
      const key = String(moved[flights.source.key]);
      records.push({
        topic,
        partition: partitionOf(key, partitions),
        key: Buffer.from(key),
        value: codecs.encodeRaw(flights.source.name, moved),
      });
    }
    if (records.length > 0) {
      const send = producer.send(records).finally(() => underWay.delete(send));
      underWay.add(send);
    }
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  await Promise.all(underWay);
  const used = meter.used();
  for (let patience = 100; due.size > 0 && patience > 0; patience -= 1)
    await new Promise((resolve) => setTimeout(resolve, 50));
  reading = false;
  await receiving;
  await reader.close();
  await producer.close();
  const counted = options.seconds * options.rate;
  return {
    eventsPerSecond: options.rate,
    seconds: options.seconds,
    eventToPredictionMs: quantiles(waits),
    refused: refused + due.size,
    cpuMicrosecondsPerEvent: Object.fromEntries(
      Object.entries(used).map(([name, seconds]) => [name, Math.round((seconds * 1e7) / counted) / 10]),
    ),
  };
}

/** An event of history as if it happened now: every clock it carries moves along. */
function shifted(event: EventRecord, n: number): EventRecord {
  const now = Math.floor(Date.now() / 1_000) * 1_000;
  const departed = typeof event.departed_at === 'number' ? now - (event.time - event.departed_at) : null;
  return {
    ...event,
    id: `${event.id}#${n}`,
    time: now,
    departed_at: departed === null ? null : Math.max(departed, now - 60 * MINUTE),
  };
}

/** Events of the file one by one, from a moment on, for as long as wanted. */
function endless(file: HistoryFile, from: number): () => Promise<EventRecord> {
  let batches = file.read({ from, to: null })[Symbol.asyncIterator]();
  let batch: readonly EventRecord[] = [];
  let at = 0;
  return async () => {
    while (at >= batch.length) {
      const next = await batches.next();
      if (next.done === true) batches = file.read({ from, to: null })[Symbol.asyncIterator]();
      else batch = next.value.events;
      at = 0;
    }
    const event = batch[at];
    at += 1;
    if (event === undefined) throw new Error('the file holds no events');
    return event;
  };
}
