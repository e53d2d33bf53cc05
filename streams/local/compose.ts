import type { Clock } from '../../schemas/clock.ts';
import { runUntil, type Stream } from '../runtime/stream.ts';

const LOOK_EVERY_MS = 1_000;

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
 * Ingest without the local models that inference answers by their definition before (takeover.ts); with them once that is out of
 * service at two looks, so that inference has ended what it had in hand; and back, where the definition before comes back. What
 * nobody answered in between is answered by whoever begins.
 *
 * @param inService whether a model is answered by its definition before; where it throws, ingest goes on as it is.
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
      for (let local = false; !signal.aborted; local = !local) {
        let looks = 0;
        const over = async () => {
          const former = await inService().catch(() => !local);
          looks = former === local ? looks + 1 : 0;
          return looks >= (local ? 1 : 2);
        };
        await runUntil(local ? withLocal : withoutLocal, clock, LOOK_EVERY_MS, over, signal, healthy);
      }
    },
  };
}
