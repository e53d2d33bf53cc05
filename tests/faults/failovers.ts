import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type StackAddresses, up } from '../../infrastructure/local/stack.ts';
import type { HistoryFile } from '../../infrastructure/readers/port.ts';
import { DAY, MINUTE, SECOND } from '../../schemas/time.ts';
import { Flights, openFlightsFile } from '../scenarios/flights.ts';
import { seeded } from '../simulation/random.ts';
import { removeStack, stackDirectory, sweepStacks } from '../stack-directory.ts';
import { audited } from './harness/stage.ts';
import { failPrimary, type ManyServers, STORES, stopStore, viewKey } from './harness/stores.ts';

const USAGE = `The flights at full speed on a Redis Cluster, then behind Sentinels, while primaries fail over; afterwards audit must be clean.
The file lasts some minutes at full speed: each round replays it under a prefix of its own, until the time is up.

  --minutes <n>  of each of the two stores (default 60)
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

/** When a primary of a store fails next, and which: they go on from round to round. */
interface Failovers {
  /** Epoch ms. */
  next: number;
  readonly random: () => number;
}

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
  readonly seconds: number;
  /** How long each failover took, ms. */
  readonly tookMs: readonly number[];
  readonly findings: readonly string[];
}

/** Fails primaries over, killed or hung, until the replay has ended; answers how long each took, ms. Throws what ends the replay. */
async function strike(
  name: string,
  store: ManyServers,
  { project }: Flights,
  replaying: Promise<unknown>,
  failovers: Failovers,
): Promise<number[]> {
  // Its failure is thrown below, once no primary is on its way.
  replaying.catch(() => {});
  const { random } = failovers;
  const took: number[] = [];
  for (;;) {
    const ended = await Promise.race([
      sleep(Math.max(0, failovers.next - Date.now()), false),
      replaying.then(() => true),
    ]);
    if (ended) return took;
    failovers.next = Date.now() + Number(values.every) * SECOND;
    const key = viewKey({ project, random });
    const how = random() < 0.5 ? 'killed' : 'hung';
    const tookMs = await failPrimary(store, key, how);
    if (tookMs === null) throw new Error(`${name} has one server alone`);
    took.push(tookMs);
    say(`${name}: the primary of ${key} was ${how}, another took over after ${tookMs} ms`);
  }
}

async function hold(
  name: string,
  store: ManyServers,
  stack: StackAddresses,
  { end, failovers }: { readonly end: number; readonly failovers: Failovers },
): Promise<Outcome> {
  const flights = new Flights(stack, 3, store.connection);
  try {
    await flights.createTopics();
    await flights.createTables();
    for (const stream of STREAMS) await flights.start([stream]);
    const file = until(await openFlightsFile(), end);
    let told = 0;
    const replaying = flights.replay(
      file,
      { from: FROM, to: FROM + 181 * DAY },
      {
        onProgress({ sent }) {
          if (Date.now() - told < MINUTE) return;
          told = Date.now();
          say(`${name}: ${sent} events sent`);
        },
      },
    );
    const tookMs = await strike(name, store, flights, replaying, failovers);
    const { sent, startedAt, finishedAt } = await replaying;
    say(`${name}: ${sent} events sent and answered; reading the books`);
    const { findings } = await audited(flights.project, flights.platform, AUDIT_WITHIN_MS);
    return {
      store: name,
      events: sent,
      seconds: (finishedAt - startedAt) / SECOND,
      tookMs,
      findings,
    };
  } finally {
    await flights.remove();
  }
}

function tell({ store, events, seconds, tookMs, findings }: Outcome): void {
  const longest = Math.max(0, ...tookMs);
  const books = findings.length === 0 ? 'audit is clean' : `${findings.length} findings`;
  say(
    `${store}: ${events} events at ${Math.round(events / Math.max(seconds, 1))} a second, ${tookMs.length} failovers of at most ${longest} ms, ${books}`,
  );
  for (const finding of findings) say(`  ${finding}`);
}

/** Rounds of the file on one store until the time is up. */
async function held(name: string, store: ManyServers, stack: StackAddresses): Promise<Outcome[]> {
  const end = Date.now() + Number(values.minutes) * MINUTE;
  const failovers = {
    next: Date.now() + Number(values.every) * SECOND,
    random: seeded(Number(values.seed)),
  };
  const rounds: Outcome[] = [];
  try {
    while (Date.now() < end) {
      const round = await hold(name, store, stack, { end, failovers });
      tell(round);
      rounds.push(round);
    }
  } finally {
    await stopStore(store);
  }
  return rounds;
}

/** All rounds of a store as one. */
function summed(rounds: readonly Outcome[]): Outcome {
  const sum = (of: (round: Outcome) => number) => rounds.reduce((total, round) => total + of(round), 0);
  return {
    store: `${rounds[0]?.store}, ${rounds.length} rounds`,
    events: sum((round) => round.events),
    seconds: sum((round) => round.seconds),
    tookMs: rounds.flatMap(({ tookMs }) => tookMs),
    findings: rounds.flatMap(({ findings }) => findings),
  };
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
      const rounds = await held(name, await open(), stack);
      if (rounds.length > 1) tell(summed(rounds));
      outcomes.push(...rounds);
    }
  } finally {
    await removeStack(dataDir);
  }
  return outcomes.length > 0 && outcomes.every(({ findings }) => findings.length === 0) ? 0 : 1;
}

process.exit(await main());
