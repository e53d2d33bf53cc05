import { type ChildProcess, spawn } from 'node:child_process';
import { giveWay } from '../../infrastructure/local/give-way.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import type { StepOutcome } from '../runs/changes.ts';
import type { StepCall, StepExecutor } from '../runs/work.ts';

/** What a step's process tells the worker that started it. */
export type StepMessage =
  | { readonly kind: 'note'; readonly text: string }
  | { readonly kind: 'outcome'; readonly outcome: StepOutcome }
  | {
      readonly kind: 'failure';
      readonly message: string;
      readonly code: string;
      readonly retriable: boolean;
    };

/** A step failed in its own process; the sentence is that process's. */
export class StepFailed extends MillraceError {
  readonly code: string;
  readonly retriable: boolean;

  constructor(code: string, message: string, retriable: boolean) {
    super(message);
    this.code = code;
    this.retriable = retriable;
  }
}

/** From being told to end to being made to, ms. */
const GRACE_MS = 2_000;

export interface ChildOptions {
  /** Program and arguments of the command line of this project, up to the command: `[node, millrace.ts, --project, dir]`. */
  readonly command: readonly string[];
  /** All variables of the process; default: this process's own. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

/**
 * Does a step in a process of its own: training holds its processor for minutes, and neither the other streams
 * of this process nor the lock of the step should wait for it. It gives way to them: a training takes what the streams
 * leave of the processors. The process ends with its worker, however that ends: the channel between them breaks.
 */
export function createChildExecutor(options: ChildOptions): StepExecutor {
  return (call, signal) =>
    new Promise<StepOutcome>((resolve, reject) => {
      const [program = process.execPath, ...before] = options.command;
      const { name } = call.step.step;
      const child = spawn(
        program,
        [...before, 'pipelines', 'step', name, '--run', call.run.id, '--token', call.token],
        {
          stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
          ...(options.environment === undefined ? {} : { env: options.environment }),
        },
      );
      if (child.pid !== undefined) giveWay(child.pid);
      let said = '';
      let answer: StepMessage | undefined;
      child.stderr?.on('data', (piece: Buffer) => {
        said = (said + piece.toString()).slice(-4_000);
      });
      child.on('message', (message) => {
        const told = message as StepMessage;
        if (told.kind === 'note') call.note(told.text);
        else answer = told;
      });
      const stop = () => end(child);
      signal.addEventListener('abort', stop, { once: true });
      child.on('error', (cause) => reject(cause));
      child.on('close', (code, by) => {
        signal.removeEventListener('abort', stop);
        if (answer?.kind === 'outcome') resolve(answer.outcome);
        else if (answer?.kind === 'failure')
          reject(new StepFailed(answer.code, answer.message, answer.retriable));
        else reject(diedOf(call, code, by, said));
      });
      if (signal.aborted) stop();
    });
}

function end(child: ChildProcess): void {
  child.kill('SIGTERM');
  setTimeout(() => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  }, GRACE_MS).unref();
}

function diedOf(call: StepCall, code: number | null, by: NodeJS.Signals | null, said: string): StepFailed {
  const how = by === null ? `with code ${code}` : `by ${by}${by === 'SIGKILL' ? ' (out of memory?)' : ''}`;
  const last = said.trim().split('\n').slice(-3).join(' | ');
  return new StepFailed(
    'process_died',
    `The process of step ${call.step.step.name} ended ${how} without an answer${last === '' ? '' : `: ${last}`}`,
    true,
  );
}
