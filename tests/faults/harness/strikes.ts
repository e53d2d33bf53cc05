import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { lagOf, stopInHand } from './hand.ts';
import type { TcpProxy, Weather } from './proxy.ts';
import type { Server } from './server.ts';
import type { Stage } from './stage.ts';
import { failPrimary, viewKey } from './stores.ts';
import type { StreamName } from './streams.ts';

const WITHIN_MS = 120_000;
const DIES_WITHIN_MS = 10_000;

/** A fault. `subject` is what it strikes: two of the same subject are never at once. */
export interface Fault {
  readonly name: string;
  readonly subject: string;
  /** Strikes and mends; answers with what it met, null where it could not be done here. */
  strike(stage: Stage): Promise<string | null>;
}

/** SIGKILL of a stream's process with uncommitted work in hand, and a new one after a while. */
export const kill = (stream: StreamName, downMs = 0): Fault => ({
  name: `kill ${stream}`,
  subject: stream,
  async strike({ streams, positions }) {
    const lag = await stopInHand(streams, stream, positions[stream]);
    await streams.kill(stream);
    await sleep(downMs);
    await streams.start(stream);
    return `${lag} records in hand`;
  },
});

/** SIGSTOP for a while, whatever the process is about. */
export const pause = (stream: StreamName, forMs: number): Fault => ({
  name: `pause ${stream} ${forMs / 1_000} s`,
  subject: stream,
  async strike({ streams }) {
    streams.pause(stream);
    await sleep(forMs);
    streams.goOn(stream);
    return '';
  },
});

/** A second member joins, and some time later the first leaves. */
export const join = (stream: StreamName, besideMs: number): Fault => ({
  name: `join and leave ${stream}`,
  subject: stream,
  async strike({ streams }) {
    await streams.start(stream);
    await sleep(besideMs);
    await streams.leave(stream);
    return '';
  },
});

async function killed(server: Server, downMs: number): Promise<string> {
  await server.kill();
  await sleep(downMs);
  await server.start();
  return '';
}

async function frozen(server: Server, forMs: number): Promise<string> {
  server.freeze();
  await sleep(forMs);
  server.thaw();
  return '';
}

const brokerOf = ({ bench }: Stage, index: number): Server => {
  const { servers } = bench.brokers;
  const server = servers[index % servers.length];
  if (server === undefined) throw new Error('the bench has a broker');
  return server;
};

export const killBroker = (downMs: number, index = 0): Fault => ({
  name: 'kill broker',
  subject: 'kafka',
  strike: (stage) => killed(brokerOf(stage, index), downMs),
});

export const freezeBroker = (forMs: number, index = 0): Fault => ({
  name: `freeze broker ${forMs / 1_000} s`,
  subject: 'kafka',
  strike: (stage) => frozen(brokerOf(stage, index), forMs),
});

/** One of three brokers goes: its partitions are led by others meanwhile. */
export const moveLeader = (downMs: number, index: number): Fault => ({
  name: 'move leaders',
  subject: 'kafka',
  async strike(stage) {
    if (stage.bench.brokers.servers.length < 3) return null;
    return killed(brokerOf(stage, index), downMs);
  },
});

export const killRedis = (downMs: number): Fault => ({
  name: 'kill redis',
  subject: 'redis',
  strike: ({ bench }) => killed(bench.redis, downMs),
});

export const freezeRedis = (forMs: number): Fault => ({
  name: `freeze redis ${forMs / 1_000} s`,
  subject: 'redis',
  strike: ({ bench }) => frozen(bench.redis, forMs),
});

/** Killed, and the end of its append-only file is gone. */
export const cutRedis = (share: number): Fault => ({
  name: 'cut redis log',
  subject: 'redis',
  async strike({ bench: { redis } }) {
    await redis.kill();
    const bytes = redis.cut(share);
    await redis.start();
    return `${bytes} bytes cut`;
  },
});

/** Killed, and what comes back is what it had some time ago. */
export const olderRedis = (ageMs: number): Fault => ({
  name: `restore redis ${ageMs / 1_000} s older`,
  subject: 'redis',
  async strike({ bench: { redis } }) {
    redis.snapshot();
    await sleep(ageMs);
    await redis.kill();
    redis.restore();
    await redis.start();
    return '';
  },
});

