import type { Documents } from '../../infrastructure/queue/port.ts';
import { isOver, newRun, type PipelineRun, parseRun, type Start } from './run.ts';

/**
 * The runs of a project. What counts is their documents beside the queue: a compare-and-set there is the one
 * thing that can tell two workers apart, which ClickHouse cannot (the newest row wins, whoever wrote it). The
 * tables in ClickHouse are a copy for people and SQL, written after each change and mended later where it was
 * away. Should Redis lose a document, the run is begun again by its tick, or by hand: its steps can be
 * repeated, and the registry knows which run has registered.
 */
export interface RunLog {
  get(id: string): Promise<PipelineRun | null>;
  all(): Promise<readonly PipelineRun[]>;
  /** Begins a run, once: where there is one of this id it is answered with. */
  start(start: Start): Promise<{ readonly run: PipelineRun; readonly begun: boolean }>;
  /** Null where there is no such run, or `change` says that there is nothing to change. */
  update(
    id: string,
    change: (run: PipelineRun, now: number) => PipelineRun | null,
  ): Promise<PipelineRun | null>;
}

/** Runs that are over stay in Redis up to this number; ClickHouse keeps all. */
const KEPT = 300;

export function createRunLog(
  documents: Documents,
  now: () => number,
  /** Hears of every change that counts. */
  onChange: (run: PipelineRun) => Promise<void> = async () => {},
): RunLog {
  const all = async () =>
    [...(await documents.all()).values()]
      .map(parseRun)
      .sort((a, b) => a.eventTime - b.eventTime || a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));

  async function drop(): Promise<void> {
    const over = (await all()).filter(isOver).sort((a, b) => a.at - b.at);
    for (const { id } of over.slice(0, Math.max(0, over.length - KEPT))) {
      const text = await documents.get(id);
      if (text !== null && isOver(parseRun(text))) await documents.set(id, text, null);
    }
  }

  return {
    all,
    async get(id) {
      const text = await documents.get(id);
      return text === null ? null : parseRun(text);
    },
    async start(start) {
      const run = newRun(start, now());
      if (await documents.set(start.id, null, JSON.stringify(run))) {
        await onChange(run);
        await drop();
        return { run, begun: true };
      }
      const text = await documents.get(start.id);
      return { run: text === null ? run : parseRun(text), begun: false };
    },
    async update(id, change) {
      for (;;) {
        const text = await documents.get(id);
        if (text === null) return null;
        const next = change(parseRun(text), now());
        if (next === null) return null;
        if (await documents.set(id, text, JSON.stringify(next))) {
          await onChange(next);
          return next;
        }
      }
    },
  };
}
