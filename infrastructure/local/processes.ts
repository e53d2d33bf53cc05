import { execFileSync, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { StackError } from './errors.ts';
import type { Launch } from './service.ts';

/** `started` tells a process from a later one that was given the same number. */
export type ProcessRecord = { pid: number; started: string };

/** When the process began, as the system tells it; undefined when there is none (or it is a zombie). */
export function startOf(pid: number): string | undefined {
  if (existsSync('/proc/self/stat')) {
    try {
      // Fields after the command name, which may hold spaces and brackets; 3rd is state, 22nd the start.
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return fields[0] === 'Z' ? undefined : fields[19];
    } catch {
      return undefined;
    }
  }
  try {
    const [state, ...start] = execFileSync('ps', ['-o', 'state=,lstart=', '-p', String(pid)], {
      encoding: 'utf8',
    })
      .trim()
      .split(/\s+/);
    return state === undefined || state.startsWith('Z') ? undefined : start.join(' ');
  } catch {
    return undefined;
  }
}

export function alive(record: ProcessRecord): boolean {
  return startOf(record.pid) === record.started;
}

/**
 * Starts a daemon in a session of its own: it outlives us and a Ctrl-C in our terminal does not reach it.
 * Returns in the same tick, so that the caller can write down the process before anything can interrupt it.
 */
export function startDaemon(launch: Launch, logFile: string): ProcessRecord {
  mkdirSync(dirname(logFile), { recursive: true });
  if (existsSync(logFile) && statSync(logFile).size > 8_000_000) renameSync(logFile, `${logFile}.1`);
  const log = openSync(logFile, 'a');
  try {
    const child = spawn(launch.command, launch.args, {
      cwd: launch.cwd,
      env: { ...process.env, ...launch.env },
      detached: true,
      stdio: ['ignore', log, log],
    });
    // Told apart by the missing number below.
    child.once('error', () => undefined);
    child.unref();
    if (child.pid === undefined) {
      throw new StackError(
        'start_failed',
        `${launch.command} could not be started: is it there, and executable?`,
      );
    }
    return { pid: child.pid, started: startOf(child.pid) ?? '' };
  } finally {
    closeSync(log);
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** SIGTERM, then SIGKILL after `withinMs`; returns when the process is gone, and says whether it was forced. */
export async function stopProcess(
  record: ProcessRecord,
  withinMs: number,
): Promise<'gone' | 'stopped' | 'killed'> {
  if (!alive(record)) return 'gone';
  send(record.pid, 'SIGTERM');
  const deadline = Date.now() + withinMs;
  while (Date.now() < deadline) {
    if (!alive(record)) return 'stopped';
    await sleep(25);
  }
  send(record.pid, 'SIGKILL');
  while (alive(record)) await sleep(10);
  return 'killed';
}

export function tail(file: string, lines: number): string {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  } catch {
    return '';
  }
}
