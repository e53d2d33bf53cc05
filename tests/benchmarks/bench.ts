import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { down, type StackAddresses, up } from '../../infrastructure/local/stack.ts';
import { readState } from '../../infrastructure/local/state.ts';
import { HOUR } from '../../schemas/time.ts';
import { Flights, openFlightsFile } from '../scenarios/flights.ts';
import { measureAirports } from './airports/airports.ts';
import { measureFeatureReads } from './feature-reads.ts';
import { measureLatency } from './latency.ts';
import { measureThroughput } from './throughput.ts';

const HELP = `Measures the whole path on this machine, on a local stack of its own, and prints JSON.

  --hours N      hours of history to replay for the throughput (default 240)
  --seconds N    seconds of each latency run, after the warm-up (default 20)
  --rates A,B    events a second of the latency runs (default 2000,10000)
  --stack DIR    use the stack that runs there instead of starting one
  --only NAME    throughput, latency, airports
  --records N    records of the airports (default 1000000)
  --pairs N      runs of the airports, Millrace and the yardstick in turn (default 5)
`;

const { values } = parseArgs({
  options: {
    hours: { type: 'string', default: '240' },
    seconds: { type: 'string', default: '20' },
    rates: { type: 'string', default: '2000,10000' },
    stack: { type: 'string' },
    only: { type: 'string' },
    records: { type: 'string', default: '1000000' },
    pairs: { type: 'string', default: '5' },
    help: { type: 'boolean' },
  },
});

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

    if (values.only === undefined || values.only === 'airports') {
      const [records, pairs] = [Number(values.records), Number(values.pairs)];
      report.airports = await measureAirports(stack, { records, pairs, servers, say });
    }
    if (values.only !== 'airports') await measureFlights(report, stack, servers, say);
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
  say('reading the flights');
  const file = await openFlightsFile();
  const from = Date.UTC(2001, 2, 23);
  if (values.only !== 'latency') {
    say(`replaying ${values.hours} hours`);
    const flights = new Flights(stack);
    try {
      report.throughput = await measureThroughput(
        flights,
        file,
        { from, to: from + Number(values.hours) * HOUR },
        servers,
      );
      const { accepted } = await flights.outcome();
      const departures = accepted
        .map(({ event }) => event)
        .filter(({ type }) => type === flights.model.request.eventType);
      departures.sort((a, b) => a.time - b.time);
      say('reading features');
      report.featureReads = await measureFeatureReads(flights, departures.slice(-1_000));
    } finally {
      await flights.remove();
    }
  }
  if (values.only !== 'throughput') {
    const runs = [];
    for (const rate of values.rates.split(',').map(Number)) {
      say(`${rate} events a second`);
      const flights = new Flights(stack);
      try {
        runs.push(
          await measureLatency(flights, file, { from, rate, seconds: Number(values.seconds), servers }),
        );
      } finally {
        await flights.remove();
      }
    }
    report.latency = runs;
  }
}
