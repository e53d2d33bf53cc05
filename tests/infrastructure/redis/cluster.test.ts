import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBullQueue } from '../../../infrastructure/queue/bullmq.ts';
import type { Commit, OnlineStore } from '../../../infrastructure/redis/port.ts';
import { slotOf } from '../../../infrastructure/redis/slots.ts';
import { createRedisStore } from '../../../infrastructure/redis/store.ts';
import { type ClusterSetup, startCluster } from './clusters.ts';
import { checkStore } from './conformance.ts';
import { countUp } from './counting.ts';
import { evictAll } from './server.ts';

let opened: Promise<ClusterSetup> | undefined;
const setup = () => {
  opened ??= startCluster();
  return opened;
};
beforeAll(setup, 60_000);
afterAll(async () => (await opened)?.stop());

checkStore('a Redis Cluster', async () => {
  const { connection, primaries } = await setup();
  return {
    store: createRedisStore(connection),
    evictAll: async () => evictAll((await primaries()).map(({ url }) => url)),
  };
});

const bytes = (...values: number[]) => Uint8Array.from(values);
const commitTo = (place: string, parts: Partial<Commit> = {}): Commit => ({
  metaKey: `${place}:meta`,
  expected: null,
  next: bytes(1),
  sets: [],
  appends: [],
  deletes: [],
  logTtlMs: 600_000,
  metaTtlMs: 600_000,
  ...parts,
});

it('knows the slot of a key as the servers do', async () => {
  const { nodes } = await setup();
  const client = new Redis(nodes[0]?.url ?? '');
  for (const key of ['a', '123456789', 'mr:{shop.card@1:0}:meta', '{}a', 'a{b}c{d}', 'ü{é}', '{a'])
    expect(slotOf(key), key).toBe(await client.cluster('KEYSLOT', key));
  await client.quit();
});

describe('a slot that moves', () => {
  const told: Array<string | null> = [];
  let store: OnlineStore;
  beforeAll(async () => {
    const { connection } = await setup();
    store = createRedisStore({
      ...connection,
      onWait: (where, sentence) => told.push(sentence && `${where}: ${sentence}`),
    });
  });
  afterAll(() => store.close());

  it('is followed; a call over keys on both sides waits until they are together, and that is told', async () => {
    const place = 'mr:{moves}';
    const logs = ['a', 'b', 'c'].map((name) => [`${place}:w:${name}`, bytes(1)] as const);
    await store.commit([commitTo(place, { appends: logs })]);
    const { move } = await setup();
    const moving = await move(place);
    // Nothing has moved yet: it is served where it was.
    expect((await store.read([[`${place}:meta`, `${place}:w:a`]]))[0]).toHaveLength(2);
    // A log that is not there may lie on the other side.
    await moving.keys(2);
    let done = false;
    const waiting = store
      .commit([commitTo(place, { expected: bytes(1), next: bytes(2), appends: logs })])
      .finally(() => {
        done = true;
      });
    await new Promise((resolve) => setTimeout(resolve, 1_600));
    expect(done).toBe(false);
    expect(told).toEqual([expect.stringMatching(/^slot \d+: Slot \d+ of the Redis Cluster: .*TRYAGAIN/)]);
    await moving.finish();
    expect(await waiting).toEqual([{ status: 'committed', lengths: [2, 2, 2] }]);
    expect(told.slice(1)).toEqual([null]);
    expect((await store.read([[`${place}:meta`]]))[0]).toEqual([Buffer.from([2])]);
  });

  it('takes a new key while it moves (ASK), with the function where it was never called', async () => {
    const place = 'mr:{new-in-a-moving-slot}';
    const { move } = await setup();
    const moving = await move(place);
    const client = new Redis(moving.to.url);
    await client.function('FLUSH');
    await client.quit();
    expect(await store.read([[`${place}:meta`]])).toEqual([[null]]);
    expect(await store.commit([commitTo(place)])).toEqual([{ status: 'committed', lengths: [] }]);
    expect(await store.read([[`${place}:meta`]])).toEqual([[Buffer.from([1])]]);
    await moving.finish();
    const grown = { expected: bytes(1), appends: [[`${place}:w:a`, bytes(1)]] } as const;
    expect(await store.commit([commitTo(place, grown)])).toEqual([{ status: 'committed', lengths: [1] }]);
  });

  it('gives up after a while where the move does not end, with the slot and the node', async () => {
    const place = 'mr:{stuck}';
    const two = ['a', 'b'].map((name) => [`${place}:w:${name}`, bytes(1)] as const);
    await store.commit([commitTo(place, { appends: two })]);
    const { connection, move } = await setup();
    const moving = await move(place);
    await moving.keys(1);
    const hasty = createRedisStore({ ...connection, connectWaitMs: 400 });
    await expect(hasty.commit([commitTo(place, { expected: bytes(1), appends: two })])).rejects.toMatchObject(
      {
        code: 'busy',
        retriable: true,
        message: expect.stringContaining('TRYAGAIN'),
      },
    );
    await hasty.close();
    await moving.finish();
  });

  it('lists all its keys, whichever side they are on', async () => {
    const place = 'mr:{listed}';
    const many = Array.from({ length: 400 }, (_, i) => [`${place}:w:${i}`, bytes(1)] as const);
    await store.commit([commitTo(place, { appends: many })]);
    const { move } = await setup();
    const moving = await move(place);
    await moving.keys(200);
    const found = new Set<string>();
    const listing = (async () => {
      for await (const key of store.scan(`${place}:`)) found.add(key);
    })();
    await new Promise((resolve) => setTimeout(resolve, 300));
    await moving.finish();
    await listing;
    expect(found.size).toBe(401);
  });
});

