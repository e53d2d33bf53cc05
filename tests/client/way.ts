import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A way to a server that can be cut: every connection that goes through it ends at once. */
export interface Way {
  readonly url: string;
  cut(): void;
  close(): Promise<void>;
}

export async function openWay(port: number): Promise<Way> {
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        open.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const cut = () => {
    for (const socket of open) socket.destroy();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut,
    async close() {
      cut();
      await new Promise((done) => server.close(done));
    },
  };
}
