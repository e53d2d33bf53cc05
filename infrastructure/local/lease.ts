import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { alive, type ProcessRecord, startOf } from './processes.ts';
import { readState } from './state.ts';

/**
 * Who uses the local stack. One that `millrace up` started stays until `millrace down`; one that a lease started
 * ends with the last lease, whichever process that is.
 */
export interface Lease {
  /** Ends the use. True where the stack is to be stopped now: a lease started it, and nobody uses it any more. */
  leave(): boolean;
}

const usersOf = (dataDir: string) => join(dataDir, 'users');
const leasedOf = (dataDir: string) => join(dataDir, 'leased');

/** Call before the stack is started. */
export function joinStack(dataDir: string): Lease {
  mkdirSync(usersOf(dataDir), { recursive: true });
  const file = join(usersOf(dataDir), `${process.pid}.json`);
  const own: ProcessRecord = { pid: process.pid, started: startOf(process.pid) ?? '' };
  writeFileSync(file, JSON.stringify(own));
  if (readState(dataDir) === undefined) writeFileSync(leasedOf(dataDir), '');
  return {
    leave() {
      rmSync(file, { force: true });
      if (isUsed(dataDir) || !isLeased(dataDir)) return false;
      keepStack(dataDir);
      return true;
    },
  };
}

/** Somebody wants the stack to stay. */
export function keepStack(dataDir: string): void {
  rmSync(leasedOf(dataDir), { force: true });
}

/** Whether a living process holds a lease. Those of dead ones are removed. */
export function isUsed(dataDir: string): boolean {
  let used = false;
  for (const name of namesIn(usersOf(dataDir))) {
    const file = join(usersOf(dataDir), name);
    if (holds(file)) used = true;
    else rmSync(file, { force: true });
  }
  return used;
}

const isLeased = (dataDir: string) => namesIn(dataDir).includes('leased');

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function holds(file: string): boolean {
  try {
    return alive(JSON.parse(readFileSync(file, 'utf8')) as ProcessRecord);
  } catch {
    return false;
  }
}
