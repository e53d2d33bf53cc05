import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { cacheDirectory } from '../../../infrastructure/local/places.ts';
import { freePort } from '../../../infrastructure/local/ports.ts';
import { valkey } from '../../../infrastructure/local/valkey.ts';

/** A Valkey of one test file, to be killed, stopped and flushed at will; it keeps nothing on disk. */
export interface TestServer {
  readonly url: string;
  readonly port: number;
  start(): Promise<void>;
  kill(): Promise<void>;
  /** SIGSTOP: connections stay open, no answer comes. */
  freeze(): void;
  thaw(): void;
  stop(): Promise<void>;
}

/** Makes servers drop all their keys, in a moment too short for a watch of their policy to see it. */
export async function evictAll(urls: readonly string[]): Promise<void> {
  for (const url of urls) {
    const client = new Redis(url);
    await client
      .pipeline()
      .config('SET', 'maxmemory-policy', 'allkeys-random')
      .config('SET', 'maxmemory', '1')
      .exec();
    // A server drops some at each command.
    while ((await client.dbsize()) > 0);
    await client
      .pipeline()
      .config('SET', 'maxmemory', '0')
      .config('SET', 'maxmemory-policy', 'noeviction')
      .exec();
    await client.quit();
  }
}

export interface TestServerOptions {
  /** Settings beside those that every test server has. */
  readonly extra?: readonly string[];
  /** Lines of a configuration file: the server is a Sentinel. */
  readonly sentinel?: readonly string[];
}

/** Ports that test servers of this process have; a port is free until its server listens. */
const taken = new Set<number>();

export async function testPort(): Promise<number> {
  const port = await freePort([], taken);
  taken.add(port);
  return port;
}

export async function testServer(options: TestServerOptions = {}): Promise<TestServer> {
  const program = await valkey.install({
    cacheDir: cacheDirectory(),
    report: () => undefined,
    signal: new AbortController().signal,
  });
  const directory = mkdtempSync(join(tmpdir(), 'millrace-valkey-'));
  const port = await testPort();
  const url = `redis://127.0.0.1:${port}`;
  const where = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory];
  const args = [...where, '--save', '', '--appendonly', 'no', ...(options.extra ?? [])];
  if (options.sentinel !== undefined) {
    const file = join(directory, 'sentinel.conf');
    writeFileSync(file, `${options.sentinel.join('\n')}\n`);
    args.splice(0, args.length, file, '--sentinel', ...where);
  }
  let child: ChildProcess | undefined;

  const server: TestServer = {
    url,
    port,
    async start() {
      child = spawn(program, args, { stdio: 'ignore' });
      for (let tries = 0; tries < 200; tries++) {
        if (await valkey.ready({ main: port }).catch(() => false)) return;
        await sleep(20);
      }
      throw new Error(`Valkey did not start on port ${port}`);
    },
    async kill() {
      const dying = child;
      if (dying === undefined || dying.exitCode !== null || dying.signalCode !== null) return;
      const gone = new Promise((resolve) => dying.once('exit', resolve));
      dying.kill('SIGKILL');
      await gone;
    },
    freeze() {
      child?.kill('SIGSTOP');
    },
    thaw() {
      child?.kill('SIGCONT');
    },
    async stop() {
      await server.kill();
      rmSync(directory, { recursive: true, force: true });
    },
  };
  await server.start();
  return server;
}
