import { Readable } from 'node:stream';
import {
  type ClickHouseClient,
  ClickHouseError,
  type ClickHouseSettings,
  createClient,
} from '@clickhouse/client';
import { UNKNOWN_DATABASE, WarehouseError, warehouseErrorOf } from './errors.ts';
import type { SqlParameters, Warehouse } from './port.ts';

export interface WarehouseOptions {
  readonly url: string;
  readonly database: string;
  readonly username?: string;
  readonly password?: string;
  /** ms a statement may take. */
  readonly requestTimeoutMs?: number;
  readonly maxConnections?: number;
  /**
   * For a slow network: a sixth of the bytes. Off by default: packing events costs 0.3 to 1.4 us a row here
   * (levels 1 and 6) and 0.3 in the server, as much as encoding them.
   */
  readonly gzip?: boolean;
}

/** Statement as a message names it: its first words. */
const nameOf = (sql: string) => `\`${sql.trim().replace(/\s+/g, ' ').slice(0, 80)}\``;

const quoted = (name: string) => `\`${name.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``;

/** ClickHouse over HTTP. Connects on the first call. */
export function createWarehouse(options: WarehouseOptions): Warehouse {
  const { url, database, username = 'default', password = '' } = options;
  let where: string;
  try {
    where = new URL(url).host;
  } catch (cause) {
    throw new WarehouseError('refused', 'The address of ClickHouse is no URL; write http://host:8123.', {
      cause,
    });
  }
  const settings: ClickHouseSettings = {
    // On by default since 26.x, where it would answer before the rows of a batch are a part.
    async_insert: 0,
    output_format_json_quote_64bit_integers: 0,
    output_format_json_quote_denormals: 1,
    date_time_output_format: 'iso',
    date_time_input_format: 'best_effort',
  };
  const client: ClickHouseClient = createClient({
    url,
    username,
    password,
    database,
    application: 'millrace',
    request_timeout: options.requestTimeoutMs ?? 120_000,
    max_open_connections: options.maxConnections ?? 8,
    compression: { request: options.gzip ?? false, response: options.gzip ?? false },
    // Below the 3 s after which a ClickHouse of default settings hangs up on an idle connection.
    keep_alive: { enabled: true, idle_socket_ttl: 2_500 },
    clickhouse_settings: settings,
    log: { level: 127 },
  });

  async function attempt<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw warehouseErrorOf(error, where, what);
    }
  }

  const run = (sql: string, parameters: SqlParameters) =>
    client.command({ query: sql, query_params: { ...parameters } });

  /** The session's database has to exist before any statement, even the one that makes it. */
  async function makeDatabase(): Promise<void> {
    const bare = createClient({ url, username, password, application: 'millrace', log: { level: 127 } });
    try {
      await bare.command({ query: `CREATE DATABASE IF NOT EXISTS ${quoted(database)}` });
    } finally {
      await bare.close();
    }
  }

  return {
    command: (sql, parameters = {}) =>
      attempt(nameOf(sql), async () => {
        try {
          await run(sql, parameters);
        } catch (error) {
          if (!(error instanceof ClickHouseError) || Number(error.code) !== UNKNOWN_DATABASE) throw error;
          await makeDatabase();
          await run(sql, parameters);
        }
      }),

    query: <Row>(sql: string, parameters: SqlParameters = {}) =>
      attempt(nameOf(sql), async () => {
        const answer = await client.query({
          query: sql,
          query_params: { ...parameters },
          format: 'JSONEachRow',
        });
        return answer.json<Row>();
      }),

    stream: (sql, parameters = {}) =>
      attempt(nameOf(sql), async () => {
        const { stream } = await client.exec({ query: sql, query_params: { ...parameters } });
        return pieces(stream, where, nameOf(sql));
      }),

    insert: (table, rows, { token }) =>
      attempt(`the insert into ${table}`, async () => {
        if (rows.length === 0) return;
        await client.insert({
          table: quoted(table),
          values: [...rows],
          format: 'JSONEachRow',
          clickhouse_settings: { insert_deduplication_token: token },
        });
      }),

    insertRaw: (table, columns, format, bytes, { token }) =>
      attempt(`the insert into ${table}`, async () => {
        const { stream } = await client.exec({
          query: `INSERT INTO ${quoted(table)} (${columns.map(quoted).join(', ')}) FORMAT ${format}`,
          values: Readable.from([Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)]),
          clickhouse_settings: { insert_deduplication_token: token },
        });
        stream.resume();
      }),

    close: () => client.close(),
  };
}

async function* pieces(stream: Readable, where: string, what: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of stream) yield piece as Uint8Array;
  } catch (error) {
    throw warehouseErrorOf(error, where, what);
  }
}
