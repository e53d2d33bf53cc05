import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { RedisConnection } from '../../../schemas/project.ts';
import { type TestServer, testServer } from './server.ts';

const PRIMARY = 'main';
const DOWN_AFTER_MS = 500;
const WITHIN_MS = 20_000;

/** One primary, two replicas, three Sentinels. */
export interface SentinelSetup {
  readonly connection: RedisConnection;
  readonly servers: readonly TestServer[];
  /** The server that the Sentinels take for the primary now. */
  primary(): Promise<TestServer>;
  /** Resolves once another server than `old` is the primary and takes writes. */
  failedOver(old: TestServer): Promise<TestServer>;
  stop(): Promise<void>;
}

export async function startSentinels(): Promise<SentinelSetup> {
  const first = await testServer();
  const replicaOf = ['--replicaof', '127.0.0.1', String(first.port), '--repl-diskless-sync-delay', '0'];
  const replicas = await Promise.all([1, 2].map(() => testServer({ extra: replicaOf })));
  const servers = [first, ...replicas];
  for (const { url } of replicas) {
    const client = new Redis(url);
    while (!(await client.info('replication')).includes('master_link_status:up')) await sleep(20);
    client.disconnect();
  }
  const lines = [
    `sentinel monitor ${PRIMARY} 127.0.0.1 ${first.port} 2`,
    `sentinel down-after-milliseconds ${PRIMARY} ${DOWN_AFTER_MS}`,
    `sentinel failover-timeout ${PRIMARY} 2000`,
  ];
  const sentinels = await Promise.all([1, 2, 3].map(() => testServer({ sentinel: lines })));

  async function primaryPort(): Promise<number> {
    for (const { url } of sentinels) {
      const client = new Redis(url, { enableReadyCheck: false, maxRetriesPerRequest: 1 });
      const found = await client.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', PRIMARY).catch(() => null);
      client.disconnect();
      if (Array.isArray(found)) return Number(found[1]);
    }
    throw new Error('no Sentinel answers');
  }

  const setup: SentinelSetup = {
    connection: {
      url: `redis://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
      sentinel: { primary: PRIMARY },
    },
    servers,
    async primary() {
      const port = await primaryPort();
      const found = servers.find((server) => server.port === port);
      if (found === undefined) throw new Error(`no server of ours listens at ${port}`);
      return found;
    },
    async failedOver(old) {
      for (const end = Date.now() + WITHIN_MS; Date.now() < end; await sleep(100)) {
        const now = await setup.primary();
        if (now === old) continue;
        const client = new Redis(now.url, { maxRetriesPerRequest: 1 });
        const info = await client.info('replication').catch(() => '');
        client.disconnect();
        if (info.includes('role:master')) return now;
      }
      throw new Error('the Sentinels named no other primary');
    },
    async stop() {
      await Promise.all([...sentinels, ...servers].map((server) => server.stop()));
    },
  };
  // A failover needs Sentinels that know one another and the replicas.
  for (const { url } of sentinels) {
    const client = new Redis(url, { enableReadyCheck: false });
    for (let known = ''; !/num-slaves,2,.*num-other-sentinels,2/.test(known); await sleep(50))
      known = String(await client.call('SENTINEL', 'MASTER', PRIMARY));
    client.disconnect();
  }
  return setup;
}
