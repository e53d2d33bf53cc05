import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../../infrastructure/memory/warehouse.ts';
import { measureData } from '../../../monitoring/inputs/data.ts';
import { FieldBook } from '../../../monitoring/inputs/fields.ts';
import { measureFreshness } from '../../../monitoring/inputs/freshness.ts';
import { detailOf } from '../../../monitoring/measures.ts';
import type { Measure } from '../../../schemas/monitoring.ts';
import { tables } from '../../../schemas/names.ts';
import { DAY, HOUR } from '../../../schemas/time.ts';
import { createWorld, START, type World } from '../fixture.ts';

let warehouse: MemoryWarehouse;
let world: World;
beforeAll(async () => {
  warehouse = await createMemoryWarehouse();
  world = await createWorld(warehouse);
  await world.day(0);
  await world.day(1);
});
afterAll(() => warehouse.close());

const iso = (time: number) => new Date(time).toISOString();
const window = { from: START + DAY, to: START + 2 * DAY, tick: START + 2 * DAY };

async function measured(): Promise<Measure[]> {
  const [source] = world.project.sources;
  if (source === undefined) throw new Error('the fixture has a source');
  return measureData({ project: world.project, source, warehouse }, new FieldBook(), window);
}
const find = (measures: readonly Measure[], statistic: string, subject: string, slice = '') =>
  measures.find((one) => one.statistic === statistic && one.subject === subject && one.slice === slice);

/** Offsets of the orders of a day, first to last: the fixture writes a day at a time. */
async function offsets(day: number): Promise<{ first: number; last: number }> {
  const [row] = await warehouse.query<{ first: number; last: number }>(
    `SELECT min(source_offset) AS first, max(source_offset) AS last
     FROM ${tables.events(world.project.prefix, 'orders')} FINAL
     WHERE import_id = '' AND type = 'placed' AND time >= fromUnixTimestamp64Milli({from:Int64})
       AND time < fromUnixTimestamp64Milli({to:Int64})`,
    { from: START + day * DAY, to: START + (day + 1) * DAY },
  );
  if (row === undefined) throw new Error('the day has no events');
  return row;
}

describe('data of a window', () => {
  it('is nothing unusual on a quiet day', async () => {
    const measures = await measured();
    expect(measures.filter(({ fired }) => fired)).toEqual([]);
    expect(find(measures, 'rejected', 'orders')?.value).toBe(0);
    expect(find(measures, 'volume', 'orders')?.value).toBeGreaterThan(2_000);
    // Of the two weeks that history was imported for.
    expect(detailOf(find(measures, 'volume_z', 'orders') as Measure).weeks).toBe(2);
    // A field that a type never has is not measured.
    expect(find(measures, 'nulls', 'late', 'type=placed')).toBeUndefined();
    expect(find(measures, 'nulls', 'shop', 'type=placed')?.value).toBe(0);
  });

  it('counts an earlier week once that came by import and by Kafka', async () => {
    const before = find(await measured(), 'volume', 'orders');
    const week = START - 6 * DAY;
    const rows = Array.from({ length: 1_000 }, (_, i) => ({
      id: `again-${i}`,
      type: 'placed',
      time: iso(week + i),
      import_id: '',
      source_topic: 'raw',
      source_partition: 0,
      source_offset: 1_000_000 + i,
      append_time: iso(START),
      archived_partition: 0,
      archived_offset: 1_000_000 + i,
    }));
    await warehouse.insert(tables.events(world.project.prefix, 'orders'), rows, { token: 'again' });
    const after = find(await measured(), 'volume', 'orders');
    expect(detailOf(after as Measure).usual).toBe(detailOf(before as Measure).usual);
  });

  it('counts what was refused between its events, by reason, though it has no time', async () => {
    const { prefix } = world.project;
    const [today, yesterday] = [await offsets(1), await offsets(0)];
    const letter = (offset: number, code: string, writer = 'ingest') => ({
      stage: writer === 'ingest' ? 'validate' : 'features',
      code,
      detail: '',
      writer,
      source_topic: 'raw',
      source_partition: 0,
      source_offset: offset,
      append_time: iso(START),
      event_id: null,
      event_time: null,
      key: null,
      value: null,
      refused_time: iso(START),
      archived_partition: 0,
      archived_offset: offset,
    });
    const many = Array.from({ length: 200 }, (_, i) => letter(today.first + 3 * i, 'rule_failed'));
    const letters = [
      ...many,
      letter(today.last - 1, 'late'),
      letter(today.last - 2, 'late_for_view', 'shop@1:0'),
      letter(yesterday.first + 5, 'rule_failed'),
    ];
    await warehouse.insert(tables.deadLetters(prefix, 'orders'), letters, { token: 'letters' });
    const measures = await measured();
    const rejected = find(measures, 'rejected', 'orders');
    expect(detailOf(rejected as Measure).records).toBe(201);
    expect(rejected?.fired).toBe(true);
    expect(detailOf(find(measures, 'rejected', 'orders', 'code=rule_failed') as Measure).records).toBe(200);
    expect(detailOf(find(measures, 'late', 'orders') as Measure).records).toBe(2);
    expect(find(measures, 'late', 'orders')?.fired).toBe(false);
  });

  it('sees nulls that were not there, and numbers that nobody has seen', async () => {
    const { prefix } = world.project;
    const rows = Array.from({ length: 300 }, (_, i) => ({
      id: `odd-${i}`,
      type: 'placed',
      time: iso(window.from + i),
      order: `odd-${i}`,
      shop: null,
      amount: 1e9,
      import_id: '',
      source_topic: 'raw',
      source_partition: 0,
      source_offset: 2_000_000 + i,
      append_time: iso(START),
      archived_partition: 0,
      archived_offset: 2_000_000 + i,
    }));
    await warehouse.insert(tables.events(prefix, 'orders'), rows, { token: 'odd' });
    const measures = await measured();
    const nulls = find(measures, 'nulls', 'shop', 'type=placed');
    expect(nulls?.value).toBeGreaterThan(0.15);
    expect(nulls?.fired).toBe(true);
    const outside = find(measures, 'out_of_range', 'amount', 'type=placed');
    expect(outside?.value).toBeGreaterThan(0.15);
    expect(outside?.fired).toBe(true);
  });
});

describe('freshness of a window', () => {
  it('tells how old features were, and of a replay nothing that only the wall clock knows', async () => {
    const measures = await measureFreshness(world, window);
    const age = find(measures, 'feature_age_p50', 'shop');
    // The fixture's ages rise from 1,000 ms by 1 ms a request.
    expect(age?.value).toBeGreaterThan(1_500);
    expect(age?.value).toBeLessThan(1_700);
    expect(find(measures, 'watermark_delay_p50', '')?.value).toBe(50);
    await warehouse.insert(
      tables.progress(world.project.prefix),
      [
        {
          topic: 't',
          partition: 0,
          clock: iso(window.from + HOUR),
          kind: 'tick',
          replay: 'r',
          archived_offset: 1,
          at: iso(START),
        },
      ],
      { token: 'clock' },
    );
    const replayed = find(await measureFreshness(world, window), 'watermark_delay_p50', '');
    expect(replayed?.value).toBeNull();
    expect(detailOf(replayed as Measure).why).toMatch(/^A replay brings its own clock/);
  });
});
