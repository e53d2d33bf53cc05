import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Launch } from '../../../infrastructure/local/service.ts';

/** A server of one run, to be killed and frozen: started again it comes back at the same place with what it had on disk. */
export interface Server {
  readonly name: string;
  /** Resolves once it answers by its own protocol. */
  start(): Promise<void>;
  /** SIGKILL; resolves once it is gone. */
  kill(): Promise<void>;
  /** SIGSTOP: its connections stay open, no answer comes. */
  freeze(): void;
  thaw(): void;
  readonly alive: boolean;
}

export interface ServerSpec {
  readonly name: string;
  readonly launch: () => Promise<Launch>;
  /** One try: false or a throw means not yet. */
  readonly ready: () => Promise<boolean>;
  readonly startWithinMs: number;
  readonly logFile: string;
}

export function createServer({ name, launch, ready, startWithinMs, logFile }: ServerSpec): Server {
  let child: ChildProcess | undefined;
  const isAlive = () => child !== undefined && child.exitCode === null && child.signalCode === null;
  return {
    name,
    get alive() {
      return isAlive();
    },
    async start() {
      const { command, args, env, cwd } = await launch();
      const log = openSync(logFile, 'a');
      child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', log, log] });
      closeSync(log);
      for (const end = Date.now() + startWithinMs; ; await sleep(50)) {
        if (await ready().catch(() => false)) return;
        if (!isAlive()) throw new Error(`${name} ended while it started: see ${logFile}`);
        if (Date.now() > end)
          throw new Error(`${name} did not answer in ${startWithinMs} ms: see ${logFile}`);
      }
    },
    async kill() {
      const dying = child;
      if (dying === undefined || !isAlive()) return;
      const gone = new Promise((done) => dying.once('exit', done));
      dying.kill('SIGKILL');
      await gone;
    },
    freeze() {
      child?.kill('SIGSTOP');
    },
    thaw() {
      child?.kill('SIGCONT');
    },
  };
}
