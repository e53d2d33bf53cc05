import { Buffer } from 'node:buffer';
import type { OutgoingRecord, Producer } from '../infrastructure/kafka/port.ts';
import { partitionOf } from '../processors/partition.ts';
import { readsEnvelope } from '../schemas/envelope.ts';
import type { EventRecord, Scalar } from '../schemas/event.ts';
import { createRawCodec, rawSchema } from '../schemas/event-schema.ts';
import { createJsonEncoder } from '../schemas/json-event.ts';
import { headers, rawTopic } from '../schemas/names.ts';
import type { Source } from '../schemas/project.ts';
import type { ClientProject } from './contract.ts';
import { createEventCheck } from './event-check.ts';
import { openPorts, type Ports } from './ports.ts';

/** An event as a producer gives it: fields that are left out are null. */
export type EventInput = {
  readonly id: string;
  readonly type: string;
  /** Event time, epoch ms. */
  readonly time: number;
} & { readonly [field: string]: Scalar };

export interface EventProducer {
  /**
   * Sends events of a source, in their order; events with the same key stay in order over calls too. Resolves once
   * all replicas have them. Throws TypeError for an event that the source cannot carry (nothing of the call is
   * sent), KafkaError where sending failed: whether the events were stored is not known then.
   */
  send(source: string, events: readonly EventInput[]): Promise<void>;
  close(): Promise<void>;
}

export interface ProducerOptions {
  /**
   * Sends that come closer together than this are sent as one: many small requests cost more than all else. The
   * first after a pause goes out at once. Default 5 ms.
   */
  readonly lingerMs?: number;
  /** Writes the time of sending into each record, so that latencies can be measured. Default false. */
  readonly stampSendTime?: boolean;
  readonly ports?: Ports;
}

/** Most records that are sent together. */
const MAX_TOGETHER = 5_000;

type Encoder = (event: EventInput) => OutgoingRecord;

interface Waiting {
  readonly records: readonly OutgoingRecord[];
  resolve(): void;
  reject(error: unknown): void;
}

/** Producer of raw events: encodes them as their source declares, keyed by its key field. */
export async function createProducer(
  project: ClientProject,
  options: ProducerOptions = {},
): Promise<EventProducer> {
  const lingerMs = options.lingerMs ?? 5;
  const stamp = options.stampSendTime ?? false;
  const ports = openPorts(project, options.ports);
  const encoders = new Map<string, Promise<Encoder>>();
  let producer: Producer | null = null;
  const waiting: Waiting[] = [];
  let sending: Promise<void> | null = null;
  let lastSent = 0;

  function encoderOf(name: string): Promise<Encoder> {
    let encoder = encoders.get(name);
    if (encoder === undefined) {
      encoder = createEncoder(project, name, ports, stamp);
      encoders.set(name, encoder);
      encoder.catch(() => encoders.delete(name));
    }
    return encoder;
  }

  /** Sends what waits until nothing does. After a failure a new producer is made: the old one is dead. */
  async function drain(): Promise<void> {
    const pause = lastSent + lingerMs - performance.now();
    if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
    while (waiting.length > 0) {
      const batch: Waiting[] = [];
      for (let count = 0; waiting.length > 0 && count < MAX_TOGETHER; ) {
        const next = waiting.shift() as Waiting;
        count += next.records.length;
        batch.push(next);
      }
      try {
        producer ??= await ports.kafka.producer();
        await producer.send(batch.flatMap(({ records }) => records));
        for (const one of batch) one.resolve();
      } catch (error) {
        for (const one of batch) one.reject(error);
        await producer?.close().catch(() => {});
        producer = null;
      }
      lastSent = performance.now();
    }
    sending = null;
  }

  return {
    async send(source, events) {
      const encode = await encoderOf(source);
      const records = events.map(encode);
      if (records.length === 0) return;
      const sent = new Promise<void>((resolve, reject) => waiting.push({ records, resolve, reject }));
      sending ??= drain();
      await sent;
    },
    async close() {
      await sending;
      await producer?.close();
      await ports.close();
    },
  };
}

/** Sends some events and is done: for scripts. Who sends again and again makes a producer and keeps it. */
export async function produce(
  project: ClientProject,
  source: string,
  events: readonly EventInput[],
  options: ProducerOptions = {},
): Promise<void> {
  const producer = await createProducer(project, options);
  try {
    await producer.send(source, events);
  } finally {
    await producer.close();
  }
}

function findSource(project: ClientProject, name: string): Source {
  const source = project.sources.find((candidate) => candidate.name === name);
  if (source !== undefined) return source;
  const names = project.sources.map((candidate) => candidate.name).join(', ');
  throw new TypeError(`the project ${project.name} has no source '${name}'; it has: ${names}`);
}

async function createEncoder(
  project: ClientProject,
  name: string,
  ports: Ports,
  stamp: boolean,
): Promise<Encoder> {
  const source = findSource(project, name);
  const topic = rawTopic(project.prefix, source);
  const encode = await valueEncoder(project, source, topic, ports);
  const check = createEventCheck(source);
  return (event) => {
    const wrong = check(event);
    if (wrong !== null)
      throw new TypeError(`Event ${String(event.id)} does not fit the source ${name}: ${wrong}`);
    const text = String(event[source.key]);
    let value: Uint8Array;
    try {
      value = encode(event);
    } catch (cause) {
      throw new TypeError(`Event ${event.id} does not fit the source ${name}: ${(cause as Error).message}`, {
        cause,
      });
    }
    return {
      topic,
      partition: partitionOf(text, source.partitions),
      key: Buffer.from(text),
      value,
      ...(stamp ? { headers: { [headers.sentAt]: String(Date.now()) } } : {}),
    };
  };
}

async function valueEncoder(
  project: ClientProject,
  source: Source,
  topic: string,
  ports: Ports,
): Promise<(event: EventRecord) => Uint8Array> {
  const { format } = source;
  if (format.kind === 'json' && readsEnvelope(format.mapping))
    throw new TypeError(
      `the records of ${source.name} carry a part of their events in headers, key or stamp: send them with the producer that owns them`,
    );
  if (format.kind === 'json') return createJsonEncoder(source, format.mapping);
  if (format.kind === 'registry') {
    throw new TypeError(
      `the records of ${source.name} are written in the schema ${format.subject}, which is not ours: send them with the producer that owns it`,
    );
  }
  const id = await ports.registry.register(`${topic}-value`, rawSchema(source, project.prefix));
  const codec = createRawCodec(source, project.prefix, id);
  return (event) => codec.encode(event);
}