/** The slot of a view partition moves to another primary, a few keys at a time. */
export const moveSlot = (stepMs: number): Fault => ({
  name: 'move slot',
  subject: 'redis',
  async strike(stage) {
    const { cluster } = stage.bench.store ?? {};
    if (cluster === undefined) return null;
    const moving = await cluster.move(viewKey(stage));
    let moved = 0;
    for (let some = await moving.keys(5); some > 0; some = await moving.keys(5)) {
      moved += some;
      await sleep(stepMs);
    }
    await moving.finish();
    return `${moved} keys moved`;
  },
});

/** The primary of a view partition is killed (or hangs) until another has taken over, and comes back as its replica. */
export const failOver = (how: 'killed' | 'hung'): Fault => ({
  name: `primary ${how}`,
  subject: 'redis',
  async strike(stage) {
    const tookMs = await failPrimary(stage.bench.store ?? {}, viewKey(stage), how);
    return tookMs === null ? null : `another took over after ${tookMs} ms`;
  },
});

export const emptyRedis = (): Fault => ({
  name: 'empty redis',
  subject: 'redis',
  async strike({ bench }) {
    const { port } = new URL(bench.redis.url);
    await new Promise<void>((done, fail) => {
      const socket = connect(Number(port), '127.0.0.1', () => socket.write('FLUSHALL\r\n'));
      socket.once('data', () => done(void socket.destroy()));
      socket.once('error', fail);
    });
    return '';
  },
});

/** While the archive has rows to insert. */
export const killClickHouse = (downMs: number): Fault => ({
  name: 'kill clickhouse',
  subject: 'clickhouse',
  async strike({ bench, positions }) {
    for (const end = Date.now() + WITHIN_MS; Date.now() < end; await sleep(20)) {
      // A broker that is struck too cannot say: ask again.
      const lag = await lagOf(positions.archive).catch(() => 0);
      if (lag === 0) continue;
      await killed(bench.clickhouse, downMs);
      return `${lag} rows to insert`;
    }
    throw new Error(`the archive had nothing to insert for ${WITHIN_MS / 1_000} s`);
  },
});

/** The registry is away while a process must start. */
export const registryAway = (stream: StreamName, forMs: number): Fault => ({
  name: 'registry away',
  subject: stream,
  async strike({ bench, streams, positions }) {
    // First: without the registry a process that is new reads no events, and the streams after it have no work.
    const lag = await stopInHand(streams, stream, positions[stream]);
    bench.registry.proxy.turn({ kind: 'refused' });
    try {
      await streams.kill(stream);
      const starting = streams.start(stream);
      await sleep(forMs);
      bench.registry.proxy.turn({ kind: 'clear' });
      await starting;
      return `${stream} killed with ${lag} records in hand`;
    } finally {
      bench.registry.proxy.turn({ kind: 'clear' });
    }
  },
});

/** The disk of a server has no room for a while; a server that died of it is started again. */
export const diskFull = (of: 'redis' | 'kafka', forMs: number): Fault => ({
  name: `disk of ${of} full`,
  subject: of,
  async strike(stage) {
    const { bench } = stage;
    const disk = bench.disks[of];
    const server = of === 'redis' ? bench.redis : brokerOf(stage, 0);
    if (disk === null) return null;
    disk.fill();
    await sleep(forMs);
    disk.empty();
    // A broker that lost its log directory ends by itself, some time later.
    for (const end = Date.now() + DIES_WITHIN_MS; server.alive && Date.now() < end; ) await sleep(100);
    const died = !server.alive;
    if (died) await server.start();
    return died ? `${of} died of it` : '';
  },
});

function proxiesOf({ bench }: Stage, of: 'redis' | 'kafka'): readonly TcpProxy[] {
  return of === 'redis' ? [bench.redis.proxy] : bench.brokers.proxies;
}

/** The network between the streams and a server. */
export const network = (of: 'redis' | 'kafka', weather: Weather, forMs: number): Fault => ({
  name: `network to ${of}: ${weather.kind} ${forMs / 1_000} s`,
  subject: of,
  async strike(stage) {
    if (!stage.options.proxied) return null;
    const proxies = proxiesOf(stage, of);
    for (const proxy of proxies) proxy.turn(weather);
    await sleep(forMs);
    for (const proxy of proxies) proxy.turn({ kind: 'clear' });
    return '';
  },
});

export const resets = (of: 'redis' | 'kafka', times: number, everyMs: number): Fault => ({
  name: `network to ${of}: ${times} resets`,
  subject: of,
  async strike(stage) {
    if (!stage.options.proxied) return null;
    for (let i = 0; i < times; i += 1) {
      for (const proxy of proxiesOf(stage, of)) proxy.reset();
      await sleep(everyMs * (0.5 + stage.random()));
    }
    return '';
  },
});
