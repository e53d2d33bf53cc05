import { type ChildProcess, fork } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Environment } from '../environment.ts';

/** What `dev` runs beside each other, each in a process of its own. */
export const servicesOf = (apiPort: number): readonly Service[] => [
  { name: 'streams', command: ['run'] },
  { name: 'api', command: ['api', '--port', String(apiPort)] },
];

export interface Service {
  readonly name: string;
  /** Of this command line. It sends a message over IPC once it works, and drains at SIGTERM. */
  readonly command: readonly string[];
}

/** What a service says once it works. */
export interface Ready {
  /** Where it answers, if it is a server. */
  readonly url?: string;
}

interface Running {
  readonly name: string;
  readonly child: ChildProcess;
  readonly log: string;
  /** With what it said of itself. */
  readonly ready: Promise<Ready>;
  readonly ended: Promise<string>;
}

const STOP_WITHIN_MS = 10_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

/** The services of one project, started and stopped together. */
export class Children {
  readonly #environment: Environment;
  readonly #project: { readonly directory: string; readonly prefix: string };
  /** Hears a sentence about a process that ended by itself; it is started again. */
  readonly #onTrouble: (sentence: string) => void;
  readonly #running = new Map<string, Running>();
  #stopping = false;
  /** Before what ended is started again, ms; longer each time. */
  #pauseMs = FIRST_PAUSE_MS;

  constructor(
    environment: Environment,
    project: { readonly directory: string; readonly prefix: string },
    onTrouble: (sentence: string) => void,
  ) {
    this.#environment = environment;
    this.#project = project;
    this.#onTrouble = onTrouble;
  }

  /** Resolves when all of them work or have told why not, or the signal came. */
  async start(services: readonly Service[], signal: AbortSignal): Promise<readonly Ready[]> {
    this.#stopping = false;
    this.#pauseMs = FIRST_PAUSE_MS;
    const aborted = new Promise<Ready>((done) => {
      if (signal.aborted) done({});
      signal.addEventListener('abort', () => done({}), { once: true });
    });
    return Promise.all(
      services
        .map((service) => this.#begin(service))
        .map(({ ready, ended }) => Promise.race([ready, ended.then(() => ({})), aborted])),
    );
  }

  /** SIGTERM, drained; SIGKILL for one that does not end. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const all = [...this.#running.values()];
    for (const { child } of all) child.kill('SIGTERM');
    const killing = setTimeout(() => {
      for (const { child } of all) child.kill('SIGKILL');
    }, STOP_WITHIN_MS);
    await Promise.all(all.map(({ ended }) => ended));
    clearTimeout(killing);
    this.#running.clear();
  }

  #begin(service: Service): Running {
    const { variables, dataDirectory, stackDirectory, program } = this.#environment;
    const { directory, prefix } = this.#project;
    const logs = join(dataDirectory, 'logs');
    mkdirSync(logs, { recursive: true });
    const log = join(logs, `dev-${service.name}.log`);
    const output = openSync(log, 'a');
    const child = fork(program, [...service.command, '--project', directory, '--prefix', prefix], {
      stdio: ['ignore', output, output, 'ipc'],
      // A group of its own: Ctrl-C in the terminal reaches `dev` alone, which then ends all in order.
      detached: true,
      env: { ...variables, MILLRACE_DATA: dataDirectory, MILLRACE_STACK: stackDirectory },
    });
    closeSync(output);
    const ready = new Promise<Ready>((done) => child.once('message', (said) => done(said as Ready)));
    const ended = new Promise<string>((done) =>
      child.once('exit', (code, signal) => done(signal ?? `exit code ${code}`)),
    );
    const running = { name: service.name, child, log, ready, ended };
    this.#running.set(service.name, running);
    void ended.then((how) => this.#again(service, running, how));
    return running;
  }

  #again(service: Service, { log }: Running, how: string): void {
    if (this.#stopping) return;
    this.#onTrouble(
      `${service.name} ended (${how}) and is started again. The end of ${log}:\n${lastLines(log)}`,
    );
    setTimeout(() => {
      if (!this.#stopping) this.#begin(service);
    }, this.#pauseMs).unref();
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS);
  }
}

function lastLines(file: string): string {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-5).join('\n');
  } catch {
    return '';
  }
}
