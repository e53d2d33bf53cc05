import type { Clock } from '../../schemas/clock.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import type { Telemetry } from './telemetry.ts';

/** A part of Millrace that runs until it is told to stop, alone or beside the others. */
export interface Stream {
  readonly name: string;
  /** Resolves after a drained stop; rejects on a bug or a failure that waiting cannot mend. */
  run(signal: AbortSignal): Promise<void>;
}

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5_000;

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
): Promise<void> {
  let pause = FIRST_PAUSE_MS;
  while (!signal.aborted) {
    try {
      await runLoop(() => {
        pause = FIRST_PAUSE_MS;
      });
    } catch (error) {
      if (!(error instanceof MillraceError) || !error.retriable) throw error;
      telemetry.failure(name, error);
      await clock.sleep(pause);
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    }
  }
}
