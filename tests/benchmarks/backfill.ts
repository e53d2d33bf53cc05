import type { HistoryFile } from '../../infrastructure/readers/port.ts';
import { backfillRange } from '../../pipelines/training/vectors.ts';
import { DAY } from '../../schemas/time.ts';
import { backfillState } from '../../streams/history/backfill.ts';
import { importHistory } from '../../streams/history/import.ts';
import { startFor } from '../../streams/history/past.ts';
import type { Flights } from '../scenarios/flights.ts';
import { CpuMeter } from './cpu.ts';

interface Pass {
  /** Events folded, or vectors made. */
  readonly count: number;
  readonly seconds: number;
  readonly perSecond: number;
  /** CPU seconds per million, by process; our own takes its workers in. */
  readonly cpuMicrosecondsEach: Readonly<Record<string, number>>;
}

export interface Backfill {
  readonly days: number;
  /** Events folded into the state of all views, written to the online store at the end. */
  readonly state: Pass;
  /** Vectors of every request of the days, the events before them that their windows reach folded too. */
  readonly vectors: Pass & { readonly events: number };
}

/** What is made of imported history: the state of all views, and the vectors of a model, of so many days up to `to`. */
export async function measureBackfill(
  flights: Flights,
  file: HistoryFile,
  { to, days }: { readonly to: number; readonly days: number },
  servers: ReadonlyMap<string, number>,
): Promise<Backfill> {
  const { project, source, model } = flights;
  const { warehouse, store, kafka } = flights.platform;
  const pids = new Map([...servers, ['millrace', process.pid] as const]);
  await flights.createTopics();
  await flights.createTables();
  const from = to - days * DAY;
  const start = startFor(project.views, from);
  await importHistory({ project, warehouse, source, file, from: start, to, now: Date.now() });
  // The newest events are folded as well as those of the longest windows before them.
  const codecs = await flights.platform.codecs();
  const state = await measured(pids, async () => {
    const { events } = await backfillState({ project, warehouse, store, kafka, codecs, to });
    return events;
  });
  let events = 0;
  const vectors = await measured(pids, async () => {
    const made = await backfillRange({ project, model, warehouse, from, to, sample: null, persist: true });
    events = made.events;
    return made.ids.length;
  });
  return { days, state, vectors: { ...vectors, events } };
}

async function measured(pids: ReadonlyMap<string, number>, work: () => Promise<number>): Promise<Pass> {
  const meter = new CpuMeter(pids);
  const started = performance.now();
  const count = await work();
  const seconds = (performance.now() - started) / 1_000;
  const used = Object.entries(meter.used()).filter(([, cpu]) => cpu > 0);
  return {
    count,
    seconds: round(seconds),
    perSecond: Math.round(count / seconds),
    cpuMicrosecondsEach: Object.fromEntries(used.map(([name, cpu]) => [name, round((cpu * 1e6) / count)])),
  };
}

const round = (value: number) => Math.round(value * 10) / 10;
