import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError } from './api-error.ts';
import type { Ask } from './ask.ts';
import { type ServerEvent, serverEvents } from './server-events.ts';
import type {
  Followed,
  FollowOptions,
  ModelName,
  ProjectTypes,
  TypedHandler,
  TypedPrediction,
} from './typed.ts';

/** Where a subscription over HTTP stands: the last event's id, and the largest source offset of each partition. */
interface Place {
  readonly id: string;
  readonly marks: Readonly<Record<string, number>>;
}

/** A prediction as the stream gives it. */
interface Streamed {
  readonly sourcePartition: number;
  /** Below 0 where it was asked over HTTP: then nothing repeats it. */
  readonly sourceOffset: number;
}

const PAUSE_MS = 100;
const MAX_PAUSE_MS = 5_000;

/**
 * Follows the predictions of a model by server-sent events. What a stream published twice comes once. When the server is away, or cuts a
 * slow reader off, it comes back and reads on behind what was handled. Throws ApiError where the first connection fails.
 */
export async function followOverHttp<T extends ProjectTypes, M extends ModelName<T>>(
  ask: Ask,
  model: M,
  handler: TypedHandler<T, M>,
  { from, onTrouble }: FollowOptions,
): Promise<Followed> {
  const closing = new AbortController();
  const { signal } = closing;
  const path = `/v1/streams/predictions/${encodeURIComponent(model)}`;
  let place: Place | null = from === undefined ? null : placeOf(from);

  const connect = () => ask(path, { signal, headers: place === null ? {} : { 'last-event-id': place.id } });

  async function handle(events: readonly ServerEvent[]): Promise<void> {
    const marks = { ...place?.marks };
    const fresh: Array<TypedPrediction<T, M>> = [];
    let id = place?.id ?? '';
    for (const event of events) {
      id = event.id ?? id;
      if (event.event === 'prediction') fresh.push(...newPrediction<T, M>(event.data, marks));
    }
    const reached: Place = { id, marks };
    if (fresh.length > 0) await handler(fresh, JSON.stringify(reached));
    place = reached;
  }

  async function run(first: Response): Promise<void> {
    let answer: Response | null = first;
    for (let failures = 0; !signal.aborted; ) {
      try {
        answer ??= await connect();
        for await (const events of bodyOf(answer)) {
          if (signal.aborted) return;
          failures = 0;
          await handle(events);
        }
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof ApiError) || !error.retriable) throw error;
        onTrouble?.(error);
        await sleep(Math.min(MAX_PAUSE_MS, PAUSE_MS * 2 ** failures++), undefined, { signal }).catch(
          () => {},
        );
      }
      answer = null;
      // The server ended the stream in order: it is stopping, or dropped a slow reader.
      await sleep(PAUSE_MS, undefined, { signal }).catch(() => {});
    }
  }

  const done = run(await connect());
  done.catch(() => {}); // Whoever looks at `done` is told; a subscriber that does not is not ended by it.
  return {
    done,
    async close() {
      closing.abort();
      await done.catch(() => {});
    },
  };
}

/** The events of an answer. A connection that breaks is an outage; what its handler throws is not. */
async function* bodyOf(answer: Response): AsyncGenerator<ServerEvent[]> {
  if (answer.body === null) return;
  const events = serverEvents(answer.body);
  try {
    for (;;) {
      const { done, value } = await events.next().catch((cause: unknown) => {
        throw new ApiError('The stream of predictions broke off.', {
          code: 'unreachable',
          retriable: true,
          cause,
        });
      });
      if (done === true) return;
      yield value;
    }
  } finally {
    await events.return(undefined).catch(() => {});
  }
}

/** Nothing for a repeat; moves the marks on. */
function newPrediction<T extends ProjectTypes, M extends ModelName<T>>(
  data: string,
  marks: Record<string, number>,
): Array<TypedPrediction<T, M>> {
  const { sourcePartition, sourceOffset, ...prediction } = JSON.parse(data) as Streamed &
    TypedPrediction<T, M>;
  if (sourceOffset >= 0) {
    if (sourceOffset <= (marks[sourcePartition] ?? -1)) return [];
    marks[sourcePartition] = sourceOffset;
  }
  return [prediction as unknown as TypedPrediction<T, M>];
}

function placeOf(text: string): Place {
  try {
    const place = JSON.parse(text) as Partial<Place> | null;
    if (typeof place?.id === 'string' && typeof place.marks === 'object' && place.marks !== null)
      return place as Place;
  } catch {
    // Told below.
  }
  throw new TypeError(
    `'${text.slice(0, 60)}' is no place of a subscription over HTTP: give what a handler was given.`,
  );
}
