import { useCallback, useEffect, useRef, useState } from 'react';
import { get } from './api.ts';

/** What a page knows of one address of the API. */
export interface Resource<T> {
  /** The newest answer; kept while a later look fails, so that the page does not go blank. */
  readonly data: T | null;
  /** Of the newest look; null where it went well. */
  readonly error: Error | null;
  readonly loading: boolean;
  /** When `data` came, epoch ms. */
  readonly at: number | null;
  readonly reload: () => void;
}

/** Longest pause between two looks at an API that does not answer, ms. */
const SLOWEST_MS = 30_000;

/**
 * Looks at an address now and every `every` ms; `path` null looks at nothing. One look at a time, none while the page is hidden,
 * and rarer ones while the API does not answer.
 */
export function useResource<T>(path: string | null, every: number | null = null): Resource<T> {
  const [state, setState] = useState<Omit<Resource<T>, 'reload'>>(EMPTY);
  const [turn, setTurn] = useState(0);
  const shown = useRef<string | null>(null);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new `turn` asks for a look out of turn
  useEffect(() => {
    if (path === null) {
      setState(EMPTY);
      return;
    }
    if (shown.current !== path) setState({ ...EMPTY, loading: true });
    shown.current = path;
    const ending = new AbortController();
    let timer: number | undefined;
    let failures = 0;

    async function look(): Promise<void> {
      if (path === null) return;
      if (document.hidden && every !== null) {
        timer = window.setTimeout(look, every);
        return;
      }
      try {
        const data = await get<T>(path, ending.signal);
        failures = 0;
        setState({ data, error: null, loading: false, at: Date.now() });
      } catch (error) {
        if (ending.signal.aborted) return;
        failures += 1;
        setState((before) => ({ ...before, error: error as Error, loading: false }));
      }
      if (every !== null && !ending.signal.aborted)
        timer = window.setTimeout(look, Math.min(SLOWEST_MS, every * 2 ** failures));
    }
    void look();
    return () => {
      ending.abort();
      window.clearTimeout(timer);
    };
  }, [path, every, turn]);

  const reload = useCallback(() => setTurn((before) => before + 1), []);
  return { ...state, reload };
}

const EMPTY = { data: null, error: null, loading: false, at: null } as const;
