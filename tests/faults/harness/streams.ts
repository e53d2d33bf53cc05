import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { startStreams } from '../../start-streams.ts';

export const STREAMS = ['ingest', 'features', 'inference', 'archive'] as const;
export type StreamName = (typeof STREAMS)[number];

export interface StreamsOptions {
  /** Directory of the declarations. */
  readonly project: string;
  readonly prefix: string;
  readonly data: string;
  readonly variables: Readonly<Record<string, string>>;
  readonly logDir: string;
}

/** A process of one stream. */
interface Member {
  readonly child: ChildProcess;
  /** We ended it. */
  struck: boolean;
}

/** The processes of a project's streams: one each at first, more where members join. */
export class Streams {
  readonly #options: StreamsOptions;
  readonly #members = new Map<StreamName, Member[]>();
  /** Processes that ended although nobody ended them, a sentence each. */
  readonly ended: string[] = [];

  constructor(options: StreamsOptions) {
    this.#options = options;
  }

  /** One more process of a stream; resolves once its stream is composed. */
  async start(name: StreamName): Promise<void> {
    const { logDir, ...where } = this.#options;
    const logFile = join(logDir, `${where.prefix}-${name}.log`);
    const log = openSync(logFile, 'a');
    const child = await startStreams([name], { ...where, log }).finally(() => closeSync(log));
    const member: Member = { child, struck: false };
    child.once('exit', (code, signal) => {
      if (!member.struck) this.ended.push(`${name} ended with ${code ?? signal}: see ${logFile}`);
      this.#members.set(
        name,
        this.#of(name).filter((other) => other !== member),
      );
    });
    this.#members.set(name, [...this.#of(name), member]);
  }

  /** SIGSTOP to every process of a stream. */
  pause(name: StreamName): void {
    for (const { child } of this.#of(name)) child.kill('SIGSTOP');
  }

  goOn(name: StreamName): void {
    for (const { child } of this.#of(name)) child.kill('SIGCONT');
  }

  /** SIGKILL to every process of a stream, stopped ones too. */
  async kill(name: StreamName): Promise<void> {
    await Promise.all(this.#of(name).map((member) => end(member, 'SIGKILL')));
  }

  /** SIGTERM to the process that was started first. */
  async leave(name: StreamName): Promise<void> {
    const [first] = this.#of(name);
    if (first !== undefined) await end(first, 'SIGTERM');
  }

  async killAll(): Promise<void> {
    await Promise.all(STREAMS.map((name) => this.kill(name)));
  }

  #of(name: StreamName): readonly Member[] {
    return this.#members.get(name) ?? [];
  }
}

async function end(member: Member, signal: NodeJS.Signals): Promise<void> {
  const { child } = member;
  member.struck = true;
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((done) => child.once('exit', done));
  child.kill(signal);
  await gone;
}
