import type { ServerResponse } from 'node:http';
import { createSink, type EventStream, textOf } from '../events.ts';
import { Problem } from '../problem.ts';

/** The event streams of a server that are open now. */
export interface Streams {
  /** Throws Problem where no more may be opened. */
  admit(): void;
  /** Writes a stream to a response until one of both ends. */
  serve(
    stream: EventStream,
    response: ServerResponse,
    headers: Readonly<Record<string, string>>,
  ): Promise<void>;
  readonly open: number;
  /** Tells all readers, and ends them. */
  close(): void;
}

interface StreamLimits {
  /** Streams at once. */
  readonly streams: number;
  /** Bytes that may wait for one reader. */
  readonly streamBytes: number;
}

export function createStreams(limits: StreamLimits, onFailure: (error: unknown) => void): Streams {
  const open = new Set<ServerResponse>();
  let closing = false;
  return {
    get open() {
      return open.size;
    },
    admit() {
      if (!closing && open.size < limits.streams) return;
      const detail = closing
        ? 'The server is stopping.'
        : `${limits.streams} event streams are open, as many as may be.`;
      throw new Problem(503, 'too_many_streams', detail, { headers: { 'retry-after': '5' } });
    },
    async serve(stream, response, headers) {
      open.add(response);
      response.once('close', () => open.delete(response));
      const sink = createSink(response, limits.streamBytes);
      response.writeHead(200, {
        ...headers,
        'content-type': 'text/event-stream; charset=utf-8',
        'x-accel-buffering': 'no',
      });
      response.write('retry: 2000\n\n');
      try {
        const end = await stream.open(sink);
        const ended = () => void Promise.resolve(end()).catch(onFailure);
        if (sink.closed.aborted) ended();
        else sink.closed.addEventListener('abort', ended, { once: true });
      } catch (error) {
        onFailure(error);
        response.end(textOf({ id: null, event: 'failed', data: { detail: 'The stream broke; come back.' } }));
      }
    },
    close() {
      closing = true;
      for (const response of open)
        response.end(
          textOf({ id: null, event: 'closing', data: { detail: 'The server stops; come back.' } }),
        );
    },
  };
}
