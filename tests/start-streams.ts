import { type ChildProcess, spawn } from 'node:child_process';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '..');

export interface StartOptions {
  /** Directory of its declarations. */
  readonly project: string;
  readonly prefix: string;
  /** Working directory; artefacts and data sets lie there. */
  readonly data: string;
  readonly variables: Readonly<Record<string, string>>;
  /** What becomes of its log: a number is an open file's. */
  readonly log: 'ignore' | 'inherit' | number;
}

/** `millrace run <streams>` as a process of its own; resolves once its streams are composed. */
export function startStreams(streams: readonly string[], options: StartOptions): Promise<ChildProcess> {
  const { project, prefix, data, variables, log } = options;
  const named = ['--prefix', prefix, '--project', project];
  const child = spawn(process.execPath, [join(ROOT, 'cli/millrace.ts'), 'run', ...streams, ...named], {
    cwd: data,
    stdio: ['ignore', 'ignore', log, 'ipc'],
    env: { ...process.env, ...variables, MILLRACE_DATA: data },
  });
  return new Promise((ready, fail) => {
    child.once('message', () => ready(child));
    child.once('exit', (code, by) =>
      fail(new Error(`millrace run ${streams.join(' ')} ended with ${code ?? by} before it was ready`)),
    );
  });
}
