import { randomUUID, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { parseArgs, promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { type Connection, openEngine } from './clickhouse-engine.ts';
import {
  ClickHouseFault,
  contentTypeOf,
  credentialsOf,
  faultOf,
  readBody,
  statusOf,
} from './clickhouse-http.ts';
import { createSessions } from './clickhouse-sessions.ts';
import { identifier, isRead, literal, type Statement, scanStatement } from './clickhouse-sql.ts';
import { StackError } from './errors.ts';
import { clickhouseAccess } from './settings.ts';

/*
 * ClickHouse's HTTP interface (https://clickhouse.com/docs/interfaces/http) over the engine in this process.
 * Missing against the real server: streamed results (an answer is complete before its first byte is sent, so
 * it is never cut by a late error), users and grants, TLS, replication, cancelling a query, native (LZ4)
 * compression, `input()`. Those are refused, not ignored.
 */

export type ClickHouseServerOptions = {
  dataDir: string;
  /** 0 chooses a free one. */
  port: number;
  host?: string;
  user?: string;
  password?: string;
  /** Largest body, packed or not. Default 1 GiB. */
  maxBodyBytes?: number;
};

export type ClickHouseServer = { url: string; version: string; close(): Promise<void> };

/** Of the HTTP interface itself: never a setting of the engine. */
const reserved = new Set([
  'query',
  'query_id',
  'database',
  'default_format',
  'compress',
  'decompress',
  'user',
  'password',
  'quota_key',
  'stacktrace',
  'role',
  'buffer_size',
  'wait_end_of_query',
  'session_id',
  'session_timeout',
  'session_check',
  'close_session',
  'client_protocol_version',
  'enable_http_compression',
]);

const zip = promisify(gzip);

type Reply = { status: number; headers: Record<string, string>; body: Buffer };

/** Opens the data directory and serves it. Throws a StackError that says who holds it, or which port is taken. */
export async function startClickHouseServer(options: ClickHouseServerOptions): Promise<ClickHouseServer> {
  const engine = await openEngine(options.dataDir);
  // A statement holds a libuv thread while it runs; one stays free for files and gzip.
  const threads = Number(process.env.UV_THREADPOOL_SIZE ?? 4);
  const sessions = createSessions(engine, Math.max(1, threads - 1));
  const access = {
    user: options.user ?? clickhouseAccess.user,
    password: options.password ?? clickhouseAccess.password,
  };
  const maxBytes = options.maxBodyBytes ?? 1 << 30;

  async function answer(request: IncomingMessage): Promise<Reply> {
    const url = new URL(request.url ?? '/', 'http://localhost');
    if (url.pathname === '/ping' || url.pathname === '/replicas_status') return plain(200, 'Ok.\n');
    if (url.pathname !== '/')
      return plain(404, `There is no handle ${url.pathname}\n\nUse / or /ping for health checks.\n`);
    const query = url.searchParams;
    authorize(credentialsOf(request, query), access);
    const body = await readBody(request, maxBytes);
    if (!query.has('query') && body.length === 0) {
      if (request.method === 'GET') return plain(200, 'Ok.\n');
      throw new ClickHouseFault(62, 'SYNTAX_ERROR', 'Empty query.');
    }
    return runStatement(request, query, body);
  }

  async function runStatement(
    request: IncomingMessage,
    query: URLSearchParams,
    body: Buffer,
  ): Promise<Reply> {
    if (query.get('decompress') === '1' || query.get('compress') === '1') {
      throw new ClickHouseFault(
        48,
        'NOT_IMPLEMENTED',
        'compress and decompress (LZ4 blocks) are not supported here: use Content-Encoding and enable_http_compression with gzip.',
      );
    }
    const head = Buffer.from((query.get('query') ?? '').trim());
    const statement = scanStatement(head.length > 0 ? head : body);
    if (statement.several)
      throw new ClickHouseFault(
        62,
        'SYNTAX_ERROR',
        'Syntax error (Multi-statements are not allowed): send one statement a request.',
      );
    if (statement.readsInput)
      throw new ClickHouseFault(
        48,
        'NOT_IMPLEMENTED',
        'input() is not supported by the embedded engine: insert into the table itself.',
      );
    const readonly = request.method === 'GET' || request.method === 'HEAD';
    if (readonly && !isRead(statement) && statement.keyword !== 'set' && statement.keyword !== 'use') {
      throw new ClickHouseFault(
        164,
        'READONLY',
        'Cannot execute query in readonly mode: for queries over HTTP, method GET implies readonly. Use method POST for modifying queries.',
      );
    }
    const sessionId = query.get('session_id') ?? undefined;
    const format =
      query.get('default_format') ?? request.headers['x-clickhouse-format']?.toString() ?? 'TabSeparated';
    const session = {
      id: sessionId,
      check: query.get('session_check') === '1',
      timeoutMs: Number(query.get('session_timeout') ?? 60) * 1000,
    };
    return sessions.use(session, async (connection) => {
      const database = query.get('database') ?? request.headers['x-clickhouse-database']?.toString();
      if (database) await connection.query(`USE ${identifier(database)}`, 'Null');
      const restore = await applySettings(connection, query, {
        readonly: readonly && sessionId === undefined,
        keep: sessionId !== undefined,
      });
      try {
        return await execute(connection, statement, head, body, format);
      } finally {
        await restore();
      }
    });
  }

  const server = createServer((request, response) => {
    const id = new URL(request.url ?? '/', 'http://localhost').searchParams.get('query_id') || randomUUID();
    answer(request)
      .catch((error: unknown) => failed(error, engine.version))
      .then((reply) => send(request, response, reply, id))
      .catch(() => response.destroy());
  });
  server.keepAliveTimeout = 30_000;
  const port = await listen(server, options.port, options.host ?? '127.0.0.1').catch((error: unknown) => {
    engine.close();
    throw error;
  });

  let closing: Promise<void> | undefined;
  return {
    url: `http://${options.host ?? '127.0.0.1'}:${port}`,
    version: engine.version,
    close: () => {
      closing ??= (async () => {
        const closed = new Promise<void>((done) => server.close(() => done()));
        server.closeIdleConnections();
        await sessions.close();
        server.closeAllConnections();
        await closed;
        engine.close();
      })();
      return closing;
    },
  };
}

async function execute(
  connection: Connection,
  statement: Statement,
  head: Buffer,
  body: Buffer,
  format: string,
): Promise<Reply> {
  const headers: Record<string, string> = {};
  if (statement.insert) {
    // The native insert puts a line break of its own between the two.
    const written =
      head.length > 0 && body.length > 0
        ? await connection.insert(head.toString(), body)
        : await connection.insert('', head.length > 0 ? head : body);
    headers['X-ClickHouse-Summary'] = summary({
      writtenRows: written.rowsWritten,
      writtenBytes: written.bytesWritten,
      elapsed: written.elapsed,
    });
    return { status: 200, headers, body: Buffer.alloc(0) };
  }
  const sql =
    head.length > 0 && body.length > 0 ? `${head}\n${body}` : (head.length > 0 ? head : body).toString();
  const result = await connection.query(sql, format);
  const bytes = Buffer.from(result.bytes.buffer, result.bytes.byteOffset, result.bytes.byteLength);
  const name = statement.format ?? format;
  headers['X-ClickHouse-Format'] = name;
  headers['Content-Type'] = contentTypeOf(name);
  headers['X-ClickHouse-Summary'] = summary({
    readRows: result.rowsRead,
    readBytes: result.bytesRead,
    resultBytes: bytes.length,
    elapsed: result.elapsed,
  });
  return { status: 200, headers, body: bytes };
}

function summary(of: {
  readRows?: number;
  readBytes?: number;
  writtenRows?: number;
  writtenBytes?: number;
  resultBytes?: number;
  elapsed: number;
}): string {
  return JSON.stringify({
    read_rows: String(of.readRows ?? 0),
    read_bytes: String(of.readBytes ?? 0),
    written_rows: String(of.writtenRows ?? 0),
    written_bytes: String(of.writtenBytes ?? 0),
    total_rows_to_read: String(of.readRows ?? 0),
    result_rows: '0',
    result_bytes: String(of.resultBytes ?? 0),
    elapsed_ns: String(Math.round(of.elapsed * 1e9)),
  });
}

/**
 * Settings and `param_*` of the address line. A session's connection lives on, so there the values from
 * before come back afterwards; parameters cannot be unset and stay until their next use.
 */
async function applySettings(
  connection: Connection,
  query: URLSearchParams,
  how: { readonly: boolean; keep: boolean },
): Promise<() => Promise<void>> {
  const settings = [...query].filter(([name]) => !reserved.has(name));
  const named = settings.filter(([name]) => !name.startsWith('param_')).map(([name]) => name);
  const invalid = settings.find(([name]) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name));
  if (invalid) throw new ClickHouseFault(115, 'UNKNOWN_SETTING', `Unknown setting '${invalid[0]}'.`);
  let before: [string, string, number][] = [];
  if (how.keep && named.length > 0) {
    const sql = `SELECT name, value, changed FROM system.settings WHERE name IN (${named.map(literal).join(', ')})`;
    const lines = Buffer.from((await connection.query(sql, 'JSONCompactEachRow')).bytes)
      .toString()
      .split('\n');
    before = lines.filter(Boolean).map((line) => JSON.parse(line) as [string, string, number]);
  }
  const assignments = settings.map(([name, value]) => `${name} = ${literal(value)}`);
  // Last, since nothing can be set after it.
  if (how.readonly && !named.includes('readonly')) assignments.push('readonly = 2');
  if (assignments.length > 0) await connection.query(`SET ${assignments.join(', ')}`, 'Null');
  return async () => {
    if (before.length === 0) return;
    const back = before.map(([name, value, changed]) => `${name} = ${changed ? literal(value) : 'DEFAULT'}`);
    await connection.query(`SET ${back.join(', ')}`, 'Null');
  };
}

function authorize(
  given: { user: string; password: string },
  access: { user: string; password: string },
): void {
  const same = (a: string, b: string) => {
    const [x, y] = [Buffer.from(a), Buffer.from(b)];
    return x.length === y.length && timingSafeEqual(x, y);
  };
  if (same(given.user, access.user) && same(given.password, access.password)) return;
  throw new ClickHouseFault(
    516,
    'AUTHENTICATION_FAILED',
    `${given.user}: Authentication failed: password is incorrect, or there is no user with such name.`,
  );
}

const plain = (status: number, text: string): Reply => ({
  status,
  headers: { 'Content-Type': 'text/html; charset=UTF-8' },
  body: Buffer.from(text),
});

function failed(error: unknown, version: string): Reply {
  const { code, message } = faultOf(error);
  return {
    status: statusOf(code),
    headers: { 'X-ClickHouse-Exception-Code': String(code), 'Content-Type': 'text/plain; charset=UTF-8' },
    body: Buffer.from(`${message} (version ${version} (embedded))\n`),
  };
}

async function send(
  request: IncomingMessage,
  response: ServerResponse,
  reply: Reply,
  queryId: string,
): Promise<void> {
  const wanted =
    new URL(request.url ?? '/', 'http://localhost').searchParams.get('enable_http_compression') === '1';
  const accepts = /\bgzip\b/.test(request.headers['accept-encoding']?.toString() ?? '');
  const packed = wanted && accepts && reply.body.length > 0;
  const body = packed ? await zip(reply.body, { level: 1 }) : reply.body;
  response.writeHead(reply.status, {
    'X-ClickHouse-Query-Id': queryId,
    'X-ClickHouse-Server-Display-Name': 'millrace',
    'X-ClickHouse-Timezone': 'UTC',
    ...reply.headers,
    ...(packed ? { 'Content-Encoding': 'gzip' } : {}),
    'Content-Length': body.length,
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((done, fail) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const text =
        cause.code === 'EADDRINUSE'
          ? `Port ${port} on ${host} is taken: choose another one, or 0 for any.`
          : `Cannot listen on ${host}:${port}: ${cause.message}.`;
      fail(new StackError('start_failed', text, { retriable: true, cause }));
    });
    server.listen(port, host, () => {
      const address = server.address();
      done(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      'data-dir': { type: 'string' },
      port: { type: 'string', default: '0' },
      host: { type: 'string' },
    },
  });
  const dataDir = values['data-dir'];
  if (dataDir === undefined)
    throw new StackError('start_failed', 'Usage: clickhouse-server.ts --data-dir DIR [--port N] [--host H]');
  const server = await startClickHouseServer({
    dataDir,
    port: Number(values.port),
    ...(values.host ? { host: values.host } : {}),
  });
  console.log(`ClickHouse ${server.version} on ${server.url}, data in ${dataDir}`);
  const stop = () => {
    server.close().then(() => process.exit(0));
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

if (import.meta.main) {
  await main().catch((error: unknown) => {
    console.error(error instanceof StackError ? error.message : error);
    process.exit(1);
  });
}
