import { readFileSync } from 'node:fs';

/** Clock ticks a second, as Linux reports CPU times in /proc. */
const TICKS = 100;

/** CPU seconds (user and system) that a process has used so far; null where it is gone or there is no /proc. */
export function cpuSeconds(pid: number): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name of the program stands in parentheses and may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS;
  } catch {
    return null;
  }
}

/** CPU seconds by name of process over a stretch of time. */
export class CpuMeter {
  readonly #pids: ReadonlyMap<string, number>;
  readonly #before: ReadonlyMap<string, number>;

  constructor(pids: ReadonlyMap<string, number>) {
    this.#pids = pids;
    this.#before = new Map([...pids].map(([name, pid]) => [name, cpuSeconds(pid) ?? 0]));
  }

  used(): Record<string, number> {
    return Object.fromEntries(
      [...this.#pids].map(([name, pid]) => [name, (cpuSeconds(pid) ?? 0) - (this.#before.get(name) ?? 0)]),
    );
  }
}

/** The value below which a share of the sorted values lies. */
export function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function quantiles(values: readonly number[]): {
  readonly n: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
} {
  const sorted = Float64Array.from(values).sort();
  return {
    n: sorted.length,
    p50: percentile(sorted, 0.5),
    p99: percentile(sorted, 0.99),
    max: sorted.at(-1) ?? Number.NaN,
  };
}
