import type { Clock } from '../../schemas/clock.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import type { Stream } from './stream.ts';
import type { Telemetry } from './telemetry.ts';

export type StreamState = 'running' | 'stopped' | 'failed';

/**
 * Runs streams side by side until the signal, and drains them. A stream mends what waiting can mend by itself;
 * one that ends with an error has met a bug or a failure that needs a person: then all stop, nothing more is
 * committed, and the error is thrown.
 */
export async function runStreams(
  streams: readonly Stream[],
  signal: AbortSignal,
  onState: (stream: string, state: StreamState) => void = () => {},
): Promise<void> {
  const failed = new AbortController();
  const stop = AbortSignal.any([signal, failed.signal]);
  const ends = await Promise.allSettled(
    streams.map(async (stream) => {
      onState(stream.name, 'running');
      try {
        await stream.run(stop);
        onState(stream.name, 'stopped');
        if (!stop.aborted) throw new Error(`stream ${stream.name} ended although nobody told it to`);
      } catch (error) {
        onState(stream.name, 'failed');
        failed.abort();
        throw error;
      }
    }),
  );
  // The first failure is the cause; those after it may be its consequence.
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5_000;

/**
 * Opens what streams need before they can begin, waiting for servers that are not there yet. Null where the
 * signal came first. Throws what waiting cannot mend.
 */
export async function untilReady<T>(
  name: string,
  clock: Clock,
  telemetry: Telemetry,
  signal: AbortSignal,
  open: () => Promise<T>,
): Promise<T | null> {
  let pause = FIRST_PAUSE_MS;
  while (!signal.aborted) {
    try {
      return await open();
    } catch (error) {
      if (!(error instanceof MillraceError) || !error.retriable) throw error;
      telemetry.failure(name, error);
      await clock.sleep(pause);
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    }
  }
  return null;
}
