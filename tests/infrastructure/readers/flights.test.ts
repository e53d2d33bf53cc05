import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { flightMinutes, flightsFile, openFlights } from '../../../infrastructure/readers/flights.ts';
import type { HistoryFile } from '../../../infrastructure/readers/port.ts';
import { localToUtc, zoneTable } from '../../../infrastructure/readers/zones.ts';
import type { EventRecord } from '../../../schemas/event.ts';
import { DAY, HOUR, MINUTE } from '../../../schemas/time.ts';

let flights: HistoryFile;
beforeAll(async () => {
  flights = await openFlights();
});

async function collect(from: number, to: number, after = -1, batchSize = 1_000): Promise<EventRecord[]> {
  const events: EventRecord[] = [];
  for await (const batch of flights.read({ from, to, after, batchSize })) events.push(...batch.events);
  return events;
}

const DAY_ONE = Date.UTC(2001, 3, 1);

describe('the flights', () => {
  it('are three million rows, 191 of them exact repeats, two events each', () => {
    expect(flights.rows).toBe(3_000_000);
    expect(flights.duplicates).toBe(191);
    expect(flights.events).toBe(2 * (3_000_000 - 191));
    expect(flights.count({ from: Date.UTC(2001, 2, 23), to: Date.UTC(2001, 3, 9) })).toBe(566_477);
  });

  it('come in order of time, then of the file, a departure before its arrival, cut by event time', async () => {
    let last = { time: -Infinity, row: -1, id: '' };
    const from = DAY_ONE + 5 * HOUR;
    const ids = new Set<string>();
    for await (const batch of flights.read({ from, to: from + DAY, batchSize: 777 })) {
      for (const [k, event] of batch.events.entries()) {
        const row = batch.rows[k] as number;
        if (event.time < Math.max(from, last.time) || event.time >= from + DAY)
          expect.fail(`${event.id} stands after ${last.id}`);
        if (event.time === last.time && row <= last.row) expect.fail(`${event.id} stands after ${last.id}`);
        last = { time: event.time, row, id: event.id };
        ids.add(event.id);
      }
    }
    expect(ids.size).toBe(flights.count({ from, to: from + DAY }));
  });

  it('give the delay at arrival alone, with the moment of departure', async () => {
    const events = await collect(DAY_ONE, DAY_ONE + DAY);
    const departures = new Map(
      events.filter((e) => e.type === 'flight.departed').map((e) => [e.flight_id, e]),
    );
    let joined = 0;
    for (const arrival of events.filter((e) => e.type === 'flight.arrived')) {
      const departure = departures.get(arrival.flight_id as string);
      if (departure === undefined) continue;
      joined += 1;
      const good =
        departure.delay === null &&
        departure.departed_at === departure.time &&
        Number.isInteger(arrival.delay) &&
        arrival.departed_at === departure.time &&
        arrival.time === departure.time + flightMinutes(Number(arrival.distance)) * MINUTE &&
        arrival.local_time === departure.local_time &&
        arrival.zone === departure.zone;
      if (!good) expect.fail(JSON.stringify([departure, arrival]));
    }
    expect(joined).toBeGreaterThan(10_000);
  });

  it('tell flights of one minute, origin and destination apart by an ordinal, never by the delay', async () => {
    const events = await collect(Date.UTC(2001, 0, 2), Date.UTC(2001, 0, 7));
    const departures = events.filter((event) => event.type === 'flight.departed');
    expect(new Set(departures.map((event) => event.flight_id)).size).toBe(departures.length);
    expect(departures.some((event) => String(event.flight_id).endsWith('-1'))).toBe(true);
  });

  it('go on after a place as if nothing had happened', async () => {
    const all: number[] = [];
    const from = DAY_ONE;
    for await (const batch of flights.read({ from, to: from + HOUR, batchSize: 50 }))
      all.push(...batch.places);
    const rest: number[] = [];
    const after = all[70] as number;
    for await (const batch of flights.read({ from, to: from + HOUR, batchSize: 50, after }))
      rest.push(...batch.places);
    expect(rest).toEqual(all.slice(71));
  });

  it('keep the one local time that clocks jumped over, for validation to refuse', async () => {
    const events = await collect(DAY_ONE, DAY_ONE + DAY);
    const clocks = new Map<string, Intl.DateTimeFormat>();
    const shownAt = (event: EventRecord): string => {
      const zone = String(event.zone);
      const known = clocks.get(zone);
      const clock =
        known ?? new Intl.DateTimeFormat('sv', { timeZone: zone, dateStyle: 'short', timeStyle: 'short' });
      clocks.set(zone, clock);
      return clock.format(event.time).replace(' ', 'T');
    };
    const skipped = events.filter(
      (event) => event.type === 'flight.departed' && shownAt(event) !== event.local_time,
    );
    expect(skipped.map((event) => event.local_time)).toEqual(['2001-04-01T02:10']);
  });

  it('say in one sentence that a file is cut short', async () => {
    const path = join(mkdtempSync(join(tmpdir(), 'millrace-')), 'cut.parquet');
    writeFileSync(path, readFileSync(flightsFile('flights-3m.parquet')).subarray(0, 1_000_000));
    await expect(openFlights(path)).rejects.toThrow(
      `${path} is not a whole Parquet file (it is cut short, or something else); fetch it again.`,
    );
  });
});

describe('a local time', () => {
  const table = zoneTable('America/New_York', Date.UTC(2001, 0, 1), Date.UTC(2002, 0, 1));

  it('is turned to UTC by the zone, summer time included', () => {
    expect(table.starts.slice(1)).toEqual([Date.UTC(2001, 3, 1, 7), Date.UTC(2001, 9, 28, 6)]);
    expect(localToUtc(table, Date.UTC(2001, 2, 1, 12)).time).toBe(Date.UTC(2001, 2, 1, 17));
    expect(localToUtc(table, Date.UTC(2001, 5, 1, 12)).time).toBe(Date.UTC(2001, 5, 1, 16));
  });

  it('counts as the earlier of two, and as the offset before where the clock jumped over it', () => {
    expect(localToUtc(table, Date.UTC(2001, 9, 28, 1, 30))).toEqual({
      time: Date.UTC(2001, 9, 28, 5, 30),
      skipped: false,
    });
    expect(localToUtc(table, Date.UTC(2001, 3, 1, 2, 30))).toEqual({
      time: Date.UTC(2001, 3, 1, 7, 30),
      skipped: true,
    });
  });
});
