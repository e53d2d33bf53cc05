import type { Clock } from '../../schemas/clock.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import { Failing } from './failing.ts';
import type { Telemetry } from './telemetry.ts';

/** A part of Millrace that runs until it is told to stop, alone or beside the others. */
export interface Stream {
  readonly name: string;
  /**
   * Resolves after a drained stop; rejects on a bug or a failure that waiting cannot mend, and may then be run again: it
   * begins from its committed state. `healthy` hears of each round of work that went through.
   */
  run(signal: AbortSignal, healthy?: () => void): Promise<void>;
}

/**
 * Runs a stream until the signal, or until `over`, which is asked every `everyMs`, says that its time is over: it is drained either way.
 * Throws what the stream ends with.
 */
export async function runUntil(
  stream: Stream,
  clock: Pick<Clock, 'sleep'>,
  everyMs: number,
  over: () => Promise<boolean>,
  signal: AbortSignal,
  healthy?: () => void,
): Promise<void> {
  const end = new AbortController();
  const stop = AbortSignal.any([signal, end.signal]);
  const running = stream.run(stop, healthy).finally(() => end.abort());
  // Its failure is thrown below, once this turn of the loop has seen that it ended.
  running.catch(() => {});
  while (!stop.aborted) {
    await clock.sleep(everyMs);
    if (!stop.aborted && (await over())) end.abort();
  }
  await running;
}

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5_000;
/** Failures of one kind in a row from which on they are told as one that lasts. */
const TOLD_AFTER = 3;

/**
 * Runs a stream's loop until the signal says stop. `runLoop` joins the group, reads its state and works until the stop, or until
 * the world fails. What waiting can mend is waited for, ever longer up to five seconds, and the loop runs again; a bug goes through.
 */
export async function restartOnFailure(
  name: string,
  clock: Clock,
  telemetry: Telemetry,
  signal: AbortSignal,
  runLoop: (healthy: () => void) => Promise<void>,
  healthy: () => void = () => {},
): Promise<void> {
  const failing = new Failing(name, clock, telemetry);
  let pause = FIRST_PAUSE_MS;
  try {
    while (!signal.aborted) {
      try {
        await runLoop(() => {
          pause = FIRST_PAUSE_MS;
          failing.end();
          healthy();
        });
      } catch (error) {
        if (!(error instanceof MillraceError) || !error.retriable) throw error;
        telemetry.failure(name, error);
        if (failing.note(error) >= TOLD_AFTER) failing.tell(error, pause);
        await clock.sleep(pause);
        pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
      }
    }
  } finally {
    failing.end();
  }
}
