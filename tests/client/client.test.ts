import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  createProducer,
  type Ports,
  type Prediction,
  type Project,
  produce,
  subscribe,
} from '../../client/index.ts';
import { createKafka } from '../../infrastructure/kafka/driver.ts';
import type { Producer } from '../../infrastructure/kafka/port.ts';
import { createMemoryBroker, type MemoryBroker } from '../../infrastructure/memory/broker.ts';
import { createMemoryRegistry } from '../../infrastructure/memory/registry.ts';
import { createRegistry } from '../../infrastructure/registry/client.ts';
import { partitionOf } from '../../processors/partition.ts';
import { createCodec } from '../../schemas/codec.ts';
import { createEventDecoder } from '../../schemas/event-decoder.ts';
import { topics } from '../../schemas/names.ts';
import { predictionSchema } from '../../schemas/records/prediction.ts';
import { testStack } from '../stack.ts';

const clock = { now: Date.now, sleep: (ms: number) => new Promise<void>((done) => setTimeout(done, ms)) };

/** The part of a project that the client library looks at. */
function projectOf(prefix: string, format: Project['sources'][number]['format'] = { kind: 'avro' }): Project {
  return {
    name: 'test',
    prefix,
    sources: [
      {
        name: 'payments',
        partitions: 3,
        format,
        fields: [
          { name: 'card', type: 'string' },
          { name: 'amount', type: 'double' },
        ],
        events: [{ name: 'paid', required: [], rules: [] }],
        key: 'card',
        outOfOrderness: 0,
        idleAfter: null,
        deduplicate: null,
        rejects: null,
        maxFuture: null,
      },
    ],
    models: [{ name: 'fraud' }],
  } as unknown as Project;
}

function prediction(sourceOffset: number, sourcePartition: number): Prediction {
  return {
    format: 1,
    id: `r${sourcePartition}-${sourceOffset}:fraud`,
    requestId: `r${sourcePartition}-${sourceOffset}`,
    requestTime: 1,
    status: 'scored',
    reason: null,
    model: 'fraud',
    modelVersion: 1,
    artefact: '',
    score: 0.5,
    decision: true,
    layout: '',
    vector: [],
    reads: [],
    sourceTopic: 'raw',
    sourcePartition,
    sourceOffset,
    rawAppendTime: 0,
    waitMs: 0,
    readMs: 0,
    scoreMs: 0,
    absent: [],
  };
}

interface Place {
  readonly ports: Ports;
  readonly broker: MemoryBroker | null;
}

const places: Record<string, () => Promise<Place>> = {
  memory: async () => {
    const broker = createMemoryBroker(clock);
    return { ports: { kafka: broker.kafka(), registry: createMemoryRegistry() }, broker };
  },
  'real servers': async () => {
    const stack = await testStack(['kafka', 'registry']);
    const connection = { kafka: { brokers: stack.kafka, tls: false, sasl: null } } as const;
    const kafka = createKafka(connection, { clientId: 'test' });
    return { ports: { kafka, registry: createRegistry({ url: stack.registry }) }, broker: null };
  },
};

