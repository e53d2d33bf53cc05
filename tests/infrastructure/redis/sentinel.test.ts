import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createConnection } from '../../../infrastructure/redis/connection.ts';
import type { OnlineStore } from '../../../infrastructure/redis/port.ts';
import { createRedisStore } from '../../../infrastructure/redis/store.ts';
import { checkStore } from './conformance.ts';
import { countUp } from './counting.ts';
import { type SentinelSetup, startSentinels } from './sentinels.ts';
import { evictAll } from './server.ts';

let opened: Promise<SentinelSetup> | undefined;
const setup = () => {
  opened ??= startSentinels();
  return opened;
};
afterAll(async () => (await opened)?.stop());

checkStore('the primary that Sentinels name', async () => {
  const { connection, primary } = await setup();
  return {
    store: createRedisStore(connection),
    evictAll: async () => evictAll([(await primary()).url]),
  };
});

describe('a failover of the Sentinels', () => {
  let store: OnlineStore;
  beforeAll(async () => {
    store = createRedisStore({ ...(await setup()).connection, answerWaitMs: 3_000 });
  });
  afterAll(() => store.close());

  it.each(['killed', 'frozen'] as const)(
    'of a primary that is %s: whoever commits by compare-and-set goes on, and nothing is double',
    async (how) => {
      const { primary, failedOver } = await setup();
      const counting = countUp(store, [`mr:{sentinel.${how}}`]);
      await counting.reached(20);
      const old = await primary();
      if (how === 'killed') await old.kill();
      else old.freeze();
      const now = await failedOver(old);
      await counting.reached(20);
      if (how === 'killed') await old.start();
      else old.thaw();
      await counting.reached(20);
      const { failures } = await counting.stop();
      expect(failures.every(({ retriable }) => retriable)).toBe(true);
      const client = new Redis(now.url);
      expect(await client.get(`mr:{sentinel.${how}}:meta`)).not.toBeNull();
      await client.quit();
    },
    60_000,
  );

  it('is survived by a connection that is told to hang up again while it connects', async () => {
    const connection = createConnection((await setup()).connection);
    await connection.ready();
    connection.redis.once('connecting', () => connection.redis.disconnect(true));
    const ended = new Promise<void>((resolve) => connection.redis.once('end', resolve));
    connection.redis.disconnect(true);
    await ended;
    await connection.ready();
    expect(await connection.redis.ping()).toBe('PONG');
    await connection.close();
    await expect(connection.ready()).rejects.toMatchObject({ code: 'closed' });
  });

  it('says in one sentence that no Sentinel is there, or that none knows the name', async () => {
    const nowhere = createRedisStore({
      url: 'redis://127.0.0.1:1,127.0.0.1:2',
      sentinel: { primary: 'main' },
      connectWaitMs: 500,
    });
    await expect(nowhere.read([['mr:{a}']])).rejects.toMatchObject({
      code: 'unreachable',
      retriable: true,
      message: expect.stringMatching(
        /^Redis at main \(Sentinels 127\.0\.0\.1:1,127\.0\.0\.1:2\) cannot be reached/,
      ),
    });
    await nowhere.close();
    const { connection } = await setup();
    const other = createRedisStore({ ...connection, sentinel: { primary: 'other' }, connectWaitMs: 500 });
    await expect(other.read([['mr:{a}']])).rejects.toMatchObject({ code: 'unreachable', retriable: true });
    await other.close();
  });
});
