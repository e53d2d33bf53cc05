import { type Connection, type ConnectionOptions, createConnection } from './connection.ts';
import { StoreError } from './errors.ts';
import type { OnlineStore } from './port.ts';
import { checkCommit, checkGroup } from './request.ts';
import { decodeCommit, encodeCommit, encodeRead, FUNCTION, LIBRARY } from './requests.ts';
import { scanServer } from './scan.ts';
import { gather, oneServer } from './servers.ts';
import { ReadyCommand } from './wire.ts';

export type RedisStoreOptions = ConnectionOptions;

/** Keys of one UNLINK, or whose bytes are asked for together. */
const PAGE = 1_000;

const sendBytes = ({ redis }: Connection, name: string, bytes: Buffer) =>
  redis.sendCommand(new ReadyCommand(name, bytes)) as Promise<unknown>;

async function load({ redis }: Connection): Promise<void> {
  try {
    await redis.function('LOAD', LIBRARY);
  } catch (error) {
    if (!String(error).includes('already exists')) throw error;
  }
}

/** Calls the commit function; a server that restarted without its data has lost the function too, and gets it again. */
async function callCommit(to: Connection, bytes: Buffer): Promise<unknown> {
  const lost = (error: unknown) => String(error).includes('Function not found');
  try {
    return await sendBytes(to, 'fcall', bytes);
  } catch (error) {
    if (!lost(error)) throw error;
  }
  await load(to);
  try {
    return await sendBytes(to, 'fcall', bytes);
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
  const servers = oneServer(createConnection(options));

  return {
    async commit(commits) {
      for (const commit of commits) checkCommit(commit);
      const replies = await gather(
        commits.map((commit) => {
          const bytes = encodeCommit(commit);
          return servers.at(commit.metaKey, (to) => callCommit(to, bytes));
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
          return servers.at(first, (to) => sendBytes(to, 'mget', bytes));
        }),
      );
      return answers as Array<Array<Uint8Array | null>>;
    },

    evictions: (keys) => gather(keys.map((key) => servers.at(key, (to) => to.evictions()))),

    scan: (prefix) => servers.keys((one) => scanServer(one, prefix)),

    async remove(keys) {
      for (let i = 0; i < keys.length; i += PAGE)
        await gather(keys.slice(i, i + PAGE).map((key) => servers.at(key, ({ redis }) => redis.unlink(key))));
    },

    async usage(prefix) {
      let count = 0;
      let bytes = 0;
      let page: string[] = [];
      const weigh = async () => {
        const sizes = await gather(
          page.map((key) => servers.at(key, ({ redis }) => redis.memory('USAGE', key, 'SAMPLES', 0))),
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
