import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createMemoryStore } from '../../../infrastructure/memory/store.ts';
import type { Commit } from '../../../infrastructure/redis/port.ts';
import { createRedisStore } from '../../../infrastructure/redis/store.ts';
import { checkStore } from './conformance.ts';
import { evictAll, type TestServer, testServer } from './server.ts';

let shared: Promise<TestServer> | undefined;
const sharedServer = () => {
  shared ??= testServer();
  return shared;
};
afterAll(async () => (await shared)?.stop());

checkStore('memory', async () => {
  const store = createMemoryStore();
  return { store, evictAll: async () => store.evict([...store.snapshot().keys()]) };
});
checkStore('Valkey', async () => {
  const { url } = await sharedServer();
  return { store: createRedisStore({ url }), evictAll: () => evictAll([url]) };
});

const bytes = (...values: number[]) => Uint8Array.from(values);
const commit = (parts: Partial<Commit> = {}): Commit => ({
  metaKey: 'mr:{fault}:meta',
  expected: null,
  next: bytes(1),
  sets: [],
  appends: [['mr:{fault}:w:a', bytes(1)]],
  deletes: [],
  logTtlMs: 60_000,
  metaTtlMs: 60_000,
  ...parts,
});

describe('the store on a failing server', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer();
  });
  afterAll(() => server.stop());

  const open = (parts: { connectWaitMs?: number; answerWaitMs?: number } = {}) =>
    createRedisStore({ url: server.url, connectWaitMs: 3_000, ...parts });

  it('loads its function again after the server lost it', async () => {
    const store = open();
    const other = new Redis(server.url);
    await store.commit([commit()]);
    await other.flushall();
    await other.function('FLUSH');
    const again = await store.commit([commit(), commit({ metaKey: 'mr:{fault2}:meta', appends: [] })]);
    expect(again).toEqual([
      { status: 'committed', lengths: [1] },
      { status: 'committed', lengths: [] },
    ]);
    await server.kill();
    await server.start();
    expect(await store.commit([commit()])).toEqual([{ status: 'committed', lengths: [1] }]);
    await other.quit();
    await store.close();
  });

  it('marks the meta torn where a write fails half-way, and a commit from there mends it', async () => {
    const store = open();
    const other = new Redis(server.url);
    const place = 'mr:{torn}';
    await other.lpush(`${place}:w:b`, 'a list, not a string');
    const appends = [
      [`${place}:w:a`, bytes(1)],
      [`${place}:w:b`, bytes(2)],
      [`${place}:w:c`, bytes(3)],
    ] as const;
    const [answer] = await store.commit([commit({ metaKey: `${place}:meta`, appends })]);
    expect(answer).toMatchObject({ status: 'torn', detail: expect.stringContaining('WRONGTYPE') });
    const [values] = await store.read([[`${place}:meta`, `${place}:w:a`, `${place}:w:c`]]);
    expect(values?.map((value) => value && Buffer.from(value).toString('latin1'))).toEqual([
      'torn',
      '\u0001',
      null,
    ]);
    expect(await store.commit([commit({ metaKey: `${place}:meta`, appends })])).toEqual([
      { status: 'conflict' },
    ]);
    const rebuilt = commit({
      metaKey: `${place}:meta`,
      expected: new TextEncoder().encode('torn'),
      deletes: appends.map(([key]) => key),
      appends,
    });
    expect(await store.commit([rebuilt])).toEqual([{ status: 'committed', lengths: [1, 1, 1] }]);
    await other.quit();
    await store.close();
  });

  it('says that nothing listens there, and is retriable', async () => {
    const store = createRedisStore({ url: 'redis://user:secret@127.0.0.1:1', connectWaitMs: 200 });
    const failure = await store.read([['{a}']]).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'unreachable', retriable: true });
    expect(String(failure)).toContain('127.0.0.1:1 cannot be reached (connect ECONNREFUSED');
    expect(String(failure)).not.toContain('secret');
    await store.close();
    await expect(store.read([['{a}']])).rejects.toMatchObject({ code: 'closed', retriable: false });
  });

  it('fails what was under way when the server died, and works again once it is back', async () => {
    const store = open();
    await store.read([['{a}']]);
    server.freeze();
    const lost = store.commit([commit()]);
    const failure = expect(lost).rejects.toMatchObject({ code: 'answer_lost', retriable: true });
    await new Promise((resolve) => setTimeout(resolve, 50));
    await server.kill();
    await failure;
    const back = server.start();
    expect(await store.read([['{a}']])).toEqual([[null]]);
    await back;
    await store.close();
  });

  it('does not wait for ever for a server that hangs', async () => {
    const store = open({ answerWaitMs: 150 });
    await store.read([['{a}']]);
    server.freeze();
    await expect(store.read([['{a}']])).rejects.toMatchObject({ code: 'answer_lost', retriable: true });
    server.thaw();
    expect(await store.read([['{a}']])).toEqual([[null]]);
    await store.close();
  });

  it('refuses a server that would drop keys, within a second, until its policy is mended', async () => {
    const store = open();
    const other = new Redis(server.url);
    await store.read([['{a}']]);
    await other.config('SET', 'maxmemory-policy', 'volatile-lru');
    const refused = {
      code: 'evicts',
      retriable: false,
      message: expect.stringMatching(/'volatile-lru'.*noeviction/),
    };
    await vi.waitFor(() => expect(store.read([['{a}']])).rejects.toMatchObject(refused), 5_000);
    await expect(store.commit([commit()])).rejects.toMatchObject(refused);
    const late = open();
    await expect(late.read([['{a}']])).rejects.toMatchObject(refused);
    await other.config('SET', 'maxmemory-policy', 'noeviction');
    await vi.waitFor(async () => expect(await store.read([['{a}']])).toEqual([[null]]), 5_000);
    await other.quit();
    await Promise.all([store.close(), late.close()]);
  });

  it('scans anew where the server began anew in the middle', async () => {
    const store = open();
    const place = 'mr:{scan}';
    const appends = Array.from({ length: 500 }, (_, i) => [`${place}:w:${i}`, bytes(1)] as const);
    const fill = async () => {
      for (const half of ['a', 'b', 'c', 'd', 'e', 'f'])
        await store.commit([
          commit({
            metaKey: `${place}:meta`,
            expected: half === 'a' ? null : bytes(1),
            appends: appends.map(([key, value]) => [`${key}${half}`, value]),
          }),
        ]);
    };
    await fill();
    const found: string[] = [];
    for await (const key of store.scan(`${place}:`)) {
      // The keys are there again, in tables that are hashed by another seed.
      if (found.push(key) !== 10) continue;
      await server.kill();
      await server.start();
      await fill();
    }
    expect(new Set(found).size).toBe(3_001);
    expect(found.length).toBe(3_001);
    await store.close();
  });

  it('names out of memory and read-only, and writes nothing', async () => {
    const store = open();
    const other = new Redis(server.url);
    await store.commit([commit({ metaKey: 'mr:{full}:meta', appends: [] })]);
    await other.config('SET', 'maxmemory', '1');
    const next = commit({ metaKey: 'mr:{full}:meta', expected: bytes(1), next: bytes(2), appends: [] });
    await expect(store.commit([next])).rejects.toMatchObject({ code: 'out_of_memory', retriable: true });
    await other.config('SET', 'maxmemory', '0');
    expect(await store.read([['mr:{full}:meta']])).toEqual([[Buffer.from([1])]]);
    await other.call('REPLICAOF', '127.0.0.1', '1');
    await expect(store.commit([next])).rejects.toMatchObject({ code: 'read_only', retriable: true });
    await other.call('REPLICAOF', 'NO', 'ONE');
    expect(await store.commit([next])).toEqual([{ status: 'committed', lengths: [] }]);
    await other.quit();
    await store.close();
  });
});

describe('the twin as a test may hurt it', () => {
  it('fails before and after storing, tears, rolls back', async () => {
    const store = createMemoryStore();
    store.failNext('before');
    await expect(store.commit([commit()])).rejects.toMatchObject({ retriable: true });
    expect(await store.read([['mr:{fault}:meta']])).toEqual([[null]]);
    store.failNext('after');
    await expect(store.commit([commit()])).rejects.toMatchObject({ code: 'answer_lost' });
    expect(await store.commit([commit()])).toEqual([{ status: 'conflict' }]);
    const before = store.snapshot();
    await store.commit([commit({ expected: bytes(1), next: bytes(2) })]);
    store.restore(before);
    const [values] = await store.read([['mr:{fault}:meta', 'mr:{fault}:w:a']]);
    expect(values).toEqual([bytes(1), bytes(1)]);
    store.tearNext();
    expect(await store.commit([commit({ expected: bytes(1) })])).toMatchObject([{ status: 'torn' }]);
    expect(await store.read([['mr:{fault}:meta']])).toEqual([[new TextEncoder().encode('torn')]]);
    store.setAvailable(false);
    await expect(store.read([['{a}']])).rejects.toMatchObject({ code: 'unreachable' });
  });
});
