import { addressOf } from './address.ts';
import { createCluster } from './cluster.ts';
import { type Connection, createConnection } from './connection.ts';
import { StoreError } from './errors.ts';
import { failureOf, type Servers, type ServersOptions } from './servers.ts';

/** Opens what an address names: the first of its hosts that answers says whether it is a node of a cluster. */
export function openServers(options: ServersOptions): {
  get(): Promise<Servers>;
  close(): Promise<void>;
} {
  const address = addressOf(options);
  const hosts = address.sentinel === undefined ? address.hosts : [address.hosts[0]];
  const seeds = hosts.map((host) =>
    createConnection(options, address.sentinel === undefined ? host : undefined),
  );
  let servers: Servers | undefined;
  let opening: Promise<Servers> | undefined;

  async function open(): Promise<Servers> {
    const first = await firstReady(seeds);
    if (first.facts?.cluster === true) {
      if (address.database !== 0)
        throw new StoreError(
          'bad_request',
          `A Redis Cluster has no database ${address.database}; leave it out.`,
        );
      servers = createCluster(options, seeds);
    } else if (seeds.length > 1)
      throw new StoreError(
        'bad_request',
        `Redis at ${first.where} is no node of a cluster, and one of several hosts: name one server, or Sentinels with redis.sentinel.`,
      );
    else servers = oneServer(first);
    return servers;
  }

  return {
    async get() {
      if (servers !== undefined) return servers;
      opening ??= open().finally(() => {
        opening = undefined;
      });
      return opening;
    },
    async close() {
      await Promise.all(seeds.map((seed) => seed.close()));
      await servers?.close();
    },
  };
}

/** The first of several that can be used. Throws the failure of the last where none can. */
async function firstReady(seeds: readonly Connection[]): Promise<Connection> {
  try {
    return await Promise.any(seeds.map((seed) => seed.ready().then(() => seed)));
  } catch (error) {
    throw error instanceof AggregateError ? error.errors.at(-1) : error;
  }
}

/** A server alone (or the primary behind Sentinels) holds every slot. */
function oneServer(connection: Connection): Servers {
  return {
    cluster: false,
    async at(_key, send) {
      await connection.ready();
      try {
        return await send(connection, false);
      } catch (error) {
        throw failureOf(connection, error);
      }
    },
    keys: (_prefix, list) => list(connection),
    close: () => connection.close(),
  };
}
