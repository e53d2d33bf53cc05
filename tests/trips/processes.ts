import { type ChildProcess, spawn } from 'node:child_process';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../..');

/** Processes of `millrace run`, to be killed one by one. */
export class Processes {
  readonly #directory: string;
  readonly #project: string;
  readonly #prefix: string;
  readonly #alive = new Map<number, ChildProcess>();

  /** @param directory theirs, for artefacts and data sets. */
  constructor(directory: string, project: string, prefix: string) {
    this.#directory = directory;
    this.#project = project;
    this.#prefix = prefix;
  }

  /** Resolves with its process id once its streams are composed. */
  async start(streams: readonly string[], variables: Readonly<Record<string, string>>): Promise<number> {
    const named = ['--prefix', this.#prefix, '--project', this.#project];
    const child = spawn(process.execPath, [join(ROOT, 'cli/millrace.ts'), 'run', ...streams, ...named], {
      cwd: this.#directory,
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      env: { ...process.env, ...variables, MILLRACE_DATA: this.#directory },
    });
    await new Promise((ready, fail) => {
      child.once('message', ready);
      child.once('exit', (code, by) => fail(new Error(`run ${streams} ended with ${code ?? by}`)));
    });
    const pid = child.pid ?? 0;
    this.#alive.set(pid, child);
    return pid;
  }

  /** SIGKILL; false where there is no such process any more. */
  kill(pid: number): boolean {
    const child = this.#alive.get(pid);
    this.#alive.delete(pid);
    return child?.kill('SIGKILL') ?? false;
  }

  killAll(): void {
    for (const pid of [...this.#alive.keys()]) this.kill(pid);
  }
}
