import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clientText } from '../../cli/generate/typescript.ts';
import type {
  AskingClient,
  EventClient,
  HttpClientOptions,
  KafkaClientOptions,
  TypedPrediction,
} from '../../client/index.ts';
import { TORN } from '../../infrastructure/redis/port.ts';
import { topics } from '../../schemas/names.ts';
import { MINUTE, SECOND } from '../../schemas/time.ts';
import { readTails } from '../../streams/runtime/tail.ts';
import { type ApiWorld, as, createApiWorld, testKeys } from '../api/world.ts';
import { root } from '../architecture/sources.ts';
import { tripStart } from '../streams/plane.ts';
import { openWay, type Way } from './way.ts';

/** As `millrace generate client` types it, as far as this test asks. */
type Types = {
  events: { trips: Readonly<Record<string, unknown>> };
  views: { line: { entity: { zone: string; to: string }; features: Record<string, number | null> } };
  models: {
    cost: {
      request: Readonly<Record<string, unknown>>;
      features: Record<string, number | null>;
      reads: string;
    };
  };
};
interface Generated {
  overHttp(options: HttpClientOptions): AskingClient<Types>;
  overKafka(options: KafkaClientOptions): EventClient<Types>;
}

const until = async (what: string, holds: () => boolean): Promise<void> => {
  for (const end = Date.now() + 15_000; Date.now() < end; ) {
    if (holds()) return;
    await new Promise((done) => setTimeout(done, 10));
  }
  throw new Error(`${what} did not come`);
};

