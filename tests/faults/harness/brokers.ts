import { mkdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exists, run } from '../../../infrastructure/local/install.ts';
import { kafka as service } from '../../../infrastructure/local/kafka.ts';
import { cacheDirectory } from '../../../infrastructure/local/places.ts';
import { freePort } from '../../../infrastructure/local/ports.ts';
import { kafkaHeap, kafkaSettings } from '../../../infrastructure/local/settings.ts';
import { openProxy, type TcpProxy } from './proxy.ts';
import { createServer, type Server } from './server.ts';

/** Kafka brokers of one run. Each listens twice: directly, and behind a proxy of ours that its metadata names. */
export interface Brokers {
  readonly servers: readonly Server[];
  readonly proxies: readonly TcpProxy[];
  /** host:port of each, directly; and through its proxy. */
  readonly direct: readonly string[];
  readonly proxied: readonly string[];
}

interface Node {
  readonly id: number;
  readonly home: string;
  readonly ports: { readonly direct: number; readonly behind: number; readonly controller: number };
  readonly proxy: TcpProxy;
}

const QUIET = ['-Dorg.slf4j.simpleLogger.defaultLogLevel=warn', '-Dorg.slf4j.simpleLogger.showDateTime=true'];
const CLUSTER_ID = 'bWlsbHJhY2UtZmF1bHRzMQ';

/** `dataDir` of a broker may be a small file system of its own. */
export async function openBrokers(options: {
  readonly count: number;
  readonly dataDir: (id: number) => string;
  readonly logDir: string;
}): Promise<Brokers> {
  const taken = new Set<number>();
  const port = async () => {
    const one = await freePort([], taken);
    taken.add(one);
    return one;
  };
  const nodes: Node[] = [];
  for (let id = 1; id <= options.count; id += 1) {
    const home = options.dataDir(id);
    mkdirSync(home, { recursive: true });
    const ports = { direct: await port(), behind: await port(), controller: await port() };
    nodes.push({ id, home, ports, proxy: await openProxy(ports.behind) });
  }
  const { signal } = new AbortController();
  const installed = await service.install({ cacheDir: cacheDirectory(), report: () => undefined, signal });
  const classPath = ['-cp', join(installed, 'jars', '*'), ...QUIET];
  const servers = nodes.map((node) => {
    const file = join(node.home, 'server.properties');
    return createServer({
      name: `kafka ${node.id}`,
      launch: async () => {
        await writeFile(file, properties(node, nodes));
        if (!(await exists(join(node.home, 'log', 'meta.properties')))) await format(classPath, file);
        const args = [...kafkaHeap, ...classPath, 'kafka.Kafka', file];
        return { command: 'java', args, env: {}, cwd: node.home };
      },
      ready: () => service.ready({ main: node.ports.direct }),
      startWithinMs: service.startWithinMs,
      logFile: join(options.logDir, `kafka-${node.id}.log`),
    });
  });
  await Promise.all(servers.map((server) => server.start()));
  return {
    servers,
    proxies: nodes.map(({ proxy }) => proxy),
    direct: nodes.map(({ ports }) => `127.0.0.1:${ports.direct}`),
    proxied: nodes.map(({ proxy }) => `127.0.0.1:${proxy.port}`),
  };
}

async function format(classPath: readonly string[], file: string): Promise<void> {
  const tool = ['kafka.tools.StorageTool', 'format', '-t', CLUSTER_ID, '-c', file];
  const flags = ['-Xmx128m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];
  const ran = await run('java', [...flags, ...classPath, ...tool], { signal: new AbortController().signal });
  if (ran.code !== 0) throw new Error(`Kafka could not format ${file}: ${ran.stderr.slice(0, 400)}`);
}

function properties({ id, home, ports, proxy }: Node, nodes: readonly Node[]): string {
  const direct = `DIRECT://127.0.0.1:${ports.direct}`;
  const all: Record<string, string> = {
    ...kafkaSettings,
    ...(nodes.length > 1 ? replicated(nodes.length) : {}),
    'process.roles': 'broker,controller',
    'node.id': String(id),
    'controller.quorum.voters': nodes
      .map((node) => `${node.id}@127.0.0.1:${node.ports.controller}`)
      .join(','),
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'DIRECT',
    listeners: `${direct},BEHIND://127.0.0.1:${ports.behind},CONTROLLER://127.0.0.1:${ports.controller}`,
    'advertised.listeners': `${direct},BEHIND://127.0.0.1:${proxy.port}`,
    'listener.security.protocol.map': 'DIRECT:PLAINTEXT,BEHIND:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': join(home, 'log'),
  };
  return `${Object.entries(all)
    .map(([name, value]) => `${name}=${value}`)
    .join('\n')}\n`;
}

/** Copies on every broker, acknowledged by two; a dead broker is found out in three seconds. */
function replicated(brokers: number): Record<string, string> {
  return {
    'default.replication.factor': String(brokers),
    'min.insync.replicas': '2',
    'offsets.topic.replication.factor': String(brokers),
    'transaction.state.log.replication.factor': String(brokers),
    'transaction.state.log.min.isr': '2',
    'share.coordinator.state.topic.replication.factor': String(brokers),
    'share.coordinator.state.topic.min.isr': '2',
    'broker.session.timeout.ms': '3000',
    'broker.heartbeat.interval.ms': '500',
    'replica.lag.time.max.ms': '3000',
  };
}
