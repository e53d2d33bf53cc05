import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { down, type StackAddresses, up } from '../../infrastructure/local/stack.ts';
import { readState } from '../../infrastructure/local/state.ts';
import { HOUR } from '../../schemas/time.ts';
import { Flights, openFlightsFile } from '../scenarios/flights.ts';
import { measureAirports } from './airports/airports.ts';
import { measureBackfill } from './backfill.ts';
import { measureFeatureReads } from './feature-reads.ts';
import { measureLatency } from './latency.ts';
import { measureIdle, measureStart } from './start.ts';
import { measureThroughput } from './throughput.ts';

const HELP = `Measures the whole path on this machine, on a local stack of its own, and prints JSON.

  --hours N      hours of history to replay for the throughput (default 240)
  --seconds N    seconds of each latency run, after the warm-up (default 20)
  --rates A,B    events a second of the latency runs (default 2000,10000)
  --stack DIR    use the stack that runs there instead of starting one
  --records N    records of the airports (default 1000000)
  --pairs N      runs of the airports, Millrace and the yardstick in turn (default 5)
  --days N       days of vectors that the backfill makes (default 28)
  --only NAME    throughput, latency, airports, backfill, start, idle
`;

const { values } = parseArgs({
  options: {
    hours: { type: 'string', default: '240' },
    seconds: { type: 'string', default: '20' },
    rates: { type: 'string', default: '2000,10000' },
    days: { type: 'string', default: '28' },
    stack: { type: 'string' },
    only: { type: 'string' },
    records: { type: 'string', default: '1000000' },
    pairs: { type: 'string', default: '5' },
    help: { type: 'boolean' },
  },
});

const wants = (name: string) => values.only === undefined || values.only === name;
/** Measured on the flights. */
const FLIGHTS = ['start', 'idle', 'backfill', 'throughput', 'latency'];

if (values.help === true) process.stdout.write(HELP);
else await main();

async function main(): Promise<void> {
  const own = values.stack === undefined;
  const dataDir = values.stack ?? mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  const say = (message: string) => process.stderr.write(`${message}\n`);
  try {
    say('starting the stack');
    const stack = await up({ dataDir, mode: 'native' });
    const servers = new Map(
      Object.entries(readState(dataDir)?.services ?? {}).map(([name, service]) => [name, service.pid]),
    );
    const report: Record<string, unknown> = {
      machine: {
        cores: cpus().length,
        model: cpus()[0]?.model ?? '',
        memoryGb: Math.round(totalmem() / 2 ** 30),
        node: process.version,
      },
    };

    await measureFlights(report, stack, servers, say);
    if (wants('airports')) {
      const [records, pairs] = [Number(values.records), Number(values.pairs)];
      report.airports = await measureAirports(stack, { records, pairs, servers, say });
    }
    const text = JSON.stringify(report, null, 2);
    const target = resolve('data');
    mkdirSync(target, { recursive: true });
    writeFileSync(join(target, 'bench.json'), `${text}\n`);
    process.stdout.write(`${text}\n`);
  } finally {
    if (own) {
      await down({ dataDir });
      rmSync(dataDir, { recursive: true, force: true });
    }
  }
}

async function measureFlights(
  report: Record<string, unknown>,
  stack: StackAddresses,
  servers: ReadonlyMap<string, number>,
  say: (message: string) => void,
): Promise<void> {
  if (!FLIGHTS.some(wants)) return;
  say('reading the flights');
  const file = await openFlightsFile();
  const from = Date.UTC(2001, 2, 23);
  const on = async <T>(measure: (flights: Flights) => Promise<T>): Promise<T> => {
    const flights = new Flights(stack);
    try {
      return await measure(flights);
    } finally {
      await flights.remove();
    }
  };
  if (wants('start')) {
    say('starting commands and streams');
    report.start = await on((flights) => measureStart(flights, file, from + 12 * HOUR));
  }
  if (wants('idle')) {
    say('idle');
    report.idle = await on((flights) => measureIdle(flights, Number(values.seconds)));
  }
  if (wants('backfill')) {
    say(`backfilling ${values.days} days`);
    report.backfill = await on((flights) =>
      measureBackfill(flights, file, { to: from, days: Number(values.days) }, servers),
    );
  }
  if (wants('throughput')) {
    say(`replaying ${values.hours} hours`);
    await on(async (flights) => {
      const range = { from, to: from + Number(values.hours) * HOUR };
      report.throughput = await measureThroughput(flights, file, range, servers);
      const { accepted } = await flights.outcome();
      const departures = accepted
        .map(({ event }) => event)
        .filter(({ type }) => type === flights.model.request.eventType);
      departures.sort((a, b) => a.time - b.time);
      say('reading features');
      report.featureReads = await measureFeatureReads(flights, departures.slice(-1_000));
    });
  }
  if (wants('latency')) {
    const runs = [];
    for (const rate of values.rates.split(',').map(Number)) {
      say(`${rate} events a second`);
      const options = { from, rate, seconds: Number(values.seconds), servers };
      runs.push(await on((flights) => measureLatency(flights, file, options)));
    }
    report.latency = runs;
  }
}
