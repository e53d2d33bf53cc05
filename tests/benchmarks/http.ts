import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { openKeyFile } from '../../api/middleware/keys.ts';
import { loadProject } from '../../config/load.ts';
import { down, up } from '../../infrastructure/local/stack.ts';
import { createMemoryRegistry } from '../../infrastructure/memory/registry.ts';
import { createRandom } from '../../models/random.ts';
import { openServers } from '../../platform/platform.ts';
import { topics } from '../../schemas/names.ts';
import { DAY } from '../../schemas/time.ts';
import { topicSpecs } from '../../streams/apply/apply.ts';
import { createFeatures } from '../../streams/features/features.ts';
import { SnapshotReader } from '../../streams/inference/snapshot.ts';
import { ViewFeatures } from '../../streams/inference/view-features.ts';
import { createIngest } from '../../streams/ingest/ingest.ts';
import { openCodecs } from '../../streams/runtime/codecs.ts';
import { SILENT } from '../../streams/runtime/telemetry.ts';
import { cpuSeconds, quantiles } from './cpu.ts';
import { CARDS, cardOf, writeBenchProject } from './http-project.ts';

const HELP = `Measures the HTTP API on this machine, on a Kafka and a Valkey of its own, and prints JSON: 50 features of one entity, of 100
entities, and a prediction, each beside a bare Fastify route with one MGET of the same keys in the same process.

  --seconds N   seconds of each run, after a warm-up (default 10)
  --rate N      requests a second of the open loop, one entity and predict (default 300); 100 entities: a tenth
  --stack DIR   use the stack that runs there instead of starting one
  --out FILE    write the JSON there too
`;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    rate: { type: 'string', default: '300' },
    stack: { type: 'string' },
    out: { type: 'string' },
    help: { type: 'boolean' },
  },
});

const EVENTS = 40_000;
const BEGIN = Date.UTC(2026, 0, 1);
const say = (message: string) => process.stderr.write(`${message}\n`);

if (values.help === true) process.stdout.write(HELP);
else await main();

