import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import zoneOf from '@photostructure/tz-lookup';
import { DAY, MINUTE } from '../../schemas/time.ts';
import { HistoryFileError } from './errors.ts';
import { queryParquet } from './parquet.ts';
import { localToUtc, type ZoneTable, zoneTable } from './zones.ts';

/** Minutes from departure to arrival, which the data does not tell: 45 and an eighth of a minute a mile. An assumption. */
export function flightMinutes(distance: number): number {
  return Math.ceil(45 + distance / 8);
}

/** Where the package `vega-datasets` keeps its files. Throws HistoryFileError. */
export function flightsFile(name: 'flights-3m.parquet' | 'airports.csv'): string {
  let entry: string;
  try {
    // The package exports no path of its data, only its entry in build/.
    entry = createRequire(import.meta.url).resolve('vega-datasets');
  } catch (cause) {
    throw new HistoryFileError(
      'The flights are in the npm package vega-datasets, which is not installed: run `npm install vega-datasets`.',
      { cause },
    );
  }
  return join(dirname(dirname(entry)), 'data', name);
}

/** The file's rows, in file order, exact repeats left out, one typed array a column. */
export interface Flights {
  readonly length: number;
  /** Row of the file, repeats counted. */
  readonly row: Uint32Array;
  /** Local time of departure at the origin, minutes since 1970 as if it were UTC. */
  readonly local: Int32Array;
  /** UTC, minutes. */
  readonly departed: Int32Array;
  readonly delay: Int16Array;
  readonly distance: Uint16Array;
  readonly origin: Uint16Array;
  readonly destination: Uint16Array;
  /** Tells flights of the same minute, origin and destination apart, in file order. */
  readonly ordinal: Uint8Array;
  readonly airports: readonly string[];
  /** Zone of each airport; '' where the airport is unknown. */
  readonly zones: readonly string[];
}

/** Reads the file into columns, and each airport's zone beside them. Throws HistoryFileError. */
export async function readFlights(
  path: string,
): Promise<{ flights: Flights; rows: number; duplicates: number }> {
  const [columns, zones] = await Promise.all([readColumns(path), readZones()]);
  return arrange(columns, zones);
}

const ROW_BYTES = 4 + 4 + 4 + 3 + 3;

/** Fixed rows of local minute, delay, distance (Int32) and two airports of three letters, in file order. */
async function readColumns(path: string): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  const sql = `
    SELECT toInt32(intDiv(toUnixTimestamp64Milli(toDateTime64(assumeNotNull(date), 3, 'UTC')), 60000)),
      toInt32(assumeNotNull(delay)), toInt32(assumeNotNull(distance)),
      toFixedString(assumeNotNull(origin), 3), toFixedString(assumeNotNull(destination), 3)
    FROM {file}
    SETTINGS max_threads = 1, input_format_parquet_preserve_order = 1 FORMAT RowBinary`;
  for await (const bytes of queryParquet(path, sql)) pieces.push(bytes);
  return Buffer.concat(pieces);
}

async function readZones(): Promise<ReadonlyMap<string, string>> {
  const path = flightsFile('airports.csv');
  const zones = new Map<string, string>();
  for (const [row, line] of (await readFile(path, 'utf8')).split(/\r?\n/).entries()) {
    if (row === 0 || line === '') continue;
    // Names may hold quoted commas; the code comes first, the coordinates last.
    const cells = line.split(',');
    const latitude = Number(cells.at(-2));
    const longitude = Number(cells.at(-1));
    if (!Number.isFinite(latitude) || !Number.isFinite(longitude))
      throw new HistoryFileError(`${path}, row ${row}: no latitude and longitude at the end of '${line}'.`);
    zones.set(cells[0] ?? '', zoneOf(latitude, longitude));
  }
  return zones;
}

