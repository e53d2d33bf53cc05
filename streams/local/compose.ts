import type { Clock } from '../../schemas/clock.ts';
import { runUntil, type Stream } from '../runtime/stream.ts';

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
  withoutLocal: Stream,
  withLocal: Stream,
  clock: Pick<Clock, 'sleep'>,
  inService: () => Promise<boolean>,
): Stream {
  return {
    name: withoutLocal.name,
    async run(signal, healthy) {
      const over = async () => !(await inService().catch(() => true));
      await runUntil(withoutLocal, clock, LOOK_EVERY_MS, over, signal, healthy);
      if (!signal.aborted) await withLocal.run(signal, healthy);
    },
  };
}
