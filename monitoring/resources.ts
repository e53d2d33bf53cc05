import { constants, monitorEventLoopDelay, PerformanceObserver, performance } from 'node:perf_hooks';
import type { Warehouse } from '../infrastructure/clickhouse/port.ts';
import type { Clock } from '../schemas/clock.ts';
import type { Measure } from '../schemas/monitoring.ts';
import { asError, MillraceError } from '../schemas/refusal.ts';
import type { Telemetry } from '../streams/runtime/telemetry.ts';
import { measure, writeMeasures } from './measures.ts';

export interface ResourceDeps {
  readonly warehouse: Warehouse;
  readonly prefix: string;
  /** Name of this process among others: `run inference 4711`. */
  readonly process: string;
  readonly clock: Clock;
  readonly telemetry: Pick<Telemetry, 'failure'>;
  /** ms between two samples; default 15 s. */
  readonly everyMs?: number;
}

const EVERY_MS = 15_000;
/** How soon a stop is heard. */
const LOOK_MS = 250;

/**
 * Until the signal: what this process uses, as measures of kind `resource` with wall time as their window. CPU in
 * cores (1 is one core busy all the time), memory in bytes, event-loop delay in ms (how much longer than asked a timer
 * took), GC as a share of the time. A sample that cannot be written is told of and dropped.
 */
export async function sampleResources(deps: ResourceDeps, signal: AbortSignal): Promise<void> {
  const { warehouse, prefix, clock, telemetry, everyMs = EVERY_MS } = deps;
  const sampler = createSampler(deps.process, clock.now());
  /** What is wrong is told once, not each time. */
  let failing = '';
  try {
    while (!signal.aborted) {
      const end = clock.now() + everyMs;
      while (!signal.aborted && clock.now() < end) await clock.sleep(Math.min(LOOK_MS, everyMs));
      const measures = sampler.measure(clock.now());
      try {
        await writeMeasures(warehouse, prefix, `resource ${deps.process}`, measures, clock.now());
        failing = '';
      } catch (error) {
        // Whatever it is: a sample that is lost ends nothing.
        const known = asError(error);
        const code = known instanceof MillraceError ? known.code : known.name;
        if (failing !== code) telemetry.failure('resources', known);
        failing = code;
      }
    }
  } finally {
    sampler.close();
  }
}

/** What has been used since the last `take`. */
export function createSampler(name: string, start: number) {
  const delays = monitorEventLoopDelay({ resolution: 20 });
  delays.enable();
  let [collections, collecting, major] = [0, 0, 0];
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      // Node's own entries carry it; the type of the web does not.
      const { kind } = (entry as unknown as { readonly detail: { readonly kind: number } }).detail;
      collections += 1;
      collecting += entry.duration;
      if (kind === constants.NODE_PERFORMANCE_GC_MAJOR) major += 1;
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  let from = start;
  let cpu = process.cpuUsage();
  let since = performance.now();

  return {
    measure(now: number): Measure[] {
      const elapsed = Math.max(1, performance.now() - since);
      const used = process.cpuUsage(cpu);
      const memory = process.memoryUsage();
      const figure = (
        statistic: string,
        value: number,
        detail: object,
        high: number | null = null,
      ): Measure =>
        measure({
          kind: 'resource',
          statistic,
          subject: name,
          from,
          to: Math.max(now, from + 1),
          tick: Math.max(now, from + 1),
          value,
          high,
          rows: 1,
          detail,
        });
      // The histogram holds what timers took, its own 20 ms among it.
      const ms = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - 20);
      const measures = [
        figure('cpu', (used.user + used.system) / 1_000 / elapsed, { unit: 'cores' }),
        figure('memory', memory.rss, { unit: 'bytes', heap: memory.heapUsed, external: memory.external }),
        figure(
          'event_loop_delay',
          delays.count === 0 ? 0 : ms(delays.percentile(99)),
          { unit: 'ms', of: 'p99' },
          delays.count === 0 ? 0 : ms(delays.max),
        ),
        figure('gc', collecting / elapsed, { unit: 'share', collections, major }),
      ];
      [collections, collecting, major] = [0, 0, 0];
      delays.reset();
      from = Math.max(now, from + 1);
      cpu = process.cpuUsage();
      since = performance.now();
      return measures;
    },
    close(): void {
      delays.disable();
      observer.disconnect();
    },
  };
}
