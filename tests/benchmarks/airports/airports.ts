import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StackAddresses } from '../../../infrastructure/local/stack.ts';
import { topics } from '../../../schemas/names.ts';
import { boundsOf } from '../../../streams/runtime/topic.ts';
import { startStreams } from '../../start-streams.ts';
import { CpuMeter } from '../cpu.ts';
import { type Answers, countAnswers } from './answers.ts';
import { busySeconds, peakMegabytes } from './machine.ts';
import { type Airports, DIRECTORY, prepareAirports, removeAirports } from './project.ts';

/** Above this share of the machine used by others, a figure is not one. */
const OTHERS_LIMIT = 0.05;
const NOT_MEASURED = 'not measured';

type Figure = number | typeof NOT_MEASURED;

export interface AirportsRun {
  readonly events: number;
  readonly eventsPerSecond: Figure;
  /** Own CPU: that of the process that does the job, user and system. */
  readonly ownMicrosecondsPerEvent: Figure;
  /** By server, as `ownMicrosecondsPerEvent`. */
  readonly servers: Readonly<Record<string, Figure>>;
  readonly peakMegabytes: number;
  /** Share of the machine that processes other than these used meanwhile. */
  readonly others: number;
  readonly answers: Answers | { readonly predictions: number };
}

export interface AirportsReport {
  readonly millrace: readonly AirportsRun[];
  readonly yardstick: readonly AirportsRun[];
  /** Medians of the pairs: Millrace by yardstick. */
  readonly ratios: { readonly eventsPerSecond: Figure; readonly ownMicrosecondsPerEvent: Figure };
}

export interface AirportsOptions {
  readonly records: number;
  readonly pairs: number;
  readonly servers: ReadonlyMap<string, number>;
  readonly say: (message: string) => void;
}

/**
 * The job of docs/examples/airports: a raw topic that is full, worked off from its start to the last prediction, by Millrace (ingest,
 * features and inference in one process) and by the yardstick, one after the other.
 */
export async function measureAirports(
  stack: StackAddresses,
  options: AirportsOptions,
): Promise<AirportsReport> {
  const data = mkdtempSync(join(tmpdir(), 'millrace-airports-'));
  const millrace: AirportsRun[] = [];
  const yardstick: AirportsRun[] = [];
  try {
    for (let pair = 1; pair <= options.pairs; pair += 1)
      for (const [name, runs] of [
        ['millrace', millrace],
        ['yardstick', yardstick],
      ] as const) {
        options.say(`airports: ${name}, ${pair} of ${options.pairs}`);
        runs.push(await measureOne(stack, name, data, options));
      }
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
  return { millrace, yardstick, ratios: ratiosOf(millrace, yardstick) };
}

async function measureOne(
  stack: StackAddresses,
  name: 'millrace' | 'yardstick',
  data: string,
  { records, servers, say }: AirportsOptions,
): Promise<AirportsRun> {
  const plainModel = join(data, 'model.json');
  const airports = await prepareAirports(stack, name, { records, data, plainModel });
  let child: ChildProcess | null = null;
  try {
    child =
      name === 'millrace'
        ? await startMillrace(stack, airports, data)
        : await startYardstick(stack, airports, plainModel);
    const pid = child.pid ?? 0;
    const meter = new CpuMeter(new Map([...servers, ['own', pid], ['bench', process.pid]]));
    const busy = busySeconds();
    const started = performance.now();
    const seconds = (await untilAnswered(airports, started, child)) / 1_000;
    const { own = 0, bench = 0, ...used } = meter.used();
    const known = own + bench + Object.values(used).reduce((sum, one) => sum + one, 0);
    const others = (busySeconds() - busy - known) / seconds / cpus().length;
    const figure = (value: number): Figure => (others > OTHERS_LIMIT ? NOT_MEASURED : round(value));
    const perEvent = (cpu: number) => (cpu * 1e6) / records;
    const quick = `${Math.round(records / seconds)} events a second, ${round(perEvent(own))} us an event`;
    say(`${name}: ${quick}, others ${round(others * 100)} %`);
    return {
      events: records,
      eventsPerSecond: figure(records / seconds),
      ownMicrosecondsPerEvent: figure(perEvent(own)),
      servers: Object.fromEntries(
        Object.entries(used).map(([server, cpu]) => [server, figure(perEvent(cpu))]),
      ),
      peakMegabytes: peakMegabytes(pid),
      others: Math.max(0, Math.round(others * 1_000) / 1_000),
      answers:
        name === 'millrace' ? await countAnswers(airports) : { predictions: await predictionsOf(airports) },
    };
  } finally {
    child?.kill('SIGKILL');
    await removeAirports(airports);
  }
}

function startMillrace(
  { kafka, redis, registry, clickhouse }: StackAddresses,
  { project }: Airports,
  data: string,
): Promise<ChildProcess> {
  return startStreams(['ingest', 'features', 'inference'], {
    project: DIRECTORY,
    prefix: project.prefix,
    data,
    variables: {
      KAFKA_BROKERS: kafka.join(','),
      REDIS_URL: redis,
      REGISTRY_URL: registry,
      CLICKHOUSE_URL: clickhouse,
    },
    log: 'ignore',
  });
}

function startYardstick(stack: StackAddresses, { project, model }: Airports, file: string) {
  const { prefix } = project;
  const { source } = model.request;
  const child = spawn(
    process.execPath,
    [
      join(import.meta.dirname, 'yardstick.ts'),
      stack.kafka.join(','),
      `${prefix}.yardstick`,
      topics.raw(prefix, source),
      topics.predictions(prefix, model.name),
      topics.deadLetters(prefix, source),
      file,
    ],
    { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] },
  );
  return new Promise<ChildProcess>((ready, fail) => {
    child.once('message', () => ready(child));
    child.once('exit', (code, by) => fail(new Error(`the yardstick ended with ${code ?? by}`)));
  });
}

