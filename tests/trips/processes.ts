import type { ChildProcess } from 'node:child_process';
import { type StartOptions, startStreams } from '../start-streams.ts';

/** Processes of `millrace run`, to be killed one by one. */
export class Processes {
  readonly #where: Pick<StartOptions, 'project' | 'prefix' | 'data'>;
  readonly #alive = new Map<number, ChildProcess>();

  constructor(where: Pick<StartOptions, 'project' | 'prefix' | 'data'>) {
    this.#where = where;
  }

  /** Resolves with its process id once its streams are composed. */
  async start(streams: readonly string[], variables: Readonly<Record<string, string>>): Promise<number> {
    const child = await startStreams(streams, { ...this.#where, variables, log: 'ignore' });
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