function arrange(
  bytes: Buffer,
  zoneByAirport: ReadonlyMap<string, string>,
): { flights: Flights; rows: number; duplicates: number } {
  const rows = Math.floor(bytes.length / ROW_BYTES);
  const flights = {
    length: 0,
    row: new Uint32Array(rows),
    local: new Int32Array(rows),
    departed: new Int32Array(rows),
    delay: new Int16Array(rows),
    distance: new Uint16Array(rows),
    origin: new Uint16Array(rows),
    destination: new Uint16Array(rows),
    ordinal: new Uint8Array(rows),
    airports: [] as string[],
    zones: [] as string[],
  };
  const codes = new Map<number, number>();
  const airportAt = (at: number): number => {
    const code = bytes.readUIntBE(at, 3);
    const known = codes.get(code);
    if (known !== undefined) return known;
    const airport = bytes.toString('latin1', at, at + 3);
    codes.set(code, flights.airports.length);
    flights.airports.push(airport);
    flights.zones.push(zoneByAirport.get(airport) ?? '');
    return flights.airports.length - 1;
  };
  // Repeats and ordinals concern flights of one minute and one pair of airports, wherever in the file they stand.
  // `slots` (open addressing) holds the latest flight of each, `earlier` the one before it; -1 = none.
  const mask = 2 ** Math.ceil(Math.log2(2 * rows + 2)) - 1;
  const slots = new Int32Array(mask + 1).fill(-1);
  const earlier = new Int32Array(rows);
  const slotOf = (local: number, origin: number, destination: number): number => {
    const mixed = Math.imul(Math.imul(local, 0x9e3779b1) ^ ((origin << 16) | destination), 0x85ebca6b);
    for (let slot = (mixed ^ (mixed >>> 15)) & mask; ; slot = (slot + 1) & mask) {
      const held = slots[slot] as number;
      if (
        held < 0 ||
        (flights.local[held] === local &&
          flights.origin[held] === origin &&
          flights.destination[held] === destination)
      )
        return slot;
    }
  };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let length = 0;
  let firstLocal = Number.POSITIVE_INFINITY;
  let lastLocal = Number.NEGATIVE_INFINITY;
  for (let row = 0, at = 0; row < rows; row += 1, at += ROW_BYTES) {
    const local = view.getInt32(at, true);
    const delay = view.getInt32(at + 4, true);
    const distance = view.getInt32(at + 8, true);
    const origin = airportAt(at + 12);
    const destination = airportAt(at + 15);
    if (delay !== (delay << 16) >> 16 || distance !== (distance & 0xffff))
      throw new HistoryFileError(`Row ${row}: delay ${delay} or distance ${distance} is beyond 16 bits.`);
    const slot = slotOf(local, origin, destination);
    const latest = slots[slot] as number;
    let same = latest;
    while (same >= 0 && (flights.delay[same] !== delay || flights.distance[same] !== distance))
      same = earlier[same] as number;
    if (same >= 0) continue;
    if (latest >= 0) flights.ordinal[length] = (flights.ordinal[latest] as number) + 1;
    earlier[length] = latest;
    slots[slot] = length;
    flights.row[length] = row;
    flights.local[length] = local;
    flights.delay[length] = delay;
    flights.distance[length] = distance;
    flights.origin[length] = origin;
    flights.destination[length] = destination;
    if (local < firstLocal) firstLocal = local;
    if (local > lastLocal) lastLocal = local;
    length += 1;
  }
  flights.length = length;
  convert(flights, firstLocal * MINUTE - 2 * DAY, lastLocal * MINUTE + 2 * DAY);
  return { flights, rows, duplicates: rows - length };
}

function convert(flights: Flights, from: number, to: number): void {
  const tables = new Map<string, ZoneTable>();
  const tableOf = flights.zones.map((zone) => {
    const name = zone === '' ? 'UTC' : zone;
    const table = tables.get(name) ?? zoneTable(name, from, to);
    tables.set(name, table);
    return table;
  });
  for (let i = 0; i < flights.length; i += 1) {
    const table = tableOf[flights.origin[i] as number] as ZoneTable;
    flights.departed[i] = localToUtc(table, (flights.local[i] as number) * MINUTE).time / MINUTE;
  }
}

/** When an event of a flight happened (kind 0 = departed, 1 = arrived): UTC, minutes. */
export function minuteOf(flights: Flights, i: number, kind: number): number {
  const departed = flights.departed[i] as number;
  return kind === 0 ? departed : departed + flightMinutes(flights.distance[i] as number);
}

/** Events (2 * flight + kind, 0 = departed) by time, then file order: a counting sort over minutes is stable and fast. */
export function orderEvents(flights: Flights): Uint32Array {
  let first = Number.POSITIVE_INFINITY;
  let last = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < flights.length; i += 1) {
    first = Math.min(first, minuteOf(flights, i, 0));
    last = Math.max(last, minuteOf(flights, i, 1));
  }
  const order = new Uint32Array(2 * flights.length);
  if (flights.length === 0) return order;
  const next = new Uint32Array(last - first + 2);
  for (let i = 0; i < flights.length; i += 1)
    for (let kind = 0; kind < 2; kind += 1) {
      const slot = minuteOf(flights, i, kind) - first + 1;
      next[slot] = (next[slot] as number) + 1;
    }
  for (let minute = 1; minute < next.length; minute += 1)
    next[minute] = (next[minute] as number) + (next[minute - 1] as number);
  for (let i = 0; i < flights.length; i += 1)
    for (let kind = 0; kind < 2; kind += 1) {
      const slot = minuteOf(flights, i, kind) - first;
      order[next[slot] as number] = 2 * i + kind;
      next[slot] = (next[slot] as number) + 1;
    }
  return order;
}
