import type { Stream } from './stream.ts';

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
