import type { HistoryFile } from '../infrastructure/readers/port.ts';

/** Milliseconds of any day since March 1973 are more than the seconds of any day until the year 5138. */
const FIRST_MS = 100_000_000_000;
/** Seconds of our days, read as seconds of milliseconds, lie beyond it. */
const FAR = Date.UTC(2200, 0, 1);

/** Whether the times of a file look as if they had another unit than they are read by: a sentence, or null. */
export function oddTimes(file: Pick<HistoryFile, 'events' | 'count'>): string | null {
  if (file.events === 0) return null;
  const early = file.count({ from: 0, to: FIRST_MS });
  if (early === file.events)
    return `all ${early} events lie in 1970 to 1973. Are their times seconds? They are read as milliseconds: declare 'unit: s' in the source's mapping, or write milliseconds.`;
  const late = file.count({ from: FAR, to: null });
  if (late > 0)
    return `${late} events lie after the year 2200. Are their times milliseconds or microseconds? Look at the 'unit' of the source's mapping.`;
  return null;
}
