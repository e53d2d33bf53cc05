import type { HistoryFile } from '../../infrastructure/readers/port.ts';
import type { Flights } from '../scenarios/flights.ts';
import { CpuMeter } from './cpu.ts';

export interface Throughput {
  readonly events: number;
  readonly seconds: number;
  readonly eventsPerSecond: number;
  /** CPU seconds per million events, which is microseconds an event, by process. */
  readonly cpuMicrosecondsPerEvent: Readonly<Record<string, number>>;
  readonly total: number;
}

/** Every stream in a process of its own, history replayed as fast as the answers come back. */
export async function measureThroughput(
  flights: Flights,
  file: HistoryFile,
  range: { readonly from: number; readonly to: number },
  servers: ReadonlyMap<string, number>,
): Promise<Throughput> {
  await flights.createTopics();
  await flights.createTables();
  await flights.backfill(file, range.from);
  const streams = ['ingest', 'features', 'inference', 'archive'];
  const pids = new Map(servers);
  for (const name of streams) pids.set(name, (await flights.start([name])).pid ?? 0);
  pids.set('replay', process.pid);
  const meter = new CpuMeter(pids);
  const result = await flights.replay(file, range);
  const used = meter.used();
  const outcome = await flights.outcome();
  await flights.archived(outcome.accepted.length);
  const seconds = (result.finishedAt - result.startedAt) / 1_000;
  const perEvent = Object.fromEntries(
    Object.entries(used).map(([name, s]) => [name, round((s * 1e6) / result.sent)]),
  );
  return {
    events: result.sent,
    seconds: round(seconds),
    eventsPerSecond: Math.round(result.sent / seconds),
    cpuMicrosecondsPerEvent: perEvent,
    total: round(Object.values(perEvent).reduce((sum, value) => sum + value, 0)),
  };
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
