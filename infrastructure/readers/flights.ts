import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { EventRecord } from '../../schemas/event.ts';
import { MINUTE } from '../../schemas/time.ts';
import { HistoryFileError } from './errors.ts';
import {
  type Flights,
  flightMinutes,
  flightsFile,
  minuteOf,
  orderEvents,
  readFlights,
} from './flights-table.ts';
import { orderedFile } from './ordered.ts';
import type { HistoryBatch, HistoryFile } from './port.ts';

export { flightMinutes, flightsFile } from './flights-table.ts';

/**
 * Reads the flights of `vega-datasets`: in it `date` is the actual departure in the origin's local time, and
 * `delay` the arrival's delay in minutes, known at arrival. Each row becomes two events, `flight.departed` at
 * utc(date) and `flight.arrived` `flightMinutes` later; only the second carries the delay; both carry `departed_at`.
 * The airports' time zones are looked up by their coordinates: an assumption, since the file names none.
 * A local time that the clocks jumped over is kept, at the moment the offset before the jump gives: its
 * `local_time` then differs from what the zone's clock showed, and validation refuses it.
 */
export async function openFlights(path: string = flightsFile('flights-3m.parquet')): Promise<HistoryFile> {
  const [sha256, { flights, rows, duplicates }] = await Promise.all([hashFile(path), readFlights(path)]);
  const order = orderEvents(flights);
  return orderedFile({
    path,
    sha256,
    rows,
    duplicates,
    events: order.length,
    timeAt(place) {
      const item = order[place] as number;
      return minuteOf(flights, item >>> 1, item & 1) * MINUTE;
    },
    maker() {
      const make = eventMaker(flights);
      return (start, end) => makeBatch(flights, order, start, end, make);
    },
  });
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const bytes of createReadStream(path)) hash.update(bytes as Uint8Array);
  } catch (cause) {
    throw new HistoryFileError(
      `${path} cannot be read; is the package vega-datasets installed (npm install)?`,
      {
        cause,
      },
    );
  }
  return hash.digest('hex');
}

type EventMaker = (i: number, kind: number) => EventRecord;

function eventMaker(flights: Flights): EventMaker {
  // Departures of one minute come together, arrivals from a few hours: keep the texts of the last days.
  const texts = new Map<number, string>();
  const localText = (minute: number): string => {
    const known = texts.get(minute);
    if (known !== undefined) return known;
    if (texts.size > 20_000) texts.clear();
    const text = new Date(minute * MINUTE).toISOString().slice(0, 16);
    texts.set(minute, text);
    return text;
  };
  return function makeEvent(i, kind) {
    const from = flights.origin[i] as number;
    const origin = flights.airports[from] as string;
    const destination = flights.airports[flights.destination[i] as number] as string;
    const local_time = localText(flights.local[i] as number);
    const flight_id = `${local_time}-${origin}-${destination}-${flights.ordinal[i]}`;
    const departed = (flights.departed[i] as number) * MINUTE;
    const distance = flights.distance[i] as number;
    return {
      id: kind === 0 ? `${flight_id}:d` : `${flight_id}:a`,
      type: kind === 0 ? 'flight.departed' : 'flight.arrived',
      time: kind === 0 ? departed : departed + flightMinutes(distance) * MINUTE,
      flight_id,
      origin,
      destination,
      distance,
      delay: kind === 0 ? null : (flights.delay[i] as number),
      departed_at: departed,
      local_time,
      zone: flights.zones[from] as string,
    };
  };
}

function makeBatch(
  flights: Flights,
  order: Uint32Array,
  start: number,
  end: number,
  make: EventMaker,
): HistoryBatch {
  const events = new Array<EventRecord>(end - start);
  const places = new Float64Array(end - start);
  const rows = new Float64Array(end - start);
  for (let k = 0; k < events.length; k += 1) {
    const item = order[start + k] as number;
    events[k] = make(item >>> 1, item & 1);
    places[k] = start + k;
    rows[k] = flights.row[item >>> 1] as number;
  }
  return { events, places, rows };
}
