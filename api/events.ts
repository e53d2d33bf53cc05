import type { ServerResponse } from 'node:http';

/** One server-sent event. */
export interface SentEvent {
  /** Where a reader goes on who was cut off after it (`Last-Event-ID`); null = it cannot. */
  readonly id: string | null;
  readonly event: string;
  readonly data: unknown;
}

/** What a handler answers with for a stream of events. */
export class EventStream {
  readonly open: (sink: EventSink) => Promise<() => Promise<void> | void>;

  /** `open` begins to write to the sink and answers with how to end. */
  constructor(open: EventStream['open']) {
    this.open = open;
  }
}

export interface EventSink {
  /** False once the reader is gone. Never waits: a reader that does not keep up is dropped. */
  write(event: SentEvent): boolean;
  /** Resolves when what was written has left the process; false once the reader is gone. */
  drained(): Promise<boolean>;
  /** Its reader takes less than is written. */
  readonly congested: boolean;
  readonly closed: AbortSignal;
}

/** Bytes that may wait for one reader before it is dropped. */
export const MAX_BUFFERED_BYTES = 512 * 1024;
/** A comment so often, so that proxies and readers see that the stream lives, ms. */
const BEAT_MS = 15_000;

export function textOf({ id, event, data }: SentEvent): string {
  const lines = JSON.stringify(data) ?? 'null';
  return `${id === null ? '' : `id: ${id}\n`}event: ${event}\ndata: ${lines}\n\n`;
}

/**
 * Writes events to one response. What the reader has not taken waits in the process up to a bound; past it the reader is told
 * `dropped`, and cut off: it comes back with the id of its last event and reads on from there.
 */
export function createSink(response: ServerResponse, limitBytes = MAX_BUFFERED_BYTES): EventSink {
  const closing = new AbortController();
  const close = () => {
    clearInterval(beat);
    closing.abort();
  };
  const beat = setInterval(() => {
    if (!closing.signal.aborted && response.writableLength < limitBytes) response.write(': still here\n\n');
  }, BEAT_MS);
  beat.unref();
  response.once('close', close);
  response.once('error', close);
  return {
    closed: closing.signal,
    get congested() {
      return !closing.signal.aborted && response.writableLength > limitBytes / 2;
    },
    write(event) {
      if (closing.signal.aborted) return false;
      if (response.writableLength > limitBytes) {
        close();
        response.end(
          textOf({
            id: null,
            event: 'dropped',
            data: {
              reason: 'slow_reader',
              detail: `More than ${limitBytes} bytes waited for this reader. Come back with Last-Event-ID to read on.`,
            },
          }),
        );
        // A reader that takes nothing would hold the socket for ever.
        setTimeout(() => response.destroy(), 1_000).unref();
        return false;
      }
      response.write(textOf(event));
      return true;
    },
    async drained() {
      while (!closing.signal.aborted && response.writableLength > limitBytes / 4)
        await new Promise<void>((go) => {
          const done = () => {
            response.off('drain', done);
            closing.signal.removeEventListener('abort', done);
            clearTimeout(timer);
            go();
          };
          const timer = setTimeout(done, 1_000);
          response.once('drain', done);
          closing.signal.addEventListener('abort', done, { once: true });
        });
      return !closing.signal.aborted;
    },
  };
}
