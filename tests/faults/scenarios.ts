import { pick } from '../simulation/random.ts';
import { type Scenario, type Scheduled, UNLIMITED } from './harness/play.ts';
import type { StoreKind } from './harness/stores.ts';
import * as strikes from './harness/strikes.ts';
import { idleAfterMs, type Silence } from './harness/traffic.ts';

/** Undisturbed at first, ms. */
const WARM_MS = 2_000;

const DEFAULTS = {
  perSecond: 150,
  outOfOrdernessMs: 1_000,
  maxWait: '20ms',
  proxied: false,
  cards: 60,
  merchants: 20,
  tolerates: [],
} as const;

/** A store that forgot must be built again before it can be read. */
const REBUILDING = ['no_frontier', 'behind'];

type Random = () => number;
const between = (random: Random, from: number, to: number) => Math.round(from + random() * (to - from));

/** When a partition may fall idle, in its first silence that is long enough after `afterMs`. */
export function fallsIdleAt(silences: readonly Silence[], afterMs: number, outOfOrdernessMs: number): number {
  const idleMs = idleAfterMs(outOfOrdernessMs);
  const silence = silences
    .filter(({ from, to }) => from + idleMs > afterMs && to - from > idleMs)
    .sort((a, b) => a.from - b.from)[0];
  return silence === undefined ? afterMs : silence.from + idleMs;
}

/** One after another, each some time after the one before began. */
function inTurn(random: Random, everyMs: number, faults: readonly strikes.Fault[]): Scheduled[] {
  return faults.map((fault, i) => ({ atMs: WARM_MS + i * everyMs + between(random, 0, 1_000), fault }));
}

/** Processes killed and paused, pauses of ingest just before and just after a partition may fall idle. */
function streamsStruck(random: Random, silences: readonly Silence[], outOfOrdernessMs: number): Scheduled[] {
  const first = fallsIdleAt(silences, WARM_MS, outOfOrdernessMs);
  const second = fallsIdleAt(silences, first + 3_000, outOfOrdernessMs);
  return [
    { atMs: first - between(random, 20, 300), fault: strikes.pause('ingest', 2_000) },
    { atMs: first + 3_000 + between(random, 0, 1_000), fault: strikes.kill('inference') },
    { atMs: second + between(random, 20, 300), fault: strikes.pause('ingest', 10_000) },
    { atMs: second + 2_000, fault: strikes.kill('features') },
    { atMs: second + 10_500 + between(random, 0, 1_000), fault: strikes.kill('ingest') },
    { atMs: second + 11_000, fault: strikes.kill('archive') },
  ];
}

export const STREAMS_STRUCK: Scenario = {
  ...DEFAULTS,
  name: 'streams',
  schedule: (random, silences) => streamsStruck(random, silences, 1_000),
};

export const SERVERS_STRUCK: Scenario = {
  ...DEFAULTS,
  name: 'servers',
  tolerates: REBUILDING,
  schedule: (random) =>
    inTurn(random, 4_000, [
      strikes.killBroker(1_000),
      strikes.killClickHouse(1_000),
      strikes.cutRedis(0.02),
      strikes.freezeBroker(3_000),
      strikes.registryAway('features', 3_000),
      strikes.emptyRedis(),
    ]),
};

/** On a Redis Cluster: a slot moves under load, primaries fail over. */
export const CLUSTER_STRUCK: Scenario = {
  ...DEFAULTS,
  name: 'redis cluster',
  // A commit that no replica had yet is a state that went back.
  tolerates: REBUILDING,
  schedule: (random) =>
    inTurn(random, 2_000, [strikes.moveSlot(20), strikes.failOver('killed'), strikes.failOver('hung')]),
};

const CLUSTER_LONG: Scenario = {
  ...CLUSTER_STRUCK,
  name: 'redis cluster, longer',
  schedule: (random) =>
    inTurn(
      random,
      12_000,
      Array.from({ length: 12 }, (_, i) =>
        i % 3 === 0 ? strikes.moveSlot(50) : strikes.failOver(pick(random, ['killed', 'hung'])),
      ),
    ),
};

/** Behind Sentinels. */
export const SENTINELS_STRUCK: Scenario = {
  ...DEFAULTS,
  name: 'redis sentinels',
  tolerates: REBUILDING,
  schedule: (random) => inTurn(random, 4_000, [strikes.failOver('killed'), strikes.failOver('hung')]),
};

