import { describe, expect, it } from 'vitest';
import type { EventSink, SentEvent } from '../../api/events.ts';
import { thinned } from '../../api/thinned.ts';

/** A sink that keeps what it is given, and a clock that is set. */
function world(most: number) {
  const got: string[] = [];
  const closing = new AbortController();
  let now = 0;
  const sink: EventSink = {
    closed: closing.signal,
    congested: false,
    drained: async () => true,
    write: ({ event, data }) => {
      if (closing.signal.aborted) return false;
      got.push(event === 'skipped' ? `skipped ${(data as { events: number }).events}` : String(data));
      return true;
    },
  };
  const thin = thinned(sink, most, { now: () => now });
  const write = (data: number) => thin.write({ id: String(data), event: 'prediction', data } as SentEvent);
  const at = (time: number) => {
    now = time;
  };
  return { got, closing, write, at };
}

describe('a sink that passes on so many events a second', () => {
  it('leaves out the rest, and tells how many with the next one', () => {
    const { got, write, at } = world(3);
    for (let i = 0; i < 10; i += 1) expect(write(i)).toBe(true);
    at(999);
    write(10);
    expect(got).toEqual(['0', '1', '2']);
    at(1_000);
    write(11);
    expect(got).toEqual(['0', '1', '2', 'skipped 8', '11']);
  });

  it('passes on all where fewer come', () => {
    const { got, write, at } = world(2);
    for (let i = 0; i < 10; i += 1) {
      at(i * 600);
      write(i);
    }
    expect(got).toEqual(Array.from({ length: 10 }, (_, i) => String(i)));
  });

  it('says when its reader is gone, whether or not it would have passed the event on', () => {
    const { closing, write } = world(1);
    write(0);
    closing.abort();
    expect(write(1)).toBe(false);
  });
});
