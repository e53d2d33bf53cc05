import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type ClickHouseClient,
  type ClickHouseClientConfigOptions,
  ClickHouseLogLevel,
  createClient as connect,
} from '@clickhouse/client';
import { afterAll, beforeAll } from 'vitest';
import {
  type ClickHouseServer,
  startClickHouseServer,
} from '../../../infrastructure/local/clickhouse-server.ts';

/** The address of a real ClickHouse server, which must pass the same tests but for what is ours alone. */
export const real = process.env.MILLRACE_CLICKHOUSE_URL;

/** Quiet: errors are what some tests are about. */
export const createClient = (options: ClickHouseClientConfigOptions) =>
  connect({ ...options, log: { level: ClickHouseLogLevel.OFF } });

/** A server and a client for the tests of a file; tables get names of their own and are dropped at the end. */
export function clickhouseForTests() {
  const prefix = `test_${randomUUID().slice(0, 8)}`;
  const dataDir = mkdtempSync(join(tmpdir(), 'millrace-clickhouse-'));
  let server: ClickHouseServer;
  let client: ClickHouseClient;
  let tables = 0;

  beforeAll(async () => {
    server = real
      ? { url: real, version: '', close: async () => undefined }
      : await startClickHouseServer({ dataDir, port: 0 });
    client = createClient({ url: server.url });
  });

  afterAll(async () => {
    for (let i = 1; i <= tables; i++) await client.command({ query: `DROP TABLE IF EXISTS ${prefix}_${i}` });
    await client.close();
    await server.close();
    for (const path of [dataDir, `${dataDir}-other`]) rmSync(path, { recursive: true, force: true });
  });

  async function rows<T>(query: string, params: Record<string, unknown> = {}): Promise<T[]> {
    const result = await client.query({ query, query_params: params, format: 'JSONEachRow' });
    return result.json<T>();
  }

  return {
    dataDir,
    url: () => server.url,
    client: () => client,
    rows,
    count: async (name: string) => (await rows<{ n: number }>(`SELECT count() AS n FROM ${name}`))[0]?.n,

    /** A new table of three columns; its name. */
    async table(settings = ''): Promise<string> {
      const name = `${prefix}_${++tables}`;
      await client.command({
        query: `CREATE TABLE ${name} (id UInt32, name String, at DateTime64(3)) ENGINE = MergeTree ORDER BY id ${settings}`,
      });
      return name;
    },

    post: (
      query: string,
      body?: string | Buffer<ArrayBuffer> | ArrayBuffer,
      headers: Record<string, string> = {},
    ) =>
      fetch(`${server.url}/?${query}`, { method: 'POST', ...(body === undefined ? {} : { body }), headers }),
  };
}
