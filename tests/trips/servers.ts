import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { clickhouse as service } from '../../infrastructure/local/clickhouse.ts';
import { freePort } from '../../infrastructure/local/ports.ts';

/** A server of one test: killed, it comes back at the same place with what it had. */
export interface Struck {
  readonly url: string;
  start(): Promise<void>;
  kill(): Promise<void>;
}

export async function startClickHouse(dataDir: string): Promise<Struck> {
  mkdirSync(dataDir, { recursive: true });
  const ports = { main: await freePort([], new Set()) };
  const { signal } = new AbortController();
  const installed = await service.install({ cacheDir: dataDir, report: () => undefined, signal });
  const { command, args, env, cwd } = await service.launch({ installed, dataDir, ports, kafka: '', signal });
  let child: ChildProcess | undefined;
  const struck: Struck = {
    url: service.address(ports.main),
    async start() {
      child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: 'ignore' });
      for (let tries = 0; tries < 600; tries += 1) {
        if (await service.ready(ports).catch(() => false)) return;
        await sleep(50);
      }
      throw new Error('ClickHouse did not start');
    },
    async kill() {
      const dying = child;
      if (dying === undefined || dying.exitCode !== null || dying.signalCode !== null) return;
      const gone = new Promise((done) => dying.once('exit', done));
      dying.kill('SIGKILL');
      await gone;
    },
  };
  await struck.start();
  return struck;
}

/** A line to a server on which all that is sent travels for a while, as to one far away. */
export interface SlowLine {
  readonly url: string;
  close(): Promise<void>;
}

export async function slowLine(to: string, delayMs: number): Promise<SlowLine> {
  const { hostname, port } = new URL(to);
  const open = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    for (const socket of [near, far]) {
      open.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        open.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.on('data', (bytes) => void setTimeout(() => far.write(bytes), delayMs));
    far.on('data', (bytes) => near.write(bytes));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      for (const socket of open) socket.destroy();
      await new Promise((done) => server.close(done));
    },
  };
}
