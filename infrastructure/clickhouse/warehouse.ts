import { Readable } from 'node:stream';
import { type ClickHouseClient, type ClickHouseSettings, createClient } from '@clickhouse/client';
import { answeredError, jsonRows, textOf } from './answer.ts';
import { askedRows, askSettings, MOST_ANSWER_BYTES } from './ask.ts';
import { isServerError, UNKNOWN_DATABASE, WarehouseError, warehouseErrorOf } from './errors.ts';
import type { Warehouse } from './port.ts';
import { bindParameters, shortToken, sizeSettings } from './statement.ts';

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

  /**
   * One statement, in the body, with the rows of an insert behind it; only settings travel in the address. Throws what
   * `warehouseErrorOf` knows how to tell.
   */
  async function send(
    sql: string,
    more: ClickHouseSettings = {},
    rows?: Uint8Array,
    through: ClickHouseClient = client,
  ): Promise<Readable> {
    const own = { ignore_error_response: true, clickhouse_settings: { ...sizeSettings(sql), ...more } };
    const answer = await (rows === undefined
      ? through.exec({ query: sql, ...own })
      : through.exec({
          query: '',
          values: Readable.from([Buffer.from(`${sql}\n`), viewOf(rows)]),
          ...own,
        }));
    const { stream, http_status_code: status = 200, response_headers: headers } = answer;
    if (status >= 200 && status < 300 && headers['x-clickhouse-exception-code'] === undefined) return stream;
    throw answeredError(status, await textOf(stream));
  }

  /** For statements without an answer: the connection is free again once it is read. */
  async function run(...call: Parameters<typeof send>): Promise<void> {
    await textOf(await send(...call));
  }

  /** The session's database has to exist before any statement, even the one that makes it. */
  async function makeDatabase(): Promise<void> {
    const bare = createClient({ url, username, password, application: 'millrace', log: { level: 127 } });
    try {
      await run(`CREATE DATABASE IF NOT EXISTS ${quoted(database)}`, {}, undefined, bare);
    } finally {
      await bare.close();
    }
  }

  const insert = (table: string, into: string, rows: Uint8Array, token: string) =>
    attempt(`the insert into ${table}`, () =>
      run(`INSERT INTO ${into}`, { insert_deduplication_token: shortToken(token) }, rows),
    );

  return {
    command: (sql, parameters = {}) =>
      attempt(nameOf(sql), async () => {
        const text = bindParameters(sql, parameters);
        try {
          await run(text);
        } catch (error) {
          if (!isServerError(error) || Number(error.code) !== UNKNOWN_DATABASE) throw error;
          await makeDatabase();
          await run(text);
        }
      }),

    query: <Row>(sql: string, parameters = {}) =>
      attempt(nameOf(sql), async () => {
        const text = `${bindParameters(sql, parameters)}\nFORMAT JSONEachRow`;
        return jsonRows<Row>(await textOf(await send(text)));
      }),

    ask: (sql, limits) =>
      attempt('the statement', async () => {
        const text = `${sql.replace(/[\s;]+$/, '')}\nFORMAT JSONCompact`;
        return askedRows(await textOf(await send(text, askSettings(limits)), MOST_ANSWER_BYTES), limits.rows);
      }),

    stream: (sql, parameters = {}) =>
      attempt(nameOf(sql), async () =>
        pieces(await send(bindParameters(sql, parameters)), where, nameOf(sql)),
      ),

    async insert(table, rows, { token }) {
      if (rows.length === 0) return;
      const lines = Buffer.from(rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
      await insert(table, `${quoted(table)} FORMAT JSONEachRow`, lines, token);
    },

    insertRaw: (table, columns, format, bytes, { token }) =>
      insert(table, `${quoted(table)} (${columns.map(quoted).join(', ')}) FORMAT ${format}`, bytes, token),

    close: () => client.close(),
  };
}

const viewOf = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

async function* pieces(stream: Readable, where: string, what: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of stream) yield piece as Uint8Array;
  } catch (error) {
    throw warehouseErrorOf(error, where, what);
  }
}
