import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { up } from '../../infrastructure/local/stack.ts';
import type { HistoryFile } from '../../infrastructure/readers/port.ts';
import { keys } from '../../schemas/names.ts';
import { DAY, MINUTE, SECOND } from '../../schemas/time.ts';
import { startCluster } from '../infrastructure/redis/clusters.ts';
import { startSentinels } from '../infrastructure/redis/sentinels.ts';
import type { TestServer } from '../infrastructure/redis/server.ts';
import { Flights, openFlightsFile } from '../scenarios/flights.ts';
import { pick, seeded } from '../simulation/random.ts';
import { removeStack, stackDirectory, sweepStacks } from '../stack-directory.ts';
import type { ManyServers } from './harness/bench.ts';
import { audited } from './harness/stage.ts';

const USAGE = `The flights at full speed on a Redis Cluster, then behind Sentinels, while primaries fail over; afterwards audit must be clean.

  --minutes <n>  of each of the two (default 60)
  --every <s>    seconds from one failover to the next (default 300)
  --only <name>  cluster or sentinels
  --seed <n>     of which primaries fail, and how (default 1)
`;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    every: { type: 'string', default: '300' },
    only: { type: 'string', default: '' },
    seed: { type: 'string', default: '1' },
    help: { type: 'boolean', default: false },
  },
});

const FROM = Date.UTC(2001, 0, 1);
const AUDIT_WITHIN_MS = 5 * MINUTE;
const STREAMS = ['ingest', 'features', 'inference', 'archive'];

const began = Date.now();
const say = (line: string) =>
  process.stdout.write(`${((Date.now() - began) / SECOND).toFixed(0).padStart(5)} s  ${line}\n`);

interface Store extends ManyServers {
  readonly name: string;
  primaryOf(key: string): Promise<TestServer>;
  failedOver(key: string, old: TestServer): Promise<unknown>;
  stop(): Promise<void>;
}

const STORES: Readonly<Record<string, () => Promise<Store>>> = {
  async cluster() {
    const cluster = await startCluster();
    return { ...cluster, name: 'cluster' };
  },
  async sentinels() {
    const sentinels = await startSentinels();
    return {
      ...sentinels,
      name: 'sentinels',
      primaryOf: () => sentinels.primary(),
      failedOver: (_, old) => sentinels.failedOver(old),
    };
  },
};

/** A file that ends when the time is up. */
function until(file: HistoryFile, time: number): HistoryFile {
  return {
    ...file,
    count: (range) => file.count(range),
    async *read(range) {
      for await (const batch of file.read(range)) {
        if (Date.now() >= time) return;
        yield batch;
      }
    },
  };
}

interface Outcome {
  readonly store: string;
  readonly events: number;
  readonly perSecond: number;
  /** How long each failover took, ms. */
  readonly tookMs: readonly number[];
  readonly findings: readonly string[];
}

/** Fails primaries over in turn, killed or hung, until the replay has ended. */
async function strike(store: Store, flights: Flights, replaying: Promise<unknown>): Promise<number[]> {
  const random = seeded(Number(values.seed));
  const took: number[] = [];
  let ended = false;
  void replaying.finally(() => {
    ended = true;
  });
  for (;;) {
    await Promise.race([sleep(Number(values.every) * SECOND), replaying]);
    if (ended) return took;
    const view = pick(random, flights.project.views);
    const key = keys.viewPartition(flights.project.prefix, view.id, Math.floor(random() * view.partitions));
    const old = await store.primaryOf(key);
    const killed = random() < 0.5;
    const from = Date.now();
    if (killed) await old.kill();
    else old.freeze();
    await store.failedOver(key, old);
    took.push(Date.now() - from);
    if (killed) await old.start();
    else old.thaw();
    say(
      `${store.name}: the primary of ${view.id} was ${killed ? 'killed' : 'hung'}, another took over after ${took.at(-1)} ms`,
    );
  }
}

async function hold(store: Store, stack: Awaited<ReturnType<typeof up>>): Promise<Outcome> {
  const flights = new Flights(stack, 3, store.connection);
  try {
    await flights.createTopics();
    await flights.createTables();
    for (const name of STREAMS) await flights.start([name]);
    const file = until(await openFlightsFile(), Date.now() + Number(values.minutes) * MINUTE);
    let told = 0;
    const replaying = flights.replay(
      file,
      { from: FROM, to: FROM + 181 * DAY },
      {
        onProgress({ sent }) {
          if (Date.now() - told < MINUTE) return;
          told = Date.now();
          say(`${store.name}: ${sent} events sent`);
        },
      },
    );
    const tookMs = await strike(store, flights, replaying);
    const { sent, startedAt, finishedAt } = await replaying;
    say(`${store.name}: ${sent} events sent and answered; reading the books`);
    const { findings } = await audited(flights.project, flights.platform, AUDIT_WITHIN_MS);
    return {
      store: store.name,
      events: sent,
      perSecond: Math.round(sent / ((finishedAt - startedAt) / SECOND)),
      tookMs,
      findings,
    };
  } finally {
    await flights.remove();
  }
}

function tell({ store, events, perSecond, tookMs, findings }: Outcome): void {
  const longest = Math.max(0, ...tookMs);
  const books = findings.length === 0 ? 'audit is clean' : `${findings.length} findings`;
  say(
    `${store}: ${events} events at ${perSecond} a second, ${tookMs.length} failovers of at most ${longest} ms, ${books}`,
  );
  for (const finding of findings) say(`  ${finding}`);
}

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  await sweepStacks();
  const dataDir = stackDirectory();
  const outcomes: Outcome[] = [];
  try {
    const stack = await up({ dataDir, mode: 'native', services: ['kafka', 'registry', 'clickhouse'] });
    for (const [name, open] of Object.entries(STORES)) {
      if (!name.includes(values.only)) continue;
      const store = await open();
      const outcome = await hold(store, stack).finally(() => store.stop());
      tell(outcome);
      outcomes.push(outcome);
    }
  } finally {
    await removeStack(dataDir);
  }
  return outcomes.length > 0 && outcomes.every(({ findings }) => findings.length === 0) ? 0 : 1;
}

process.exit(await main());
