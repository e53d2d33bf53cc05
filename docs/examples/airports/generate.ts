import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { parseArgs } from 'node:util';
import {
  flightsFile,
  minuteOf,
  orderEvents,
  readFlights,
} from '../../../infrastructure/readers/flights-table.ts';

/**
 * Landings of real flights (the package vega-datasets) as JSON records, in the order in which they come: the same count gives the same
 * records. The file knows whole minutes; landings of one minute are spread over it. One in ten comes up to 4 s late, one in a
 * thousand is bad, in four ways.
 */
export interface AirportRecord {
  readonly key: string;
  readonly value: string;
}

const MINUTE = 60_000;
/** Of how many records one is bad. */
const BAD_EACH = 1_000;
/** Of how many records one comes late, and by how much at most, ms; the source declares 5 s. */
const LATE_EACH = 10;
const LATE_MS = 4_000;

/** What is wrong with a record: it is cut off, has no airport, a text where a number belongs, or a delay that cannot be. */
export const BAD_KINDS = ['cut', 'no_dest', 'text', 'delay'] as const;

/** The first `count` landings. @throws RangeError where the file has fewer. */
export async function* airportRecords(count: number): AsyncGenerator<AirportRecord> {
  const { flights } = await readFlights(flightsFile('flights-3m.parquet'));
  if (count > flights.length)
    throw new RangeError(`There are ${flights.length} landings; ${count} were asked for.`);
  const landings = orderEvents(flights).filter((event) => (event & 1) === 1);
  for (let n = 0, same = 0; n < count; n += same) {
    const minute = minuteOf(flights, (landings[n] as number) >>> 1, 1);
    for (same = 1; n + same < landings.length; same += 1)
      if (minuteOf(flights, (landings[n + same] as number) >>> 1, 1) !== minute) break;
    for (let k = 0; k < same && n + k < count; k += 1) {
      const flight = (landings[n + k] as number) >>> 1;
      const at = minute * MINUTE + Math.floor((k * MINUTE) / same);
      const row = n + k;
      const record = {
        id: `f${String(row).padStart(7, '0')}`,
        type: 'flight.landed',
        ts: row % LATE_EACH === LATE_EACH - 1 ? at - ((row * 37) % LATE_MS) : at,
        origin: flights.airports[flights.origin[flight] as number] ?? '',
        dest: flights.airports[flights.destination[flight] as number] ?? '',
        distance: flights.distance[flight] as number,
        delay: flights.delay[flight] as number,
      };
      yield { key: record.dest, value: textOf(record, row) };
    }
  }
}

function textOf(record: { readonly dest: string }, row: number): string {
  const text = JSON.stringify(record);
  if (row % BAD_EACH !== BAD_EACH / 2) return text;
  switch (BAD_KINDS[Math.floor(row / BAD_EACH) % BAD_KINDS.length]) {
    case 'cut':
      return text.slice(0, 60);
    case 'no_dest':
      return JSON.stringify({ ...record, dest: undefined });
    case 'text':
      return JSON.stringify({ ...record, distance: 'far' });
    default:
      return JSON.stringify({ ...record, delay: 9_999 });
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      out: { type: 'string', default: '/tmp/airports.jsonl' },
      count: { type: 'string', default: '100000' },
    },
  });
  const file = createWriteStream(values.out);
  for await (const { value } of airportRecords(Number(values.count)))
    if (!file.write(`${value}\n`)) await once(file, 'drain');
  file.end();
  await once(file, 'finish');
  process.stdout.write(`${values.count} records in ${values.out}\n`);
}
