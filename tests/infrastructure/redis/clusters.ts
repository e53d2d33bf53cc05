import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { slotOf } from '../../../infrastructure/redis/slots.ts';
import type { RedisConnection } from '../../../schemas/project.ts';
import { type TestServer, testPort, testServer } from './server.ts';

const SLOTS = 16_384;
const PRIMARIES = 3;
const NODE_TIMEOUT_MS = 1_000;
const WITHIN_MS = 20_000;

/** Three primaries, a replica each. */
export interface ClusterSetup {
  readonly connection: RedisConnection;
  readonly nodes: readonly TestServer[];
  /** The primary that serves the slot of a key, as the cluster sees it. */
  primaryOf(key: string): Promise<TestServer>;
  primaries(): Promise<readonly TestServer[]>;
  /** Begins to move the slot of a key to another primary; then each step is the caller's. */
  move(key: string): Promise<SlotMove>;
  /** Resolves once another node than `old` serves the slot of a key. */
  failedOver(key: string, old: TestServer): Promise<TestServer>;
  stop(): Promise<void>;
}

export interface SlotMove {
  readonly from: TestServer;
  readonly to: TestServer;
  /** Moves up to so many keys; answers how many went. */
  keys(most: number): Promise<number>;
  /** Moves what is left, and gives the slot to its new server. */
  finish(): Promise<void>;
}

async function withClient<T>({ url }: TestServer, work: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url, { maxRetriesPerRequest: 1, commandTimeout: 2_000 });
  client.on('error', () => undefined);
  try {
    return await work(client);
  } finally {
    client.disconnect();
  }
}

async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + WITHIN_MS; !(await check().catch(() => false)); await sleep(50))
    if (Date.now() > end) throw new Error(`${what} did not come within ${WITHIN_MS / 1_000} s`);
}

async function node(): Promise<TestServer> {
  const bus = await testPort();
  return testServer({
    extra: [
      ...['--cluster-enabled', 'yes', '--cluster-port', String(bus)],
      ...['--cluster-node-timeout', String(NODE_TIMEOUT_MS), '--cluster-replica-validity-factor', '0'],
      ...['--repl-diskless-sync-delay', '0', '--cluster-config-file', 'nodes.conf'],
    ],
  });
}

const busOf = (one: TestServer) =>
  withClient(one, async (client) => Number(((await client.config('GET', 'cluster-port')) as string[])[1]));

const idOf = (one: TestServer) => withClient(one, (client) => client.cluster('MYID') as Promise<string>);

export async function startCluster(): Promise<ClusterSetup> {
  const nodes = await Promise.all(Array.from({ length: 2 * PRIMARIES }, node));
  const [first] = nodes;
  if (first === undefined) throw new Error('a cluster has nodes');
  const share = Math.ceil(SLOTS / PRIMARIES);
  for (const [i, one] of nodes.entries()) {
    const bus = await busOf(one);
    await withClient(first, (client) => client.call('CLUSTER', 'MEET', '127.0.0.1', one.port, bus));
    if (i >= PRIMARIES) continue;
    const last = Math.min((i + 1) * share, SLOTS) - 1;
    await withClient(one, (client) => client.call('CLUSTER', 'ADDSLOTSRANGE', i * share, last));
  }
  const known = async (one: TestServer) =>
    (await withClient(one, (client) => client.cluster('INFO') as Promise<string>)).includes(
      `cluster_known_nodes:${nodes.length}`,
    );
  for (const one of nodes) await until('acquaintance of the nodes', () => known(one));
  for (const [i, one] of nodes.slice(PRIMARIES).entries()) {
    const id = await idOf(nodes[i] ?? first);
    await until('a replica', () =>
      withClient(one, async (client) => (await client.call('CLUSTER', 'REPLICATE', id)) === 'OK'),
    );
  }
  for (const one of nodes)
    await until('a whole cluster', () =>
      withClient(one, async (client) => {
        const linked = (await client.info('replication')).match(/role:master|master_link_status:up/);
        return linked !== null && String(await client.cluster('INFO')).includes('cluster_state:ok');
      }),
    );

  type Range = [first: number, last: number, primary: [host: string, port: number]];
  async function ranges(): Promise<readonly Range[]> {
    for (const one of nodes) {
      const found = await withClient(one, (client) => client.cluster('SLOTS')).catch(() => null);
      if (Array.isArray(found)) return found as unknown as Range[];
    }
    throw new Error('no node of the cluster answers');
  }
  const at = (port: number): TestServer => {
    const found = nodes.find((one) => one.port === port);
    if (found === undefined) throw new Error(`no node of ours listens at ${port}`);
    return found;
  };

  const setup: ClusterSetup = {
    connection: { url: `redis://${nodes.slice(0, 2).map(({ port }) => `127.0.0.1:${port}`)}` },
    nodes,
    async primaryOf(key) {
      const slot = slotOf(key);
      const range = (await ranges()).find(([from, to]) => slot >= from && slot <= to);
      if (range === undefined) throw new Error(`nobody serves slot ${slot}`);
      return at(range[2][1]);
    },
    primaries: async () => [...new Set((await ranges()).map(([, , [, port]]) => at(port)))],
    async move(key) {
      const slot = slotOf(key);
      const from = await setup.primaryOf(key);
      const to = (await setup.primaries()).find((one) => one !== from);
      if (to === undefined) throw new Error('a cluster has several primaries');
      const [fromId, toId] = [await idOf(from), await idOf(to)];
      await withClient(to, (client) => client.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId));
      await withClient(from, (client) => client.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId));
      const keys = (most: number) =>
        withClient(from, async (client) => {
          const found = (await client.call('CLUSTER', 'GETKEYSINSLOT', slot, most)) as string[];
          if (found.length > 0)
            await client.call('MIGRATE', '127.0.0.1', to.port, '', 0, 5_000, 'KEYS', ...found);
          return found.length;
        });
      return {
        from,
        to,
        keys,
        async finish() {
          while ((await keys(100)) > 0);
          for (const one of [to, from])
            await withClient(one, (client) => client.call('CLUSTER', 'SETSLOT', slot, 'NODE', toId));
        },
      };
    },
    async failedOver(key, old) {
      let now = old;
      await until('a failover', async () => {
        now = await setup.primaryOf(key);
        return now !== old;
      });
      return now;
    },
    async stop() {
      await Promise.all(nodes.map((one) => one.stop()));
    },
  };
  return setup;
}
