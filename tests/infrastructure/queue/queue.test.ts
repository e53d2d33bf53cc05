import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { createMemoryQueue } from '../../../infrastructure/memory/queue.ts';
import { createBullQueue } from '../../../infrastructure/queue/bullmq.ts';
import { QueueError } from '../../../infrastructure/queue/errors.ts';
import { keys } from '../../../schemas/names.ts';
import { testStack } from '../../stack.ts';
import { testServer } from '../redis/server.ts';
import { checkQueue } from './conformance.ts';

checkQueue('memory', async () => {
  const queue = createMemoryQueue();
  return { queue, other: () => queue };
});

checkQueue('BullMQ', async () => {
  const { redis } = await testStack(['redis']);
  const prefix = keys.pipelines(`test-${randomUUID().slice(0, 8)}`);
  const opened = [
    createBullQueue({ server: { url: redis }, prefix }),
    createBullQueue({ server: { url: redis }, prefix }),
  ] as const;
  const [first, second] = opened;
  return {
    queue: {
      ...first,
      async close() {
        await Promise.all(opened.map((one) => one.close()));
        await removeKeys(redis, prefix);
      },
    },
    other: () => second,
  };
});

async function removeKeys(url: string, prefix: string): Promise<void> {
  const redis = new Redis(url);
  const found = await redis.keys(`${prefix}*`);
  if (found.length > 0) await redis.del(...found);
  await redis.quit();
}

describe('BullMQ', () => {
  it('gives the job of a worker that died to another', async () => {
    const { redis } = await testStack(['redis']);
    const prefix = keys.pipelines(`test-${randomUUID().slice(0, 8)}`);
    const options = { server: { url: redis }, prefix, lockMs: 400 };
    const dying = createBullQueue(options);
    const living = createBullQueue(options);
    const data = { run: 'r', step: 'a', delivery: 1 };
    await living.add([{ id: 'r.a.1', lane: 'light', data, delayMs: 0 }]);
    const held = Promise.withResolvers<void>();
    const stuck = Promise.withResolvers<void>();
    await dying.work({ lane: 'light', concurrency: 1, onError: () => undefined }, async () => {
      held.resolve();
      // A thread that does not come back does not renew the lock either: here, the lock is taken away.
      await stuck.promise;
    });
    await held.promise;
    const client = new Redis(redis);
    const taken = Promise.withResolvers<void>();
    await living.work({ lane: 'light', concurrency: 1, onError: () => undefined }, async () =>
      taken.resolve(),
    );
    const steal = setInterval(() => void client.del(`${prefix}:light:r.a.1:lock`), 50);
    await taken.promise;
    clearInterval(steal);
    stuck.resolve();
    await Promise.all([dying.close(), living.close()]);
    await client.quit();
    await removeKeys(redis, prefix);
  });

  it('keeps everything under one tag, so that it is one slot of a cluster', async () => {
    const { redis } = await testStack(['redis']);
    const prefix = keys.pipelines(`test-${randomUUID().slice(0, 8)}`);
    const queue = createBullQueue({ server: { url: redis }, prefix });
    const data = { run: 'r', step: 'a', delivery: 1 };
    await queue.add([
      { id: 'one', lane: 'cpu', data, delayMs: 0 },
      { id: 'two', lane: 'light', data, delayMs: 60_000 },
    ]);
    await queue.documents.set('r', null, '{}');
    const client = new Redis(redis);
    const found = await client.keys(`*${prefix.slice(4, -1)}*`);
    expect(found.length).toBeGreaterThan(4);
    expect(found.filter((key) => !key.startsWith(prefix))).toEqual([]);
    await client.quit();
    await queue.close();
    await removeKeys(redis, prefix);
  });

  it('refuses a server that may drop keys, and says how to mend it', async () => {
    const server = await testServer({ extra: ['--maxmemory-policy', 'allkeys-lru'] });
    const queue = createBullQueue({ server: { url: server.url }, prefix: keys.pipelines('test-evicts') });
    try {
      await expect(queue.ready()).rejects.toMatchObject({
        code: 'evicts',
        retriable: false,
        message: expect.stringMatching(/policy 'allkeys-lru'.*CONFIG SET maxmemory-policy noeviction/),
      });
    } finally {
      await queue.close();
      await server.stop();
    }
  });

  it('says in one sentence that the server is not there', async () => {
    const queue = createBullQueue({
      server: { url: 'redis://127.0.0.1:1' },
      prefix: keys.pipelines('test-none'),
    });
    const error = await queue.ready().catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(QueueError);
    expect(error).toMatchObject({
      retriable: true,
      message: expect.stringMatching(/Redis at 127\.0\.0\.1:1 cannot be reached/),
    });
    await queue.close();
  });
});