describe.each(Object.keys(places))('the client library on %s', (kind) => {
  let place: Place;
  const undo: Array<() => Promise<unknown>> = [];

  beforeAll(async () => {
    place = await (places[kind] as () => Promise<Place>)();
    return () => place.ports.kafka.close();
  });
  afterEach(async () => {
    for (const step of undo.splice(0).reverse()) await step();
  });

  async function project(format?: Project['sources'][number]['format']): Promise<Project> {
    const project = projectOf(`test-${randomUUID()}`, format);
    const names = [topics.raw(project.prefix, 'payments'), topics.predictions(project.prefix, 'fraud')];
    const admin = await place.ports.kafka.admin();
    await admin.createTopics(
      names.map((name) => ({ name, partitions: 3, retentionMs: -1, compacted: false })),
    );
    undo.push(async () => {
      await admin.deleteTopics(names);
      await admin.close();
      for (const name of names) await place.ports.registry.remove(`${name}-value`);
    });
    return project;
  }

  async function readRaw(project: Project, count: number) {
    const topic = topics.raw(project.prefix, 'payments');
    const reader = await place.ports.kafka.reader(
      [0, 1, 2].map((partition) => ({ topic, partition, position: 'earliest' as const })),
    );
    const records = [];
    while (records.length < count) {
      for (const batch of await reader.poll(3_000)) records.push(...batch.records);
    }
    await reader.close();
    return records;
  }

  const mapping = {
    id: 'meta.id',
    type: { path: 'meta.type' },
    time: { path: 'at', unit: 'iso' },
    fields: { card: 'card', amount: 'money.amount' },
  } as const;

  it.each([
    ['Avro of ours', { kind: 'avro' }],
    ['mapped JSON', { kind: 'json', mapping }],
  ] as const)('produces %s, keyed as the source says', async (_, format) => {
    const here = await project(format);
    const events = Array.from({ length: 20 }, (_, i) => ({
      id: `e${i}`,
      type: 'paid',
      time: 1_700_000_000_000 + i,
      card: `card-${i % 5}`,
      ...(i % 2 === 0 ? { amount: i / 4 } : {}),
    }));
    await produce(here, 'payments', events, { ports: place.ports, stampSendTime: true });
    const [source] = here.sources;
    if (source === undefined) throw new Error('no source');
    const decoder = createEventDecoder(source, here.prefix);
    const records = await readRaw(here, 20);
    for (const id of decoder.unknownIds(records.map((record) => record.value))) {
      decoder.learn(id, (await place.ports.registry.schemaById(id)) ?? '');
    }
    for (const record of records) {
      expect(record.partition).toBe(partitionOf(String(Buffer.from(record.key ?? [])), 3));
      expect(Number(Buffer.from(record.headers?.['mr-sent-at'] ?? []).toString())).toBeGreaterThan(1.7e12);
    }
    const decoded = records.map((record) => ({ ...decoder.decode(record.value) }) as Record<string, unknown>);
    expect(decoded.sort((a, b) => Number(a.time) - Number(b.time))).toEqual(
      events.map((event) => ({ amount: null, ...event })),
    );
  });

  it('refuses an event that its source cannot carry, and sends nothing of the call', async () => {
    const here = await project();
    const producer = await createProducer(here, { ports: place.ports });
    undo.push(() => producer.close());
    const good = { id: '1', type: 'paid', time: 1, card: 'c' };
    const send = (event: object) => producer.send('payments', [good, event as typeof good]);
    await expect(send({ ...good, cart: 'x' })).rejects.toThrow(/Event 1 .*payments.* no field 'cart'/);
    await expect(send({ id: '2', type: 'paid', time: 1 })).rejects.toThrow(/Event 2 .*no 'card', which keys/);
    await expect(send({ ...good, amount: 'x' })).rejects.toThrow(/Event 1 does not fit/);
    await expect(producer.send('nothing', [good])).rejects.toThrow(/no source 'nothing'; it has: payments/);
    await Promise.all([producer.send('payments', [good]), producer.send('payments', [good])]);
    expect(await readRaw(here, 2)).toHaveLength(2);
  });

  interface Sender {
    send(predictions: ReadonlyArray<Prediction | null>): Promise<void>;
  }

  /** Null stands for a clock record. */
  async function sender(here: Project): Promise<Sender> {
    const topic = topics.predictions(here.prefix, 'fraud');
    const id = await place.ports.registry.register(`${topic}-value`, predictionSchema);
    const codec = createCodec<Prediction>(predictionSchema, id);
    const producer: Producer = await place.ports.kafka.producer();
    undo.push(() => producer.close());
    return {
      send: async (predictions) => {
        await producer.send(
          predictions.map((one) => ({
            topic,
            partition: one?.sourcePartition ?? 0,
            key: null,
            value: one === null ? null : codec.encode(one),
            ...(one === null ? { headers: { 'mr-clock': '1' } } : {}),
          })),
        );
      },
    };
  }

  async function eventually(done: () => boolean): Promise<void> {
    for (let tries = 0; tries < 200 && !done(); tries++)
      await new Promise((resolve) => setTimeout(resolve, 25));
    expect(done()).toBe(true);
  }

  it('subscribes: every prediction once, clock records and repeats left out, and resumes', async () => {
    const here = await project();
    const { send } = await sender(here);
    const directory = await mkdtemp(join(tmpdir(), 'millrace-client-'));
    undo.push(() => rm(directory, { recursive: true }));
    const file = join(directory, 'checkpoint.json');
    const seen: string[] = [];
    const options = { project: here, model: 'fraud', from: 'earliest', file, ports: place.ports } as const;
    const handler = (predictions: readonly Prediction[]) =>
      void seen.push(...predictions.map((one) => one.id));

    await send([
      prediction(3, 0),
      null,
      prediction(5, 0),
      prediction(3, 0),
      prediction(5, 0),
      prediction(2, 1),
    ]);
    const first = await subscribe(options, handler);
    await eventually(() => seen.length >= 3);
    expect(seen.sort()).toEqual(['r0-3:fraud', 'r0-5:fraud', 'r1-2:fraud']);
    await first.close();
    await first.done;
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(first.checkpoint());
    expect(first.checkpoint().partitions).toEqual([
      { offset: 5, mark: 5 },
      { offset: 1, mark: 2 },
      { offset: 0, mark: -1 },
    ]);

    await send([prediction(5, 0), prediction(8, 0), prediction(1, 1), prediction(9, 2)]);
    const second = await subscribe(options, handler);
    await eventually(() => seen.length >= 5);
    expect(seen.slice(3).sort()).toEqual(['r0-8:fraud', 'r2-9:fraud']);
    await second.close();

    const again: string[] = [];
    const third = await subscribe(
      { ...options, file: join(directory, 'none'), from: first.checkpoint() },
      (news) => {
        again.push(...news.map((one) => one.id));
      },
    );
    await eventually(() => again.length >= 2);
    expect(again.sort()).toEqual(['r0-8:fraud', 'r2-9:fraud']);
    await third.close();
  });

  it('from the latest: nothing of before, not even as a repeat', async () => {
    const here = await project();
    const { send } = await sender(here);
    await send([prediction(3, 0), null]);
    const seen: string[] = [];
    const subscription = await subscribe({ project: here, model: 'fraud', ports: place.ports }, (news) => {
      seen.push(...news.map((one) => one.id));
    });
    undo.push(() => subscription.close());
    await send([prediction(3, 0), prediction(4, 0)]);
    await eventually(() => seen.length >= 1);
    expect(seen).toEqual(['r0-4:fraud']);
  });

  it('a handler that throws ends it, and its batch counts as not handled', async () => {
    const here = await project();
    const { send } = await sender(here);
    await send([prediction(3, 0)]);
    const subscription = await subscribe(
      { project: here, model: 'fraud', from: 'earliest', ports: place.ports },
      () => {
        throw new Error('the disk is full');
      },
    );
    await expect(subscription.done).rejects.toThrow('the disk is full');
    expect(subscription.checkpoint().partitions[0]).toEqual({ offset: 0, mark: -1 });
  });

  it('tells an unknown model, a strange checkpoint, and a checkpoint older than the log', async () => {
    const here = await project();
    const { send } = await sender(here);
    const ports = place.ports;
    const from = { format: 1, topic: 'other', partitions: [] } as const;
    await expect(subscribe({ project: here, model: 'fraut', ports }, () => {})).rejects.toThrow(
      /no model 'fraut'; it has: fraud/,
    );
    await expect(subscribe({ project: here, model: 'fraud', from, ports }, () => {})).rejects.toThrow(
      /begin anew/,
    );
    await send([prediction(3, 0), prediction(4, 0)]);
    const admin = await ports.kafka.admin();
    const topic = topics.predictions(here.prefix, 'fraud');
    await admin.deleteRecords(topic, [{ partition: 0, offset: 1 }]);
    await admin.close();
    const old = { format: 1, topic, partitions: [0, 0, 0].map((offset) => ({ offset, mark: -1 })) } as const;
    const subscription = await subscribe({ project: here, model: 'fraud', from: old, ports }, () => {});
    await expect(subscription.done).rejects.toMatchObject({ code: 'position_deleted' });
  });
});

it('after a failed send the next one works, with a new producer', async () => {
  const broker = createMemoryBroker(clock);
  const kafka = broker.kafka();
  const here = projectOf('p');
  const admin = await kafka.admin();
  await admin.createTopics([
    { name: topics.raw('p', 'payments'), partitions: 3, retentionMs: -1, compacted: false },
  ]);
  const producer = await createProducer(here, { ports: { kafka, registry: createMemoryRegistry() } });
  const event = { id: '1', type: 'paid', time: 1, card: 'c' };
  broker.failNextSend('before');
  await expect(producer.send('payments', [event])).rejects.toMatchObject({
    code: 'send_failed',
    retriable: true,
  });
  await producer.send('payments', [event]);
  const offsets = await admin.offsets(topics.raw('p', 'payments'));
  expect(offsets.reduce((sum, { end }) => sum + end, 0)).toBe(1);
});
