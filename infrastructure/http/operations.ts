import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { redact } from '../../schemas/redaction.ts';

/** What a stream of this process is doing. Only `running` counts as healthy. */
export type StreamState = 'starting' | 'running' | 'restarting' | 'failed' | 'stopped';

export interface Health {
  readonly healthy: boolean;
  /** By stream. */
  readonly streams: Readonly<Record<string, StreamState>>;
  /** What waits for longer than ten seconds, and for whom: a sentence by `stream what where`. */
  readonly waits: Readonly<Record<string, string>>;
  /** What fails, how often and since when: a sentence by stream. */
  readonly failures: Readonly<Record<string, string>>;
}

export interface OperationsOptions {
  /** Default: a free one. */
  readonly port?: number | undefined;
  /** Default 127.0.0.1: metrics are for whoever runs the process, until a person opens them. */
  readonly host?: string | undefined;
  readonly metrics: () => Promise<string>;
  readonly health: () => Health;
}

export interface OperationsServer {
  readonly port: number;
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Serves `/metrics` (Prometheus), `/health` (200 while every stream runs, else 503; JSON) and `/live` (200 while the process
 * answers at all: one stream that fails is no reason to end the others).
 */
export async function serveOperations(options: OperationsOptions): Promise<OperationsServer> {
  const host = options.host ?? '127.0.0.1';
  const server = createServer((request, response) => {
    const path = (request.url ?? '/').split('?')[0];
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return answer(response, 405, 'text/plain', 'only GET\n');
    if (path === '/health') {
      const health = options.health();
      return answer(
        response,
        health.healthy ? 200 : 503,
        'application/json',
        `${redact(JSON.stringify(health))}\n`,
      );
    }
    if (path === '/live') return answer(response, 200, 'text/plain', 'live\n');
    if (path === '/metrics') {
      options.metrics().then(
        (text) => answer(response, 200, 'text/plain; version=0.0.4; charset=utf-8', text),
        (error: unknown) => answer(response, 500, 'text/plain', `${redact(String(error))}\n`),
      );
      return;
    }
    answer(response, 404, 'text/plain', 'try /metrics, /health or /live\n');
  });
  await new Promise<void>((done, fail) => {
    server.once('error', fail);
    server.listen(options.port ?? 0, host, done);
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://${host}:${port}`,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

function answer(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}