describe('a cluster under load', () => {
  it('loses and doubles nothing while slots move and a primary is killed, and another hangs', async () => {
    const { connection, move, primaryOf, failedOver } = await setup();
    const store = createRedisStore({ ...connection, answerWaitMs: 4_000 });
    const places = Array.from({ length: 12 }, (_, i) => `mr:{load:${i}}`);
    const counting = countUp(store, places);
    await counting.reached(10);
    for (const place of places.slice(0, 3)) {
      const moving = await move(place);
      while ((await moving.keys(2)) > 0);
      await moving.finish();
    }
    await counting.reached(10);
    const [struck = ''] = places;
    const killed = await primaryOf(struck);
    await killed.kill();
    await failedOver(struck, killed);
    await counting.reached(10);
    await killed.start();
    const [, next = ''] = places;
    const hung = await primaryOf(next);
    hung.freeze();
    await failedOver(next, hung);
    await counting.reached(10);
    hung.thaw();
    await counting.reached(10);
    const { failures } = await counting.stop();
    expect(failures.filter(({ retriable }) => !retriable)).toEqual([]);
    await store.close();
  });
});

describe("the pipelines' queue on a cluster", () => {
  it('carries jobs and documents', async () => {
    const { connection } = await setup();
    const queue = createBullQueue({ server: connection, prefix: 'mr:{cluster.pipelines}' });
    await queue.ready();
    const done = Promise.withResolvers<string>();
    const onError = (error: Error) => done.reject(error);
    await queue.work({ lane: 'light', concurrency: 1, onError }, async ({ run }) => done.resolve(run));
    await queue.add([{ id: 'a', lane: 'light', data: { run: 'r', step: 's', delivery: 1 }, delayMs: 0 }]);
    expect(await done.promise).toBe('r');
    expect(await queue.documents.set('r', null, '{}')).toBe(true);
    expect(await queue.documents.get('r')).toBe('{}');
    await queue.close();
  });
});

it('refuses several hosts that are no cluster, and a database of a cluster', async () => {
  const { connection } = await setup();
  const numbered = createRedisStore({ ...connection, url: `${connection.url}/2` });
  await expect(numbered.read([['mr:{a}']])).rejects.toMatchObject({ code: 'bad_request' });
  await numbered.close();
});
