import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** What a network does to the connections through a proxy. */
export type Weather =
  | { readonly kind: 'clear' }
  /** Each piece arrives this much later, in order. */
  | { readonly kind: 'latency'; readonly ms: number; readonly jitterMs: number }
  /** Connections stay open and nothing arrives; what was sent arrives when the weather clears, as TCP would send it again. */
  | { readonly kind: 'hole' }
  /** No connection is taken. */
  | { readonly kind: 'refused' };

/** A TCP proxy on 127.0.0.1 to another port there. */
export interface TcpProxy {
  readonly port: number;
  turn(weather: Weather): void;
  /** Ends every connection with a reset. */
  reset(): void;
  close(): Promise<void>;
}

export async function openProxy(to: number): Promise<TcpProxy> {
  let weather: Weather = { kind: 'clear' };
  const sockets = new Set<Socket>();
  const pairs = new Set<readonly [Socket, Socket]>();
  const isHole = () => weather.kind === 'hole';

  /** Passes on what comes from one side to the other, as late as the weather says. */
  const pass = (from: Socket, onto: Socket): void => {
    let last: Promise<unknown> = Promise.resolve();
    let waiting = 0;
    const write = (bytes: Buffer) => {
      if (onto.destroyed || onto.writableEnded) return;
      if (onto.write(bytes)) return;
      from.pause();
      onto.once('drain', () => {
        if (!isHole()) from.resume();
      });
    };
    from.on('data', (bytes) => {
      const delay = weather.kind === 'latency' ? weather.ms + Math.random() * weather.jitterMs : 0;
      if (delay === 0 && waiting === 0) return write(bytes);
      waiting += 1;
      const due = sleep(delay);
      last = last
        .then(() => due)
        .then(() => {
          waiting -= 1;
          write(bytes);
        });
    });
    from.on('end', () => void last.then(() => onto.end()));
  };

  const server = createServer({ allowHalfOpen: true }, (near) => {
    if (weather.kind === 'refused') return void near.resetAndDestroy();
    const far = connect({ port: to, host: '127.0.0.1', allowHalfOpen: true });
    const pair = [near, far] as const;
    pairs.add(pair);
    for (const socket of pair) {
      socket.setNoDelay(true);
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        pairs.delete(pair);
        for (const one of pair) one.destroy();
      });
    }
    pass(near, far);
    pass(far, near);
    if (isHole()) for (const socket of pair) socket.pause();
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));

  const reset = () => {
    for (const socket of [...sockets]) socket.resetAndDestroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    turn(next) {
      weather = next;
      if (next.kind === 'refused') reset();
      for (const socket of sockets) {
        if (next.kind === 'hole') socket.pause();
        else socket.resume();
      }
    },
    reset,
    async close() {
      for (const socket of [...sockets]) socket.destroy();
      await new Promise((done) => server.close(done));
    },
  };
}
