import { useEffect, useRef, useState } from 'react';
import { type Resource, useResource } from './resource.ts';

/**
 * How a page follows what changes: `live` by server-sent events; `reconnecting` after they broke off; `asking` where the API gives
 * none (as many readers as may be, a proxy between). In the last two it asks now and then, as pages without events do.
 */
export type Following = 'connecting' | 'live' | 'reconnecting' | 'asking';

export interface Sent<T> {
  readonly event: string;
  readonly data: T;
}

/** A page is drawn anew so often at most, ms. */
const GATHER_MS = 250;
/** After an answer that was no stream it is tried again, ms. */
const AGAIN_MS = 15_000;
/** More cannot be looked at: of those that wait to be drawn the newest stay. */
const MOST_WAITING = 1_000;

interface Options {
  /** A stream that says something all the time and was silent for so long is broken, ms. */
  readonly silenceMs?: number;
}

/** Hands over the events of these names as they come, some at once, for as long as the page is seen. `path` null follows nothing. */
export function useEvents<T>(
  path: string | null,
  names: string,
  take: (events: ReadonlyArray<Sent<T>>) => void,
  { silenceMs }: Options = {},
): Following {
  const [following, setFollowing] = useState<Following>('connecting');
  const taking = useRef(take);
  taking.current = take;

  useEffect(() => {
    if (path === null) return;
    let source: EventSource | null = null;
    let again: number | undefined;
    let silent: number | undefined;
    let gathering: number | undefined;
    let waiting: Sent<T>[] = [];

    function hear(): void {
      window.clearTimeout(silent);
      if (silenceMs !== undefined) silent = window.setTimeout(restart, silenceMs);
    }
    function hand(): void {
      gathering = undefined;
      const events = waiting;
      waiting = [];
      taking.current(events);
    }
    function begin(): void {
      if (path === null || document.hidden) return;
      const opened = new EventSource(path);
      source = opened;
      opened.onopen = () => {
        setFollowing('live');
        hear();
      };
      opened.onerror = () => {
        window.clearTimeout(silent);
        // A browser comes back by itself, but not where the answer was no stream.
        if (opened.readyState !== EventSource.CLOSED) setFollowing('reconnecting');
        else {
          end();
          setFollowing('asking');
          again = window.setTimeout(begin, AGAIN_MS);
        }
      };
      for (const event of names.split(' '))
        opened.addEventListener(event, (message) => {
          hear();
          waiting.push({ event, data: JSON.parse(message.data) as T });
          if (waiting.length > MOST_WAITING) waiting = waiting.slice(-MOST_WAITING / 2);
          gathering ??= window.setTimeout(hand, GATHER_MS);
        });
    }
    function end(): void {
      source?.close();
      source = null;
      window.clearTimeout(again);
      window.clearTimeout(silent);
    }
    function restart(): void {
      end();
      setFollowing('reconnecting');
      begin();
    }
    // A browser has few connections to one server: a page that nobody sees holds none.
    function turn(): void {
      end();
      begin();
    }
    setFollowing('connecting');
    begin();
    document.addEventListener('visibilitychange', turn);
    return () => {
      document.removeEventListener('visibilitychange', turn);
      window.clearTimeout(gathering);
      end();
    };
  }, [path, names, silenceMs]);
  return following;
}

/** How often to ask while a page follows events: only where it gets none. */
export const whileApart = (following: Following, every: number): number | null =>
  following === 'reconnecting' || following === 'asking' ? every : null;

/** What an address answers, and then each newer state of it that comes by events. */
export function useFollowed<T>(
  path: string,
  stream: string,
  event: string,
  options: Options & { readonly every: number },
): Resource<T> & { readonly following: Following } {
  const [pushed, setPushed] = useState<{ readonly data: T; readonly at: number } | null>(null);
  const following = useEvents<T>(
    stream,
    event,
    (events) => {
      const newest = events.at(-1);
      if (newest !== undefined) setPushed({ data: newest.data, at: Date.now() });
    },
    options,
  );
  const asked = useResource<T>(path, whileApart(following, options.every));
  if (pushed === null || pushed.at < (asked.at ?? 0)) return { ...asked, following };
  const error = following === 'live' ? null : asked.error;
  return { ...asked, ...pushed, error, loading: false, following };
}
