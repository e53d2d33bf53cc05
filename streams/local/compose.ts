import type { Clock } from '../../schemas/clock.ts';
import type { Stream } from '../runtime/stream.ts';

const LOOK_EVERY_MS = 5_000;

/** Inference of a model that ingest scores: there is nothing to do, but it has a name among the streams. */
export function standby(name: string): Stream {
  return {
    name,
    run: (signal) =>
      new Promise((done) => {
        if (signal.aborted) done();
        signal.addEventListener('abort', () => done(), { once: true });
      }),
  };
}

/**
 * Ingest without its local models for as long as the definition before is in service, which inference answers by (takeover.ts); with
 * them from then on. What nobody answered in between, ingest answers when it begins.
 */
export function afterTakeover(
  without: Stream,
  within: Stream,
  clock: Pick<Clock, 'sleep'>,
  inService: () => Promise<boolean>,
): Stream {
  return {
    name: without.name,
    async run(signal, healthy) {
      const change = new AbortController();
      const stop = AbortSignal.any([signal, change.signal]);
      const running = without.run(stop, healthy).finally(() => change.abort());
      // Its failure is thrown below, once this turn of the loop has seen that it ended.
      running.catch(() => {});
      while (!stop.aborted) {
        await clock.sleep(LOOK_EVERY_MS);
        if (!stop.aborted && !(await inService().catch(() => true))) change.abort();
      }
      await running;
      if (!signal.aborted) await within.run(signal, healthy);
    },
  };
}
