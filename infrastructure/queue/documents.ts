import { readFileSync } from 'node:fs';
import type { RedisConnection } from '../../schemas/project.ts';
import { type Connection, createConnection } from '../redis/connection.ts';
import { StoreError, storeErrorOf } from '../redis/errors.ts';
import { QueueError } from './errors.ts';
import type { Documents } from './port.ts';

const SET = readFileSync(new URL('./set-document.lua', import.meta.url), 'utf8');

export interface RedisDocuments extends Documents {
  /** Throws QueueError where the server may drop keys. */
  check(): Promise<void>;
  close(): Promise<void>;
}

/** Documents in one hash. */
export function createDocuments(server: RedisConnection, key: string): RedisDocuments {
  let connection: Connection | undefined;

  async function ask<T>(work: (of: Connection) => Promise<T>): Promise<T> {
    try {
      connection ??= createConnection(server);
      await connection.ready();
      return await work(connection);
    } catch (error) {
      throw queueErrorOf(error, connection?.where ?? 'its address');
    }
  }

  return {
    get: (id) => ask(({ redis }) => redis.hget(key, id)),
    all: () => ask(async ({ redis }) => new Map(Object.entries(await redis.hgetall(key)))),
    set: (id, expected, next) =>
      ask(async ({ redis }) => {
        const flag = (value: string | null) => (value === null ? '0' : '1');
        const args = [id, flag(expected), expected ?? '', flag(next), next ?? ''];
        return Number(await redis.eval(SET, 1, key, ...args)) === 1;
      }),
    check: () => ask(async ({ redis }) => void (await redis.ping())),
    async close() {
      await connection?.close();
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
