import { cpSync, mkdirSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { clickhouse } from '../../../infrastructure/local/clickhouse.ts';
import { cacheDirectory } from '../../../infrastructure/local/places.ts';
import { freePort } from '../../../infrastructure/local/ports.ts';
import type { Launch, Service } from '../../../infrastructure/local/service.ts';
import { valkey } from '../../../infrastructure/local/valkey.ts';
import { type Brokers, openBrokers } from './brokers.ts';
import { openDisk, type SmallDisk } from './disk.ts';
import { openProxy, type TcpProxy } from './proxy.ts';
import { createServer, type Server } from './server.ts';
import { type ManyServers, stopStore } from './stores.ts';

/** The servers of a run, all to be struck. They outlive a scenario; each scenario has topics, keys and tables of its own. */
export interface Bench {
  readonly brokers: Brokers;
  readonly redis: RedisServer;
  /** What holds the project's keys instead: a Redis Cluster, or a primary behind Sentinels. */
  readonly store: ManyServers | null;
  readonly clickhouse: Server & { readonly url: string };
  /** The shared registry, behind a proxy that can take it away. */
  readonly registry: { readonly url: string; readonly proxy: TcpProxy };
  /** Small file systems that Redis and the first broker write to; null where they could not be mounted. */
  readonly disks: { readonly redis: SmallDisk | null; readonly kafka: SmallDisk | null };
  readonly directory: string;
  close(): Promise<void>;
}

export interface RedisServer extends Server {
  readonly url: string;
  /** Through a proxy. */
  readonly proxied: string;
  readonly proxy: TcpProxy;
  /** Copies its append-only file as it is now, half of a command at its end perhaps. */
  snapshot(): void;
  /** Dead: puts the last snapshot in place of what it has. */
  restore(): void;
  /** Dead: cuts the end of its append-only file, as a failure of power does. Answers with the bytes cut. */
  cut(share: number): number;
}

export interface BenchOptions {
  readonly directory: string;
  /** http address of a registry. */
  readonly registry: string;
  readonly brokers: number;
  readonly store?: ManyServers;
  /** Redis and the first broker write to file systems of this many MB, where they can be mounted. */
  readonly diskMb?: { readonly redis: number; readonly kafka: number };
}

const { signal } = new AbortController();
const quiet = () => undefined;

export async function openBench(options: BenchOptions): Promise<Bench> {
  const { directory, diskMb } = options;
  const logDir = join(directory, 'logs');
  mkdirSync(logDir, { recursive: true });
  const disks = {
    redis: diskMb === undefined ? null : openDisk(join(directory, 'redis-disk'), diskMb.redis),
    kafka: diskMb === undefined ? null : openDisk(join(directory, 'kafka-disk'), diskMb.kafka),
  };
  const [brokers, redis, warehouse, registry] = await Promise.all([
    openBrokers({
      count: options.brokers,
      dataDir: (id) => join((id === 1 ? disks.kafka?.path : null) ?? directory, `kafka-${id}`),
      logDir,
    }),
    openRedis(join(disks.redis?.path ?? directory, 'redis'), directory, logDir),
    openClickHouse(join(directory, 'clickhouse'), logDir),
    openRegistry(options.registry),
  ]);
  return {
    brokers,
    redis,
    store: options.store ?? null,
    clickhouse: warehouse,
    registry,
    disks,
    directory,
    async close() {
      const servers = [...brokers.servers, redis, warehouse];
      await Promise.all(servers.map((server) => server.kill()));
      for (const proxy of [...brokers.proxies, redis.proxy, registry.proxy]) await proxy.close();
      for (const disk of [disks.redis, disks.kafka]) disk?.close();
      await stopStore(options.store ?? {});
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function openRegistry(url: string): Promise<Bench['registry']> {
  const at = new URL(url);
  const proxy = await openProxy(Number(at.port));
  at.port = String(proxy.port);
  return { url: at.href.replace(/\/$/, ''), proxy };
}

/** A service of the local stack as a server that can be struck. */
async function ofService(
  service: Service,
  dataDir: string,
  logDir: string,
  more: readonly string[] = [],
): Promise<{ server: Server; port: number }> {
  mkdirSync(dataDir, { recursive: true });
  const installed = await service.install({ cacheDir: cacheDirectory(), report: quiet, signal });
  const ports = { main: await freePort([], new Set()) };
  const server = createServer({
    name: service.name,
    launch: async (): Promise<Launch> => {
      const launch = await service.launch({ installed, dataDir, ports, kafka: '', signal });
      return { ...launch, args: [...launch.args, ...more] };
    },
    ready: () => service.ready(ports),
    startWithinMs: service.startWithinMs,
    logFile: join(logDir, `${service.name}.log`),
  });
  await server.start();
  return { server, port: ports.main };
}

async function openClickHouse(dataDir: string, logDir: string): Promise<Bench['clickhouse']> {
  const { server, port } = await ofService(clickhouse, dataDir, logDir);
  return Object.assign(server, { url: clickhouse.address(port) });
}

async function openRedis(dataDir: string, directory: string, logDir: string): Promise<RedisServer> {
  const { server, port } = await ofService(valkey, dataDir, logDir);
  const proxy = await openProxy(port);
  const files = join(dataDir, 'appendonlydir');
  const kept = join(directory, 'redis-snapshot');
  return Object.assign(server, {
    url: valkey.address(port),
    proxied: valkey.address(proxy.port),
    proxy,
    snapshot() {
      rmSync(kept, { recursive: true, force: true });
      cpSync(files, kept, { recursive: true });
    },
    restore() {
      rmSync(files, { recursive: true, force: true });
      cpSync(kept, files, { recursive: true });
    },
    cut(share: number) {
      const name = readdirSync(files).find((one) => one.endsWith('.incr.aof'));
      if (name === undefined) throw new Error(`${files} holds no append-only file`);
      const file = join(files, name);
      const { size } = statSync(file);
      const bytes = Math.floor(size * share);
      truncateSync(file, size - bytes);
      return bytes;
    },
  });
}
