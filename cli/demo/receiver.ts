import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What has arrived so far. */
export interface Received {
  readonly deliveries: number;
  /** Changes of alerts, each counted once. */
  readonly changes: number;
  /** Deliveries that had come before under the same id. */
  readonly repeats: number;
}

export interface AlertReceiver {
  readonly url: string;
  /** `host:port`, as `connections.allow_private` names it. */
  readonly address: string;
  received(): Received;
  close(): Promise<void>;
}

/** A webhook receiver as a team would write it: it drops repeats by their delivery id. */
export async function startReceiver(): Promise<AlertReceiver> {
  const seen = new Set<string>();
  let changes = 0;
  let repeats = 0;
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const id = String(request.headers['millrace-delivery'] ?? '');
      const { alerts = [] } = JSON.parse(Buffer.concat(pieces).toString('utf8')) as { alerts?: unknown[] };
      if (seen.has(id)) repeats += 1;
      else {
        seen.add(id);
        changes += alerts.length;
      }
      response.writeHead(204).end();
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/alerts`,
    address: `127.0.0.1:${port}`,
    received: () => ({ deliveries: seen.size, changes, repeats }),
    close: () =>
      new Promise((done) => {
        server.closeAllConnections();
        server.close(() => done());
      }),
  };
}
