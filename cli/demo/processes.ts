import { fork } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createLogger } from '../../infrastructure/telemetry/logger.ts';
import { createTelemetry } from '../../infrastructure/telemetry/telemetry.ts';
import { createStepExecutor } from '../../pipelines/steps/execute.ts';
import { composeStreams, STREAM_NAMES, type StreamName } from '../../platform/compose.ts';
import type { Platform } from '../../platform/platform.ts';
import { stepTools } from '../../platform/step-tools.ts';
import type { Project } from '../../schemas/project.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import { runStreams } from '../../streams/runtime/supervise.ts';
import type { CommandContext } from '../command.ts';
import type { Environment } from '../environment.ts';
import { codeVersion } from '../version.ts';

/** Streams that run in processes of their own, beside this one. */
export interface RunningStreams {
  /** Rejects when a process ends that was not told to. */
  readonly failed: Promise<never>;
  /** Process ids, by the streams they run. */
  readonly pids: ReadonlyMap<string, number>;
  /** SIGTERM, drained; SIGKILL for one that does not end. */
  stop(): Promise<void>;
}

export class StreamsEnded extends MillraceError {
  readonly code = 'streams_ended';
  readonly retriable = false;
}

const STOP_WITHIN_MS = 10_000;

/**
 * Starts `millrace run` once for each group of streams and resolves when all of them work. The processes have a
 * group of their own, so a Ctrl-C in the terminal reaches this process first; they end when it is gone.
 */
export async function startProcesses(
  context: CommandContext,
  project: { readonly directory: string; readonly prefix: string },
  groups: ReadonlyArray<readonly StreamName[]>,
): Promise<RunningStreams> {
  const { environment } = context;
  const logs = join(environment.dataDirectory, 'logs');
  mkdirSync(logs, { recursive: true });
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => {});
  let stopping = false;

  const started = groups.map((names) => {
    const label = names.join('-');
    const log = join(logs, `demo-${label}.log`);
    const output = openSync(log, 'w');
    const child = fork(
      environment.program,
      ['run', ...names, '--project', project.directory, '--prefix', project.prefix],
      {
        stdio: ['ignore', output, output, 'ipc'],
        detached: true,
        env: {
          ...environment.variables,
          MILLRACE_DATA: environment.dataDirectory,
          MILLRACE_STACK: environment.stackDirectory,
        },
      },
    );
    closeSync(output);
    const ready = new Promise<void>((done) => child.once('message', () => done()));
    const ended = new Promise<void>((done) =>
      child.once('exit', (code, signal) => {
        if (!stopping)
          failure.reject(
            new StreamsEnded(
              `The process of ${names.join(', ')} ended (${signal ?? `exit code ${code}`}). The end of ${log}:\n${lastLines(log)}`,
            ),
          );
        done();
      }),
    );
    return { label, child, ready, ended };
  });

  const stop = async (): Promise<void> => {
    stopping = true;
    for (const { child } of started) child.kill('SIGTERM');
    const killing = setTimeout(() => {
      for (const { child } of started) child.kill('SIGKILL');
    }, STOP_WITHIN_MS);
    await Promise.all(started.map(({ ended }) => ended));
    clearTimeout(killing);
  };
  try {
    await Promise.race([
      Promise.all(started.map(({ ready }) => ready)),
      failure.promise,
      aborted(context.signal),
    ]);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    failed: failure.promise,
    pids: new Map(started.map(({ label, child }) => [label, child.pid ?? 0])),
    stop,
  };
}

/** The same streams in this process, on whatever the platform is. */
export async function startInProcess(
  project: Project,
  platform: Platform,
  { dataDirectory, packageDirectory }: Environment,
): Promise<RunningStreams> {
  const logger = createLogger({ process: 'demo', file: join(dataDirectory, 'logs/demo-embedded.log') });
  const telemetry = createTelemetry({ process: 'demo', logger });
  const { kafka, store, warehouse, artefacts, clock, queue } = platform;
  const execute = createStepExecutor(
    stepTools(platform, project, { dataDirectory, codeVersion: codeVersion(packageDirectory), beside: true }),
  );
  const codecs = await platform.codecs();
  const composed = await composeStreams(
    { project, kafka, store, warehouse, artefacts, clock, codecs, telemetry, pipelines: { queue, execute } },
    STREAM_NAMES,
  );
  const stop = new AbortController();
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => {});
  const running = runStreams(composed.streams, stop.signal, { clock, telemetry }).catch(failure.reject);
  return {
    failed: failure.promise,
    pids: new Map([[STREAM_NAMES.join('-'), process.pid]]),
    async stop() {
      stop.abort();
      await running;
      await composed.close();
    },
  };
}

/** Rejects with an AbortError when the signal comes. */
export function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, fail) => {
    const end = () => fail(new DOMException('Stopped.', 'AbortError'));
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
}

function lastLines(file: string): string {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-5).join('\n');
  } catch {
    return '';
  }
}
