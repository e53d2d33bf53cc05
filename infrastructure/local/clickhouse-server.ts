import { randomUUID, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { parseArgs, promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { openEngine } from './clickhouse-engine.ts';
import { ClickHouseFault, credentialsOf, faultOf, readBody, statusOf } from './clickhouse-http.ts';
import { createSessions } from './clickhouse-sessions.ts';
import { type Reply, runStatement } from './clickhouse-statement.ts';
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

/** How long running statements may still take when the server closes. */
const closeWithinMs = 15_000;

const zip = promisify(gzip);

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

  async function answer(request: IncomingMessage, url: URL): Promise<Reply> {
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
    return runStatement(sessions, {
      method: request.method ?? 'GET',
      query,
      database: request.headers['x-clickhouse-database']?.toString(),
      format: request.headers['x-clickhouse-format']?.toString(),
      body,
    });
  }

  let closing: Promise<void> | undefined;
  const server = createServer((request, response) => {
    const path = request.url ?? '/';
    const url = URL.parse(path.startsWith('/') ? `http://localhost${path}` : path);
    if (!url) {
      response.writeHead(400).end('The address of the request is not a URL.\n');
      return;
    }
    answer(request, url)
      .catch((error: unknown) => failed(error, engine.version))
      .then((reply) => send(request, response, url.searchParams, { ...reply, last: closing !== undefined }))
      .catch(() => response.destroy());
  });
  server.keepAliveTimeout = 30_000;
  const port = await listen(server, options.port, options.host ?? '127.0.0.1').catch((error: unknown) => {
    engine.close();
    throw error;
  });

  return {
    url: `http://${options.host ?? '127.0.0.1'}:${port}`,
    version: engine.version,
    close: () => {
      closing ??= (async () => {
        // Requests that are running are answered, each connection then closes.
        const closed = new Promise<void>((done) => server.close(() => done()));
        server.closeIdleConnections();
        const giveUp = setTimeout(() => server.closeAllConnections(), closeWithinMs);
        await closed;
        clearTimeout(giveUp);
        await sessions.close();
        engine.close();
      })();
      return closing;
    },
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
  query: URLSearchParams,
  reply: Reply & { last: boolean },
): Promise<void> {
  const accepts = /\bgzip\b/.test(request.headers['accept-encoding']?.toString() ?? '');
  const packed = query.get('enable_http_compression') === '1' && accepts && reply.body.length > 0;
  const body = packed ? await zip(reply.body, { level: 1 }) : reply.body;
  response.writeHead(reply.status, {
    'X-ClickHouse-Query-Id': query.get('query_id') || randomUUID(),
    'X-ClickHouse-Server-Display-Name': 'millrace',
    'X-ClickHouse-Timezone': 'UTC',
    ...reply.headers,
    ...(packed ? { 'Content-Encoding': 'gzip' } : {}),
    'Content-Length': body.length,
    ...(reply.last ? { Connection: 'close' } : {}),
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
