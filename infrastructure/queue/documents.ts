import { readFileSync } from 'node:fs';
import type { Redis } from 'ioredis';
import type { RedisConnection } from '../../schemas/project.ts';
import { addressOf } from '../redis/address.ts';
import { StoreError, storeErrorOf } from '../redis/errors.ts';
import { openServers } from '../redis/open.ts';
import { QueueError } from './errors.ts';
import type { Documents } from './port.ts';

const SET = readFileSync(new URL('./set-document.lua', import.meta.url), 'utf8');

export interface RedisDocuments extends Documents {
  /** Throws QueueError where the server may drop keys. */
  check(): Promise<void>;
  /** Whether they lie on a Redis Cluster. Throws QueueError. */
  cluster(): Promise<boolean>;
  close(): Promise<void>;
}

/** Documents in one hash. */
export function createDocuments(server: RedisConnection, key: string): RedisDocuments {
  const { where } = addressOf(server);
  let servers: ReturnType<typeof openServers> | undefined;
  const opened = () => {
    servers ??= openServers(server);
    return servers.get();
  };

  async function ask<T>(work: (redis: Redis) => Promise<T>): Promise<T> {
    try {
      return await (await opened()).at(key, ({ redis }, asking) => {
        if (asking) redis.asking().catch(() => undefined);
        return work(redis);
      });
    } catch (error) {
      throw queueErrorOf(error, where);
    }
  }

  return {
    get: (id) => ask((redis) => redis.hget(key, id)),
    all: () => ask(async (redis) => new Map(Object.entries(await redis.hgetall(key)))),
    set: (id, expected, next) =>
      ask(async (redis) => {
        const flag = (value: string | null) => (value === null ? '0' : '1');
        const args = [id, flag(expected), expected ?? '', flag(next), next ?? ''];
        return Number(await redis.eval(SET, 1, key, ...args)) === 1;
      }),
    check: () => ask(async (redis) => void (await redis.ping())),
    async cluster() {
      try {
        return (await opened()).cluster;
      } catch (error) {
        throw queueErrorOf(error, where);
      }
    },
    async close() {
      await servers?.close();
    },
  };
}

export function queueErrorOf(error: unknown, where: string): QueueError {
  if (error instanceof QueueError) return error;
  const store = error instanceof StoreError ? error : storeErrorOf(error, where);
  if (store.code === 'evicts')
    return new QueueError(
      'evicts',
      `${store.message} The pipelines' queue may lie on another server: connections.queue.`,
      { cause: error },
    );
  const code = store.retriable ? 'unreachable' : store.code === 'closed' ? 'closed' : 'refused';
  return new QueueError(code, `The pipelines' queue: ${store.message}`, { cause: error });
}
