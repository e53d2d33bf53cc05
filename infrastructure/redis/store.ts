import type { Redis } from 'ioredis';
import { checkCommit, checkGroup } from './check-request.ts';
import type { Connection } from './connection.ts';
import { decodeCommit, encodeCommit, encodeRead, FUNCTION, LIBRARY } from './encode-request.ts';
import { StoreError } from './errors.ts';
import { openServers } from './open.ts';
import type { OnlineStore } from './port.ts';
import { scanServer } from './scan.ts';
import { gather, type Send, type ServersOptions } from './servers.ts';
import { ReadyCommand } from './wire.ts';

export type RedisStoreOptions = ServersOptions;

/** Keys of one UNLINK, or whose bytes are asked for together. */
const PAGE = 1_000;

/** Sends a command whose bytes are ready. Those of one turn of the event loop go out in one write. */
function sendBytes({ redis }: Connection, asking: boolean, name: string, bytes: Buffer): Promise<unknown> {
  const { stream } = redis;
  if (stream.writableCorked === 0) {
    stream.cork();
    process.nextTick(() => stream.uncork());
  }
  // A refused ASKING is followed by the answer that says why.
  if (asking) redis.asking().catch(() => undefined);
  return redis.sendCommand(new ReadyCommand(name, bytes)) as Promise<unknown>;
}

function ask<T>({ redis }: Connection, asking: boolean, send: (redis: Redis) => Promise<T>): Promise<T> {
  if (asking) redis.asking().catch(() => undefined);
  return send(redis);
}

async function load({ redis }: Connection): Promise<void> {
  try {
    await redis.function('LOAD', LIBRARY);
  } catch (error) {
    if (!String(error).includes('already exists')) throw error;
  }
}

/** Calls the commit function; a server that restarted without its data has lost the function too, and gets it again. */
async function callCommit(to: Connection, asking: boolean, bytes: Buffer): Promise<unknown> {
  const lost = (error: unknown) => String(error).includes('Function not found');
  try {
    return await sendBytes(to, asking, 'fcall', bytes);
  } catch (error) {
    if (!lost(error)) throw error;
  }
  await load(to);
  try {
    return await sendBytes(to, asking, 'fcall', bytes);
  } catch (error) {
    if (!lost(error)) throw error;
    throw new StoreError(
      'server',
      `Redis at ${to.where} does not keep the function ${FUNCTION} after FUNCTION LOAD.`,
    );
  }
}

/** The online store on Redis 7.0 or newer, or Valkey. Connects at once, in the background. */
export function createRedisStore(options: RedisStoreOptions): OnlineStore {
  const servers = openServers(options);
  const at = async <T>(key: string, send: Send<T>): Promise<T> => (await servers.get()).at(key, send);

  return {
    async commit(commits) {
      for (const commit of commits) checkCommit(commit);
      const replies = await gather(
        commits.map((commit) => {
          const bytes = encodeCommit(commit);
          return at(commit.metaKey, (to, asking) => callCommit(to, asking, bytes));
        }),
      );
      return replies.map(decodeCommit);
    },

    async read(groups) {
      for (const group of groups) checkGroup(group);
      const answers = await gather(
        groups.map((group) => {
          const [first] = group;
          if (first === undefined) return Promise.resolve([]);
          const bytes = encodeRead(group);
          return at(first, (to, asking) => sendBytes(to, asking, 'mget', bytes));
        }),
      );
      return answers as Array<Array<Uint8Array | null>>;
    },

    evictions: (keys) => gather(keys.map((key) => at(key, (to) => to.evictions()))),

    async *scan(prefix) {
      yield* (await servers.get()).keys(prefix, (one) => scanServer(one, prefix));
    },

    async remove(keys) {
      for (let i = 0; i < keys.length; i += PAGE)
        await gather(
          keys
            .slice(i, i + PAGE)
            .map((key) => at(key, (to, asking) => ask(to, asking, (redis) => redis.unlink(key)))),
        );
    },

    async usage(prefix) {
      let count = 0;
      let bytes = 0;
      let page: string[] = [];
      const weigh = async () => {
        const sizes = await gather(
          page.map((key) =>
            at(key, (to, asking) => ask(to, asking, (redis) => redis.memory('USAGE', key, 'SAMPLES', 0))),
          ),
        );
        for (const size of sizes) {
          // Expired or removed since the scan.
          if (typeof size !== 'number') continue;
          count++;
          bytes += size;
        }
        page = [];
      };
      for await (const key of this.scan(prefix)) if (page.push(key) === PAGE) await weigh();
      await weigh();
      return { keys: count, bytes };
    },

    close: () => servers.close(),
  };
}