async function predictionsOf({ project, model, platform }: Airports): Promise<number> {
  const bounds = await boundsOf(platform.kafka, topics.predictions(project.prefix, model.name));
  return bounds.reduce((sum, { end }) => sum + end, 0);
}

/** A run without progress for so long has failed, ms. */
const STUCK_MS = 60_000;
const LOOK_EVERY_MS = 200;

/** Resolves with the ms since `started` once every good record is answered. */
async function untilAnswered(airports: Airports, started: number, child: ChildProcess): Promise<number> {
  let movedAt = performance.now();
  for (let before = 0; ; ) {
    const answered = await predictionsOf(airports);
    const now = performance.now();
    if (answered >= airports.good) return now - started;
    if (answered > before) movedAt = now;
    before = answered;
    if (child.exitCode !== null) throw new Error(`the process ended with ${child.exitCode}`);
    if (now - movedAt > STUCK_MS)
      throw new Error(`${answered} of ${airports.good} records were answered, and then none for a minute`);
    await sleep(LOOK_EVERY_MS);
  }
}

function ratiosOf(ours: readonly AirportsRun[], theirs: readonly AirportsRun[]): AirportsReport['ratios'] {
  const ratio = (of: (run: AirportsRun) => Figure): Figure => {
    const pairs = ours.flatMap((run, i) => {
      const other = theirs[i];
      const [a, b] = [of(run), other === undefined ? NOT_MEASURED : of(other)];
      return typeof a === 'number' && typeof b === 'number' ? [a / b] : [];
    });
    pairs.sort((a, b) => a - b);
    const middle = pairs[Math.floor(pairs.length / 2)];
    return middle === undefined ? NOT_MEASURED : Math.round(middle * 1_000) / 1_000;
  };
  return {
    eventsPerSecond: ratio(({ eventsPerSecond }) => eventsPerSecond),
    ownMicrosecondsPerEvent: ratio(({ ownMicrosecondsPerEvent }) => ownMicrosecondsPerEvent),
  };
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
