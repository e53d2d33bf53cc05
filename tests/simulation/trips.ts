import type { EventRecord } from '../../schemas/event.ts';
import { MINUTE, SECOND } from '../../schemas/time.ts';
import type { ReplayItem } from '../../streams/replay/replay.ts';
import { pick } from './random.ts';

const ZONES = ['airport', 'centre', 'harbour', 'north', 'station'];

export interface TripOptions {
  readonly random: () => number;
  readonly start: number;
  readonly trips: number;
  /** Mean time between two starts, ms. */
  readonly everyMs: number;
  /** A stretch without any event, ms, in the middle. */
  readonly quietMs: number;
  /** Only these of `partitionsUsed` cars: fewer cars leave raw partitions silent. */
  readonly cars: number;
}

/** Trips through a town: a start asks for a prediction, an end tells its price. Somewhat out of order; a few are late or bad. */
export function trips(options: TripOptions): ReplayItem[] {
  const { random, start, everyMs, quietMs, cars } = options;
  const events: Array<{ time: number; sortBy: number; event: EventRecord }> = [];
  let time = start;
  for (let i = 0; i < options.trips; i += 1) {
    time += Math.floor(random() * 2 * everyMs);
    if (i === Math.floor(options.trips / 2)) time += quietMs;
    const car = `car-${Math.floor(random() * cars)}`;
    const zone = pick(random, ZONES);
    const to = pick(
      random,
      ZONES.filter((other) => other !== zone),
    );
    const base = { car, zone, to };
    events.push(
      entry(random, { id: `s${i}`, type: 'trip.started', time, ...base, price: null, started_at: null }),
    );
    const ended = time + Math.floor(random() * 25 * MINUTE);
    const price = random() < 0.02 ? 5_000 : Math.round(random() * 10_000) / 100;
    events.push(
      entry(random, { id: `e${i}`, type: 'trip.ended', time: ended, ...base, price, started_at: time }),
    );
  }
  events.sort((a, b) => a.sortBy - b.sortBy);
  return events.map(({ sortBy, event }, place) => ({
    place,
    time: sortBy,
    key: String(event.car),
    event,
    bytes: null,
  }));
}

/** Most events arrive within the declared disorder of 30 s, one in fifty far too late. */
function entry(
  random: () => number,
  event: EventRecord,
): { time: number; sortBy: number; event: EventRecord } {
  const delay = random() < 0.02 ? random() * 5 * MINUTE : random() * 20 * SECOND;
  return { time: event.time, sortBy: event.time + Math.floor(delay), event };
}