/** What only the long form plays. */
const LONG: readonly Scenario[] = [
  {
    ...DEFAULTS,
    name: 'streams, 5 s out of order, no limit at the gate',
    outOfOrdernessMs: 5_000,
    maxWait: UNLIMITED,
    schedule: (random, silences) => streamsStruck(random, silences, 5_000),
  },
  {
    ...DEFAULTS,
    name: 'members',
    schedule: (random) =>
      inTurn(random, 12_000, [
        strikes.join('ingest', 5_000),
        strikes.join('features', 5_000),
        strikes.join('inference', 5_000),
        strikes.join('archive', 5_000),
      ]),
  },
  {
    ...DEFAULTS,
    name: 'redis',
    tolerates: REBUILDING,
    schedule: (random) =>
      inTurn(random, 10_000, [
        strikes.killRedis(2_000),
        strikes.freezeRedis(2_000),
        strikes.freezeRedis(10_000),
        strikes.cutRedis(0.2 * random()),
        strikes.olderRedis(5_000),
        strikes.emptyRedis(),
        strikes.killRedis(10_000),
      ]),
  },
  {
    ...DEFAULTS,
    name: 'redis, no limit at the gate',
    maxWait: UNLIMITED,
    tolerates: ['behind'],
    schedule: (random) =>
      inTurn(random, 12_000, [strikes.killRedis(2_000), strikes.olderRedis(5_000), strikes.emptyRedis()]),
  },
  {
    ...DEFAULTS,
    name: 'broker',
    schedule: (random) =>
      inTurn(random, 15_000, [
        strikes.killBroker(1_000),
        strikes.freezeBroker(3_000),
        strikes.freezeBroker(12_000),
        strikes.killBroker(12_000),
      ]),
  },
  {
    ...DEFAULTS,
    name: 'clickhouse and registry',
    schedule: (random) =>
      inTurn(random, 8_000, [
        strikes.killClickHouse(500),
        strikes.killClickHouse(8_000),
        strikes.registryAway('ingest', 5_000),
        strikes.registryAway('inference', 5_000),
      ]),
  },
  {
    ...DEFAULTS,
    name: 'disks',
    tolerates: REBUILDING,
    schedule: (random) =>
      inTurn(random, 15_000, [strikes.diskFull('redis', 5_000), strikes.diskFull('kafka', 5_000)]),
  },
  {
    ...DEFAULTS,
    name: 'network',
    proxied: true,
    schedule: (random) => [
      ...inTurn(random, 12_000, [
        strikes.network('kafka', { kind: 'latency', ms: 50, jitterMs: 100 }, 5_000),
        strikes.resets('kafka', 5, 500),
        strikes.network('kafka', { kind: 'hole' }, 3_000),
        strikes.network('kafka', { kind: 'hole' }, 12_000),
        strikes.network('kafka', { kind: 'refused' }, 4_000),
      ]),
      ...inTurn(random, 12_000, [
        strikes.network('redis', { kind: 'latency', ms: 20, jitterMs: 50 }, 5_000),
        strikes.resets('redis', 5, 500),
        strikes.network('redis', { kind: 'hole' }, 3_000),
        strikes.network('redis', { kind: 'hole' }, 12_000),
        strikes.network('redis', { kind: 'refused' }, 4_000),
      ]),
    ],
  },
  {
    ...DEFAULTS,
    name: 'mixed',
    tolerates: REBUILDING,
    proxied: true,
    schedule: (random) =>
      inTurn(
        random,
        6_000,
        Array.from({ length: 10 }, () => anyFault(random)),
      ),
  },
];

function anyFault(random: Random): strikes.Fault {
  const stream = pick(random, ['ingest', 'features', 'inference', 'archive'] as const);
  return pick(random, [
    strikes.kill(stream, between(random, 0, 3_000)),
    strikes.pause(stream, between(random, 500, 12_000)),
    strikes.join(stream, between(random, 1_000, 6_000)),
    strikes.killBroker(between(random, 0, 4_000)),
    strikes.freezeBroker(between(random, 500, 10_000)),
    strikes.killRedis(between(random, 0, 4_000)),
    strikes.freezeRedis(between(random, 500, 10_000)),
    strikes.olderRedis(between(random, 500, 6_000)),
    strikes.emptyRedis(),
    strikes.killClickHouse(between(random, 0, 4_000)),
    strikes.resets(pick(random, ['kafka', 'redis'] as const), 3, 300),
    strikes.network(
      pick(random, ['kafka', 'redis'] as const),
      { kind: 'hole' },
      between(random, 500, 10_000),
    ),
  ]);
}

/** On three brokers. */
const LEADERS: Scenario = {
  ...DEFAULTS,
  name: 'leaders',
  schedule: (random) =>
    inTurn(
      random,
      20_000,
      [0, 1, 2].map((index) => strikes.moveLeader(between(random, 4_000, 10_000), index)),
    ),
};

export const SCENARIOS: ReadonlyArray<{
  readonly scenario: Scenario;
  readonly brokers: number;
  /** What holds the project's keys; default: one server. */
  readonly store?: StoreKind;
}> = [
  ...[STREAMS_STRUCK, SERVERS_STRUCK, ...LONG].map((scenario) => ({ scenario, brokers: 1 })),
  { scenario: LEADERS, brokers: 3 },
  { scenario: CLUSTER_STRUCK, brokers: 1, store: 'cluster' },
  { scenario: CLUSTER_LONG, brokers: 1, store: 'cluster' },
  { scenario: SENTINELS_STRUCK, brokers: 1, store: 'sentinels' },
];
