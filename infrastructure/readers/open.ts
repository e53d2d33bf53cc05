import type { History, Source } from '../../schemas/project.ts';
import { openEvents } from './events.ts';
import { flightsFile, openFlights } from './flights.ts';
import type { HistoryFile } from './port.ts';

/** Opens a file of history by the project's reader. `flights` has a file of its own where none is named. */
export function openHistory(
  history: Pick<History, 'reader'>,
  source: Source,
  path: string | null,
): Promise<HistoryFile> {
  if (history.reader === 'flights') return openFlights(path ?? flightsFile('flights-3m.parquet'));
  if (path === null) throw new TypeError('the reader `events` needs the path of a file');
  return openEvents(path, source);
}