describe('the generated client', () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-generated-'));
  let world: ApiWorld;
  let way: Way;
  let http: AskingClient<Types>;
  let kafka: EventClient<Types>;
  let generated: Generated;
  const start = Date.now() - 10 * MINUTE;
  const key = as('operator').authorization.replace('Bearer ', '');

  beforeAll(async () => {
    world = await createApiWorld({ keys: testKeys() });
    await world.app.listen({ host: '127.0.0.1', port: 0 });
    way = await openWay((world.app.server.address() as AddressInfo).port);
    const file = join(directory, 'millrace.ts');
    const library = pathToFileURL(join(root, 'client/index.ts')).href;
    writeFileSync(file, clientText(world.project).replace("'millrace/client'", `'${library}'`));
    generated = (await import(pathToFileURL(file).href)) as Generated;
    http = generated.overHttp({ url: way.url, key });
    kafka = generated.overKafka({
      brokers: [],
      registry: { url: '' },
      ports: { kafka: world.deps.kafka, registry: world.registry },
    });
    world.run();
  });
  afterAll(async () => {
    await http.close();
    await kafka.close();
    await way.close();
    await world.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const follow = async (client: EventClient<Types>, from?: string) => {
    const got: Array<TypedPrediction<Types, 'cost'>> = [];
    const places: string[] = [];
    const outages: Error[] = [];
    const following = await client.subscribe(
      'cost',
      (predictions, place) => {
        got.push(...predictions);
        places.push(place);
      },
      { ...(from === undefined ? {} : { from }), onTrouble: (error) => void outages.push(error) },
    );
    return { got, places, outages, following, ids: () => got.map(({ requestId }) => requestId) };
  };

  /** The answer to a request once more, as a stream publishes it that was killed before it knew that it had. */
  async function repeat(requestId: string): Promise<void> {
    const topic = topics.predictions('trips', 'cost');
    const tails = await readTails(world.deps.kafka, topic, 1e9);
    const record = tails.flat().find(({ key: of }) => of?.toString() === requestId);
    if (record?.value == null) throw new Error(`${requestId} was not answered`);
    const producer = await world.deps.kafka.producer();
    const { partition, value } = record;
    await producer.send([{ topic, partition, key: Buffer.from(requestId), value }]);
    await producer.close();
  }

  it('sends and follows the same predictions over HTTP and over Kafka, each once', async () => {
    const overHttp = await follow(http);
    const overKafka = await follow(kafka);
    await http.send('trips', tripStart('http-1', start));
    await http.send('trips', [tripStart('http-2', start + SECOND), tripStart('http-3', start + 2 * SECOND)]);
    await kafka.send('trips', tripStart('kafka-1', start + 3 * SECOND));
    await until('four', () => overHttp.got.length >= 4 && overKafka.got.length >= 4);
    await repeat('http-2');
    await kafka.send('trips', [tripStart('kafka-2', start + 4 * SECOND)]);
    await until('the last', () => overHttp.got.length >= 5 && overKafka.got.length >= 5);
    expect(overHttp.ids()).toEqual(['http-1', 'http-2', 'http-3', 'kafka-1', 'kafka-2']);
    expect(overKafka.got).toEqual(overHttp.got);
    await overHttp.following.close();
    await overKafka.following.close();
  });

  it.each(['HTTP', 'Kafka'] as const)(
    'goes on behind a place over %s; a repeat does not come again',
    async (how) => {
      const client = how === 'HTTP' ? http : kafka;
      const first = await follow(client);
      await client.send('trips', [tripStart(`${how}-a`, start + 5 * SECOND)]);
      await until('one', () => first.got.length === 1);
      await first.following.close();
      await repeat(`${how}-a`);
      await client.send('trips', [tripStart(`${how}-b`, start + 6 * SECOND)]);
      const again = await follow(client, first.places.at(-1));
      await until('the other', () => again.got.length > 0);
      expect(again.ids()).toEqual([`${how}-b`]);
      await again.following.close();
    },
  );

  it('comes back by itself over HTTP when the connection is cut, without a loss or a repeat', async () => {
    const reader = await follow(http);
    await http.send('trips', tripStart('cut-1', start + 7 * SECOND));
    await until('the first', () => reader.got.length === 1);
    way.cut();
    await kafka.send('trips', tripStart('cut-2', start + 8 * SECOND));
    await until('the second', () => reader.got.length === 2);
    expect(reader.ids()).toEqual(['cut-1', 'cut-2']);
    expect(reader.outages[0]?.message).toBe('The stream of predictions broke off.');
    await reader.following.close();
  });

  it('ends with the error of its handler', async () => {
    const following = await http.subscribe('cost', () => {
      throw new RangeError('no room');
    });
    await http.send('trips', tripStart('thrown', start + 9 * SECOND));
    await expect(following.done).rejects.toThrow('no room');
  });

  it('reads features, one entity and many, and asks a model', async () => {
    const entity = { zone: 'north', to: 'station' };
    const one = await http.features('line', entity);
    expect(one).toMatchObject({ status: 'read', entity: expect.stringContaining('north') });
    const many = await http.featuresOf('line', [entity, { zone: 'a', to: 'b' }], { at: one.time });
    expect(many).toHaveLength(2);
    expect(many[0]).toEqual(one);
    const request = { car: 'c', ...entity, time: start + MINUTE };
    const answer = await http.predict('cost', request, { vector: true });
    const [model] = world.project.models;
    expect(answer).toMatchObject({ status: 'scored', model: 'cost', fallback: null, reason: null });
    expect(Object.keys(answer.features ?? {})).toEqual(model?.features.map(({ name }) => name));
  });

  it('takes more entities and events than one request holds', async () => {
    const entities = Array.from({ length: 1_500 }, (_, i) => ({ zone: `z${i}`, to: 'x' }));
    const rows = await http.featuresOf('line', entities);
    expect(rows.map(({ entity }) => entity)).toHaveLength(1_500);
    const long = 'x'.repeat(100_000);
    const events = Array.from({ length: 60 }, (_, i) => ({ ...tripStart(`long-${i}`, start), to: long }));
    await http.send('trips', events);
    const raw = await readTails(world.deps.kafka, topics.raw('trips', 'trips'), 1e9);
    const longs = raw.flat().filter(({ value }) => (value?.length ?? 0) > 100_000);
    expect(longs).toHaveLength(60);
  });

  it('says what was wrong', async () => {
    const good = tripStart('good', start + 10 * SECOND);
    const bad = { ...good, id: 'bad', zone: 7 };
    await expect(http.send('trips', bad)).rejects.toMatchObject({
      code: 'wrong_type',
      status: 422,
      retriable: false,
      message: "Field 'zone' is 7, which is not a string.",
    });
    await expect(http.send('trips', [good, bad])).rejects.toThrow(
      "1 of 2 events were refused, the others are stored. Event 2: Field 'zone' is 7, which is not a string.",
    );
    await expect(kafka.send('trips', bad)).rejects.toThrow(TypeError);
    await expect(http.predict('cost', { car: 'c' })).rejects.toMatchObject({
      code: 'missing_field',
      status: 422,
    });
    const { store } = world;
    const { read } = store;
    store.read = async (groups) =>
      (await read.call(store, groups)).map(([_, ...logs]) => [Buffer.from(TORN), ...logs]);
    await expect(http.features('line', { zone: 'north', to: 'station' })).rejects.toMatchObject({
      code: 'torn',
      retriable: true,
    });
    store.read = read;
    const stranger = generated.overHttp({ url: way.url });
    await expect(stranger.features('line', { zone: 'a', to: 'b' })).rejects.toMatchObject({ status: 401 });
    const nobody = generated.overHttp({ url: 'http://127.0.0.1:9', timeoutMs: 5_000 });
    await expect(nobody.subscribe('cost', () => {})).rejects.toMatchObject({
      code: 'unreachable',
      retriable: true,
      message: 'http://127.0.0.1:9 does not answer at all: does millrace api run there?',
    });
    for (const url of ['localhost', 'ftp://x', `http://user:word@127.0.0.1`])
      expect(() => generated.overHttp({ url })).toThrow(/The address of the HTTP API/);
    await expect(http.subscribe('cost', () => {}, { from: 'yesterday' })).rejects.toThrow('is no place');
    await expect(kafka.subscribe('cost', () => {}, { from: 'null' })).rejects.toThrow('is no place');
  });
});
