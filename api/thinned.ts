import type { Clock } from '../schemas/clock.ts';
import type { EventSink } from './events.ts';

const SECOND_MS = 1_000;

/**
 * A sink that is written at most so many events a second: for readers that look, and cannot look at thousands. What is left out is
 * counted, and told as `skipped` before the next event that is passed on.
 */
export function thinned(sink: EventSink, most: number, clock: Pick<Clock, 'now'>): EventSink {
  let since = Number.NEGATIVE_INFINITY;
  let written = 0;
  let skipped = 0;
  return {
    get closed() {
      return sink.closed;
    },
    get congested() {
      return sink.congested;
    },
    drained: () => sink.drained(),
    write(event) {
      const now = clock.now();
      if (now - since >= SECOND_MS) {
        since = now;
        written = 0;
      }
      if (written >= most) {
        skipped += 1;
        return !sink.closed.aborted;
      }
      written += 1;
      if (skipped > 0) {
        sink.write({ id: null, event: 'skipped', data: { events: skipped } });
        skipped = 0;
      }
      return sink.write(event);
    },
  };
}
