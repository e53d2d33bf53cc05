import { describe, expect, it } from 'vitest';
import { inMemory } from '../../../infrastructure/readers/events.ts';
import {
  PLANTED,
  type PlantOptions,
  plant,
  plantedCounts,
  type ReplayItem,
} from '../../../infrastructure/readers/planted.ts';
import type { EventRecord } from '../../../schemas/event.ts';
import type { Source } from '../../../schemas/project.ts';
import { DAY, MINUTE } from '../../../schemas/time.ts';

const source: Source = {
  name: 'flights',
  partitions: 3,
  format: { kind: 'avro' },
  fields: [],
  events: [],
  key: 'flight_id',
  outOfOrderness: MINUTE,
  idleAfter: null,
  deduplicate: null,
  rejects: null,
  maxFuture: DAY,
};
const options: PlantOptions = { source, seed: 7, each: 4, keyOf: (event) => String(event.flight_id) };
const events: EventRecord[] = Array.from({ length: 3_000 }, (_, k) => ({
  id: `e${k}`,
  type: 'flight.departed',
  time: k * MINUTE,
  flight_id: `f${k}`,
  origin: 'ORD',
  destination: 'LGA',
  distance: 700,
  delay: null,
  departed_at: null,
  local_time: '2001-03-01T00:00',
  zone: 'America/Chicago',
}));
const file = inMemory('memory', 'sha', events, true);
const range = { from: 100 * MINUTE, to: 2_900 * MINUTE };

async function items(after = -1, batchSize = 100, each = 4): Promise<ReplayItem[]> {
  const all: ReplayItem[] = [];
  for await (const batch of plant(file, { ...range, after, batchSize }, { ...options, each }))
    all.push(...batch);
  return all;
}

describe('planted flights', () => {
  it('stand among all of the history, which stays as it was', async () => {
    const all = await items();
    expect(all.filter((item) => item.planted === null).map((item) => item.event)).toEqual(
      events.slice(100, 2_900),
    );
    const planted = all.filter((item) => item.planted !== null);
    expect(planted).toHaveLength(4 * Object.keys(PLANTED).length);
    expect(Object.values(plantedCounts(file, range, options))).toEqual(Object.keys(PLANTED).map(() => 4));
    for (const item of planted) {
      expect(item.key.startsWith('planted:')).toBe(true);
      expect(item.expected).toBe(PLANTED[item.planted as keyof typeof PLANTED]);
    }
    expect(await items(-1, 100, 0)).toEqual(all.filter((item) => item.planted === null));
  });

  it('have ascending places and are the same however the reading is cut', async () => {
    const all = await items();
    for (let k = 1; k < all.length; k += 1)
      expect(all[k]?.place).toBeGreaterThan(all[k - 1]?.place as number);
    expect(await items(-1, 7)).toEqual(all);
    for (const at of [0, 1, 500, 1_000, all.findIndex((item) => item.planted !== null)])
      expect(await items(all[at]?.place, 13)).toEqual(all.slice(at + 1));
  });

  it('are late only a day after the start, and then by more than any clock can hide', async () => {
    for (const item of await items()) {
      if (item.planted !== 'late') continue;
      expect(item.time).toBeGreaterThanOrEqual(range.from + (range.to - range.from) / 2);
      expect(item.event?.time).toBeLessThan(item.time - source.outOfOrderness - 2 * 60 * MINUTE);
    }
  });
});