async function main(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-http-bench-'));
  const dataDir = values.stack ?? join(directory, 'stack');
  const prefix = `bench-${randomUUID().slice(0, 8)}`;
  let child: ChildProcess | undefined;
  try {
    say('starting Kafka and Valkey');
    const stack = await up({ dataDir, mode: 'native', services: ['kafka', 'redis'] });
    const environment = { KAFKA_BROKERS: stack.kafka.join(','), REDIS_URL: stack.redis };
    writeBenchProject(directory);
    say(`folding ${EVENTS} events`);
    const last = await fill(directory, prefix, environment);
    const keyFile = join(directory, 'keys.json');
    const { key } = openKeyFile(keyFile).create({ name: 'bench', role: 'viewer', expiresAt: null });
    const server = new URL('./http-server.ts', import.meta.url).pathname;
    child = spawn(process.execPath, [server, directory, prefix, keyFile, stack.redis], {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const started = child;
    const ports = await new Promise<{ api: number; bare: number }>((done, fail) => {
      started.once('message', (message) => done(message as { api: number; bare: number }));
      started.once('exit', (code) => fail(new Error(`the server ended with ${code}`)));
    });
    const report = await measure(ports, key, last, child.pid ?? 0);
    const text = `${JSON.stringify(report, null, 2)}\n`;
    process.stdout.write(text);
    if (values.out !== undefined) writeFileSync(values.out, text);
  } finally {
    child?.disconnect();
    if (values.stack === undefined) await down({ dataDir });
    rmSync(directory, { recursive: true, force: true });
  }
}

/** A day of events of 100 cards through ingest and features; answers the newest time. */
async function fill(directory: string, prefix: string, environment: Record<string, string>): Promise<number> {
  const project = loadProject(directory, { environment, prefix });
  const platform = openServers(project, { artefacts: directory });
  const { kafka, store, clock } = platform;
  const codecs = await openCodecs(project, createMemoryRegistry());
  const admin = await kafka.admin();
  await admin.createTopics(topicSpecs(project));
  await admin.close();
  const random = createRandom(1);
  const producer = await kafka.producer();
  const timeOf = (i: number) => BEGIN + Math.floor((i * DAY) / EVENTS);
  for (let from = 0; from < EVENTS; from += 2_000)
    await producer.send(
      Array.from({ length: Math.min(2_000, EVENTS - from) }, (_, j) => {
        const card = cardOf(Math.floor(random.next() * CARDS));
        const amount = Math.round(random.next() * 100_000) / 100;
        const event = { id: `e${from + j}`, type: 'payment.made', time: timeOf(from + j), card, amount };
        return {
          topic: topics.raw(prefix, 'payments'),
          partition: 0,
          key: Buffer.from(card),
          value: codecs.encodeRaw('payments', event),
        };
      }),
    );
  await producer.close();
  const stop = new AbortController();
  const deps = { project, kafka, store, codecs, clock, telemetry: SILENT };
  const running = Promise.all(
    [createIngest(deps), createFeatures(deps)].map((stream) => stream.run(stop.signal)),
  );
  const [view] = project.views;
  if (view === undefined) throw new Error('the project has a view');
  const features = new ViewFeatures(prefix, view, new SnapshotReader(store));
  const last = timeOf(EVENTS - 1);
  for (;;) {
    const [found] = await features.read([{ entity: cardOf(0), time: null, zone: null }]);
    if (found?.status === 'read' && found.edge.asOf >= last - 30_000) break;
    await sleep(200);
  }
  stop.abort();
  await running;
  await platform.close();
  return last;
}

interface Load {
  readonly port: number;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: (i: number) => string;
}

async function measure(ports: { api: number; bare: number }, key: string, last: number, pid: number) {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const entities = JSON.stringify({ entities: Array.from({ length: CARDS }, (_, i) => cardOf(i)), at: last });
  const bare = (path: string): Load => ({
    port: ports.bare,
    method: 'GET',
    path,
    headers: {},
    body: () => '',
  });
  const loads = {
    'bare route, MGET of one entity': bare('/one'),
    'bare route, MGET of 100 entities': bare('/hundred'),
    '50 features of one entity': {
      ...bare(`/v1/features/card?entity=card-0&at=${last}`),
      port: ports.api,
      headers,
    },
    '50 features of 100 entities': {
      port: ports.api,
      method: 'POST' as const,
      path: '/v1/features/card',
      headers,
      body: () => entities,
    },
    predict: {
      port: ports.api,
      method: 'POST' as const,
      path: '/v1/models/fraud/predict',
      headers,
      body: (i: number) =>
        JSON.stringify({
          request: { id: `r${i}`, card: cardOf(i), amount: 12.5, time: last },
          on_refusal: 'error',
        }),
    },
  };
  const seconds = Number(values.seconds);
  const results: Record<string, Measured> = {};
  for (const [name, load] of Object.entries(loads)) {
    say(`measuring ${name}`);
    const rate = Number(values.rate) / (name.includes('100') ? 10 : 1);
    await openLoop(load, rate, 3, pid);
    const open = await openLoop(load, rate, seconds, pid);
    const ceiling = await closedLoop(load, Math.max(3, seconds / 3));
    results[name] = { ...open, ceilingPerSecond: ceiling };
  }
  const cpuOf = (name: string) => results[name]?.cpuMicros ?? Number.NaN;
  const ratio = (name: string, base: string) => Math.round((cpuOf(name) / cpuOf(base)) * 100) / 100;
  return {
    machine: { cores: cpus().length, model: cpus()[0]?.model ?? '', node: process.version },
    results,
    cpuAsMultipleOfTheBareRoute: {
      '50 features of one entity': ratio('50 features of one entity', 'bare route, MGET of one entity'),
      '50 features of 100 entities': ratio('50 features of 100 entities', 'bare route, MGET of 100 entities'),
      predict: ratio('predict', 'bare route, MGET of one entity'),
    },
  };
}

interface Open {
  readonly perSecond: number;
  /** From when a request was due, ms. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failed: number;
  /** Own CPU of the server's process a request, us. */
  readonly cpuMicros: number;
  /** Share of the machine that neither the server nor this process used, of what was not idle. */
  readonly othersShare: number;
}
type Measured = Open & { readonly ceilingPerSecond: number };

/** Requests at a fixed rate, whatever becomes of those before. */
async function openLoop(load: Load, rate: number, seconds: number, pid: number): Promise<Open> {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const count = Math.round(rate * seconds);
  const times: number[] = [];
  let failed = 0;
  const before = { server: cpuSeconds(pid) ?? 0, own: process.cpuUsage(), machine: machineTicks() };
  const began = performance.now();
  const under: Promise<void>[] = [];
  for (let i = 0; i < count; i += 1) {
    const due = began + (i * 1_000) / rate;
    const wait = due - performance.now();
    if (wait > 1) await sleep(wait);
    under.push(
      send(agent, load, i).then((status) => {
        times.push(performance.now() - due);
        if (status >= 300) failed += 1;
      }),
    );
  }
  await Promise.all(under);
  agent.destroy();
  const server = (cpuSeconds(pid) ?? 0) - before.server;
  const own = process.cpuUsage(before.own);
  const busy = (machineTicks() - before.machine) / 100;
  const { p50, p99 } = quantiles(times);
  return {
    perSecond: rate,
    p50Ms: rounded(p50),
    p99Ms: rounded(p99),
    failed,
    cpuMicros: Math.round((server / count) * 1e6),
    othersShare: rounded(Math.max(0, busy - server - (own.user + own.system) / 1e6) / Math.max(busy, 0.01)),
  };
}

/** As many as 16 connections get through. */
async function closedLoop(load: Load, seconds: number): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  const began = performance.now();
  let done = 0;
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      while (performance.now() - began < seconds * 1_000) {
        await send(agent, load, 1_000_000 + done);
        done += 1;
      }
    }),
  );
  agent.destroy();
  return Math.round((done * 1_000) / (performance.now() - began));
}

function send(agent: Agent, { port, method, path, headers, body }: Load, i: number): Promise<number> {
  return new Promise((done) => {
    const text = body(i);
    const one = request(
      {
        agent,
        host: '127.0.0.1',
        port,
        method,
        path,
        headers: { ...headers, 'content-length': Buffer.byteLength(text) },
      },
      (response) => {
        response.on('data', () => {});
        response.on('end', () => done(response.statusCode ?? 0));
        response.on('error', () => done(599));
      },
    );
    one.on('error', () => done(599));
    one.end(text);
  });
}

function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}

/** Ticks of all cores that were not idle. */
function machineTicks(): number {
  const line = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0] ?? '';
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return user + nice + system + irq + softirq + steal;
}
