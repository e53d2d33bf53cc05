import { createServer } from 'node:net';

function listenOn(port: number): Promise<number | undefined> {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', () => done(undefined));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address();
      server.close(() => done(typeof address === 'object' && address !== null ? address.port : undefined));
    });
  });
}

/** The first of the wished ports on 127.0.0.1 that is free and not in `taken`, else any free one. */
export async function freePort(wished: readonly number[], taken: ReadonlySet<number>): Promise<number> {
  for (const port of wished) {
    if (!taken.has(port) && (await listenOn(port)) !== undefined) return port;
  }
  for (;;) {
    const port = await listenOn(0);
    if (port !== undefined && !taken.has(port)) return port;
  }
}
