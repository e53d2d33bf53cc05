import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { StackError } from './errors.ts';
import { alive, type ProcessRecord, startOf } from './processes.ts';
import type { ServiceName } from './service.ts';

export type StackMode = 'native' | 'compose';

/** Where the running services are. A service that was not asked for is `''` (Kafka: no brokers). */
export type StackAddresses = {
  /** host:port */
  kafka: string[];
  /** redis://… */
  redis: string;
  /** http://…/apis/ccompat/v7 */
  registry: string;
  /** http://… */
  clickhouse: string;
  mode: StackMode;
};

export type RunningService = ProcessRecord & { ports: Readonly<Record<string, number>> };

/** What `<dataDir>/addresses.json` holds: the addresses, and in native mode the daemons behind them. */
export type StackState = StackAddresses & {
  services: Partial<Record<ServiceName, RunningService>>;
  /** Host ports by name, in compose mode. */
  composePorts?: Readonly<Record<string, number>>;
};

export const empty = (mode: StackMode): StackState => ({
  kafka: [],
  redis: '',
  registry: '',
  clickhouse: '',
  mode,
  services: {},
});

const fileOf = (dataDir: string) => join(dataDir, 'addresses.json');

export function readState(dataDir: string): StackState | undefined {
  try {
    return JSON.parse(readFileSync(fileOf(dataDir), 'utf8')) as StackState;
  } catch {
    return undefined;
  }
}

/** Written whole and renamed, so a reader (or a crash) never sees half of it. */
export function writeState(dataDir: string, state: StackState): void {
  mkdirSync(dataDir, { recursive: true });
  const file = fileOf(dataDir);
  writeFileSync(`${file}.new`, `${JSON.stringify(state, null, 2)}\n`);
  renameSync(`${file}.new`, file);
}

export function removeState(dataDir: string): void {
  rmSync(fileOf(dataDir), { force: true });
}

/** One `up` or `down` at a time on a data directory: waits for the other one, takes over from a dead one. */
export async function withLock<T>(dataDir: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  mkdirSync(dataDir, { recursive: true });
  const file = join(dataDir, 'lock.json');
  const mine = JSON.stringify({ pid: process.pid, started: startOf(process.pid) ?? '' });
  for (;;) {
    try {
      writeFileSync(file, mine, { flag: 'wx' });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    let holder: ProcessRecord | undefined;
    try {
      holder = JSON.parse(readFileSync(file, 'utf8')) as ProcessRecord;
    } catch {
      // Just being written, or just removed.
    }
    if (holder && !alive(holder)) rmSync(file, { force: true });
    if (signal.aborted)
      throw new StackError('interrupted', 'Interrupted while another command held the stack.');
    await sleep(50);
  }
  try {
    return await work();
  } finally {
    if (existsSync(file)) rmSync(file, { force: true });
  }
}
