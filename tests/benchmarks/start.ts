import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { HistoryFile } from '../../infrastructure/readers/port.ts';
import { STREAM_NAMES } from '../../platform/compose.ts';
import { HOUR } from '../../schemas/time.ts';
import type { Flights } from '../scenarios/flights.ts';
import { cpuSeconds } from './cpu.ts';

/** Of a few rounds the least of each: wall clock and CPU of the process, ms; its memory, MB. */
interface Cost {
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly memoryMb: number;
}

export interface Start {
  /** From the start of the process to its end. */
  readonly commands: Readonly<Record<string, Cost>>;
  /** From the start of a process with one stream until it is composed, which is when it goes to work. */
  readonly streams: Readonly<Record<string, Cost>>;
}

export interface Idle {
  readonly seconds: number;
  /** Share of one core. */
  readonly cpu: number;
  readonly memoryMb: number;
}

const ROUNDS = 3;

/** What it costs to start commands and streams. */
export async function measureStart(flights: Flights, file: HistoryFile, from: number): Promise<Start> {
  await prepare(flights);
  // An hour of flights, so that there are features to get.
  const child = await flights.start(['ingest', 'features', 'inference']);
  await flights.replay(file, { from, to: from + HOUR });
  child.kill('SIGTERM');
  await once(child, 'exit');
  const commands: Record<string, Cost> = {};
  for (const command of ['--help', 'features get origin=ORD', 'run --help'])
    commands[command] = await least(() => commandCost(flights, command.split(' ')));
  const streams: Record<string, Cost> = {};
  for (const name of STREAM_NAMES) streams[name] = await least(() => streamCost(flights, name));
  return { commands, streams };
}

/** All streams in one process that have nothing to do. */
export async function measureIdle(flights: Flights, seconds: number): Promise<Idle> {
  await prepare(flights);
  const child = await flights.start(STREAM_NAMES);
  const pid = child.pid ?? 0;
  // Groups are joined, and what was there is read.
  await flights.platform.clock.sleep(15_000);
  const before = cpuSeconds(pid) ?? Number.NaN;
  await flights.platform.clock.sleep(seconds * 1_000);
  const cpu = ((cpuSeconds(pid) ?? Number.NaN) - before) / seconds;
  return { seconds, cpu: Math.round(cpu * 1_000) / 1_000, memoryMb: memoryOf(pid) };
}

async function prepare(flights: Flights): Promise<void> {
  await flights.createTopics();
  await flights.createTables();
}

async function least(measure: () => Promise<Cost>): Promise<Cost> {
  const rounds: Cost[] = [];
  for (let round = 0; round < ROUNDS; round += 1) rounds.push(await measure());
  const of = (name: keyof Cost) => Math.round(Math.min(...rounds.map((one) => one[name])));
  return { wallMs: of('wallMs'), cpuMs: of('cpuMs'), memoryMb: of('memoryMb') };
}

/** Sends what the process used as the last thing that it does. */
const TELL_USAGE = `data:text/javascript,${encodeURIComponent(
  // The peak that the system tells takes in the process that forked this one.
  `process.on('exit', () => process.send?.({ ...process.resourceUsage(), rss: process.memoryUsage.rss() }));`,
)}`;

async function commandCost(flights: Flights, parameters: readonly string[]): Promise<Cost> {
  const started = performance.now();
  const child = flights.command(parameters, ['--import', TELL_USAGE]);
  const told = once(child, 'message') as Promise<[NodeJS.ResourceUsage & { rss: number }]>;
  const [code] = (await once(child, 'exit')) as [number];
  const wallMs = performance.now() - started;
  if (code !== 0) throw new Error(`millrace ${parameters.join(' ')} ended with ${code}`);
  const [{ userCPUTime, systemCPUTime, rss }] = await told;
  return { wallMs, cpuMs: (userCPUTime + systemCPUTime) / 1_000, memoryMb: rss / 2 ** 20 };
}

async function streamCost(flights: Flights, name: string): Promise<Cost> {
  const started = performance.now();
  const child = await flights.start([name]);
  const pid = child.pid ?? 0;
  const cost = {
    wallMs: performance.now() - started,
    cpuMs: (cpuSeconds(pid) ?? Number.NaN) * 1_000,
    memoryMb: memoryOf(pid),
  };
  child.kill('SIGTERM');
  await once(child, 'exit');
  return cost;
}

/** Resident memory, MB; NaN where there is no /proc. */
function memoryOf(pid: number): number {
  try {
    const [kb] = /(?<=VmRSS:\s*)\d+/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return Math.round(Number(kb) / 1_024);
  } catch {
    return Number.NaN;
  }
}
