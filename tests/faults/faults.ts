import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { up } from '../../infrastructure/local/stack.ts';
import { removeStack, stackDirectory, sweepStacks } from '../stack-directory.ts';
import { type Bench, openBench } from './harness/bench.ts';
import { type Played, play, report } from './harness/play.ts';
import { playReplay } from './harness/replayed.ts';
import { STORES, type StoreKind } from './harness/stores.ts';
import { type Row, rowsOf, table } from './harness/table.ts';
import { pauseScenarios } from './pauses.ts';
import { SCENARIOS } from './scenarios.ts';

const USAGE = `The long form of the fault tests: every scenario once, then again with the next seed until the time is up.

  --seed <n>       first seed (default: from the clock; it is printed)
  --minutes <n>    begins no further scenario after this time (default: each scenario once)
  --only <text>    scenarios whose name contains this
  --pauses         the table of pauses instead: 1, 5, 10 and 30 s of each process, at 150 and 2,000 events a second
`;

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    minutes: { type: 'string' },
    only: { type: 'string', default: '' },
    pauses: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const began = Date.now();
const say = (line: string) =>
  process.stdout.write(`${((Date.now() - began) / 1_000).toFixed(0).padStart(5)} s  ${line}\n`);

/** One thing to play on a bench with so many brokers; answers with its rows and how it failed. */
interface Item {
  readonly name: string;
  readonly brokers: number;
  readonly store?: StoreKind | undefined;
  play(bench: Bench, seed: number): Promise<{ rows: readonly Row[]; failure: string | null }>;
}

function items(): readonly Item[] {
  const scenarios: typeof SCENARIOS = values.pauses
    ? pauseScenarios().map((scenario) => ({ scenario, brokers: 1 }))
    : SCENARIOS;
  const all: Item[] = scenarios.map(({ scenario, brokers, store }) => ({
    name: scenario.name,
    brokers,
    store,
    async play(bench, seed) {
      const played: Played = await play(bench, scenario, seed, say);
      return { rows: rowsOf(played), failure: played.problems.length === 0 ? null : report(played) };
    },
  }));
  if (!values.pauses) all.splice(2, 0, REPLAY);
  return all.filter(({ name }) => name.includes(values.only));
}

const REPLAY: Item = {
  name: 'replay',
  brokers: 1,
  async play(bench, seed) {
    const kills = ['ingest', 'features', 'inference', 'ingest', 'features', 'inference', 'archive'] as const;
    const { problems, struck } = await playReplay(bench, { seed, minutes: 10, kills });
    for (const line of struck) say(line);
    const failure = `replay failed with seed ${seed}:\n  ${problems.join('\n  ')}\nRepeat it with: make test-faults SEED=${seed} ONLY=replay`;
    return { rows: [], failure: problems.length === 0 ? null : failure };
  },
};

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const firstSeed = Number(values.seed ?? began % 1_000_000);
  const minutes = values.minutes === undefined ? null : Number(values.minutes);
  await sweepStacks();
  const stack = stackDirectory();
  const rows: Row[] = [];
  const failures: string[] = [];
  let bench: Bench | null = null;
  let servers = '';
  let played = 0;
  const timeIsUp = () => minutes !== null && Date.now() - began > minutes * 60_000;
  try {
    const { registry } = await up({ dataDir: stack, mode: 'native', services: ['registry'] });
    for (let seed = firstSeed; ; seed += 1) {
      for (const item of items()) {
        if (timeIsUp()) break;
        const wanted = `${item.brokers} ${item.store}`;
        if (bench === null || servers !== wanted) {
          await bench?.close();
          servers = wanted;
          bench = await open(registry, item);
        }
        say(`${item.name}, seed ${seed}`);
        const { rows: more, failure } = await item.play(bench, seed).catch((error: unknown) => ({
          rows: [],
          failure: `${item.name} failed with seed ${seed}: ${error instanceof Error ? error.stack : error}\nRepeat it with: make test-faults SEED=${seed} ONLY='${item.name}'`,
        }));
        played += 1;
        rows.push(...more);
        if (failure === null) continue;
        failures.push(failure);
        say(failure);
      }
      if (minutes === null || timeIsUp()) break;
    }
  } finally {
    await bench?.close();
    await removeStack(stack);
  }
  process.stdout.write(`\n${table(rows)}\n`);
  for (const failure of failures) process.stdout.write(`\n${failure}\n`);
  process.stdout.write(`\n${played - failures.length} of ${played} scenarios hold, seed ${firstSeed}\n`);
  return failures.length === 0 && played > 0 ? 0 : 1;
}

async function open(registry: string, { brokers, store }: Item): Promise<Bench> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-faults-'));
  const disks = brokers === 1 && store === undefined ? { diskMb: { redis: 256, kafka: 1_024 } } : {};
  return openBench({
    directory,
    registry,
    brokers,
    ...disks,
    ...(store ? { store: await STORES[store]() } : {}),
  });
}

process.exit(await main());
