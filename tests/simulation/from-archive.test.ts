import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../infrastructure/memory/warehouse.ts';
import { rawSchema } from '../../schemas/event-schema.ts';
import type { DeadLetter } from '../../schemas/records/dead-letter.ts';
import type { Prediction } from '../../schemas/records/prediction.ts';
import { HOUR, MINUTE } from '../../schemas/time.ts';
import { openArchive } from '../../streams/replay/from-archive.ts';
import type { ReplayItem, ReplayResult } from '../../streams/replay/replay.ts';
import { archiveWorld } from './archived-world.ts';
import { seeded } from './random.ts';
import { trips } from './trips.ts';
import { Truth } from './truth.ts';
import { ALL, World } from './world.ts';

const AHEAD = 4 * MINUTE;
/** Its clock is ahead for good; one event of another car is ahead once. */
const FAST = 'car-3';

/** Runs the world's clock until the work is done. */
async function within<T>(world: World, work: Promise<T>, limitMs: number): Promise<T> {
  let done = false;
  const watched = work.finally(() => {
    done = true;
  });
  watched.catch(() => {});
  expect(await world.clock.runUntil(() => done, limitMs)).toBe(true);
  return watched;
}

function skewed(items: readonly ReplayItem[]): ReplayItem[] {
  const once = items.find(({ event }, i) => i > items.length / 3 && event?.car !== FAST);
  return items.map((item) => {
    if (item.event === null || (item.event.car !== FAST && item !== once)) return item;
    return { ...item, event: { ...item.event, time: item.time + AHEAD } };
  });
}

interface Outcome {
  readonly world: World;
  readonly accepted: Awaited<ReturnType<World['accepted']>>;
  readonly letters: readonly DeadLetter[];
  readonly predictions: ReadonlyMap<string, Prediction>;
}

async function outcomeOf(world: World): Promise<Outcome> {
  const { first, repeats } = await world.predictions();
  expect(repeats).toBe(0);
  return {
    world,
    accepted: await world.accepted(),
    letters: await world.deadLetters(),
    predictions: new Map(first.map((one) => [one.requestId, one])),
  };
}

/**
 *   live      producers -> raw -> ... -> archive        one clock 4 minutes ahead for good, one event of another once
 *   replayed                             archive -> raw of a fresh prefix -> ...
 */
describe('a replay of the archive of a live run', () => {
  let warehouse: MemoryWarehouse;
  let live: Outcome;
  let items: readonly ReplayItem[];
  beforeAll(async () => {
    warehouse = await createMemoryWarehouse();
    const world = await World.create();
    const process = world.start(ALL);
    const start = world.clock.now() + MINUTE;
    items = skewed(trips({ random: seeded(11), start, trips: 250, everyMs: 2_000, quietMs: 0, cars: 12 }));
    await within(world, world.produceLive(items, world.clock.now()), 3 * HOUR);
    const settled = world.clock.now() + MINUTE;
    await world.clock.runUntil(() => world.clock.now() >= settled, 2 * MINUTE);
    await within(world, process.stop(), MINUTE);
    await archiveWorld(world, warehouse);
    live = await outcomeOf(world);
  });
  afterAll(() => warehouse.close());

  async function replayed(prefix: string, partitions: number, pageOffsets: number): Promise<Outcome> {
    const world = await World.create({ partitions, edit: (project) => ({ ...project, prefix }) });
    const processes = [world.start(ALL), world.start(ALL)];
    const of = live.world;
    const archive = await openArchive({
      warehouse,
      prefix: of.project.prefix,
      source: world.source,
      from: null,
      to: null,
      schemaById: async () => JSON.stringify(rawSchema(of.source, of.project.prefix)),
      pageOffsets,
    });
    expect(archive).toMatchObject({ records: items.length, imported: 0 });
    let result: ReplayResult | null = null;
    result = await within(world, world.replay(archive.items()), 10 * HOUR);
    expect(result).toMatchObject({ complete: true, sent: items.length });
    for (const process of processes) process.kill();
    return outcomeOf(world);
  }

  const ids = ({ accepted }: Outcome) => accepted.map(({ event }) => event.id).sort();
  const refusals = ({ letters }: Outcome) =>
    letters
      .filter(({ writer }) => writer === 'ingest')
      .map(({ eventId, code, arrivedAt }) => `${eventId} ${code} ${arrivedAt}`)
      .sort();

  it('makes nobody late but those that were, though one clock is ahead for good', () => {
    const prompt = new Map(items.map(({ time, event }) => [event?.id, time - (event?.time ?? 0) <= 20_000]));
    const late = live.letters.filter(({ code }) => code === 'late');
    expect(late.length).toBeGreaterThan(0);
    expect(late.filter(({ eventId }) => prompt.get(eventId ?? '') === true)).toEqual([]);
    expect(live.accepted.filter(({ event }) => event.car === FAST).length).toBeGreaterThan(20);
  });

  it('gives the same events, refusals and heads, and the vectors of the oracle', {
    timeout: 120_000,
  }, async () => {
    const again = await replayed('again', live.world.source.partitions, 40);
    expect(ids(again)).toEqual(ids(live));
    expect(refusals(again)).toEqual(refusals(live));
    expect(again.letters.filter(({ code }) => code === 'late_for_view')).toEqual([]);
    expect(again.predictions.size).toBe(live.predictions.size);
    let same = 0;
    const truth = new Truth(again.world, again.accepted, again.letters);
    for (const [id, prediction] of again.predictions) {
      const before = live.predictions.get(id) ?? expect.fail(`${id} was not asked live`);
      expect(prediction.status).toBe('scored');
      expect(prediction.reads.map(({ head }) => head)).toEqual(before.reads.map(({ head }) => head));
      for (const { asOf, head } of prediction.reads) expect(asOf).toBe(head);
      const request = again.accepted.find(({ event }) => event.id === id) ?? expect.fail(id);
      expect(truth.difference(prediction, request)).toBeNull();
      if (before.status !== 'scored' || before.reads.some(({ asOf, head }) => asOf < head)) continue;
      expect(prediction.vector, `${id}, read at its full head in both`).toEqual(before.vector);
      same += 1;
    }
    expect(same).toBeGreaterThan(live.predictions.size / 3);
  });

  it('fits into fewer partitions, where records go by their keys', async () => {
    const again = await replayed('narrow', 2, 1_000);
    expect(ids(again).length).toBeGreaterThan(ids(live).length * 0.98);
    expect(again.predictions.size).toBeGreaterThan(live.predictions.size * 0.98);
    expect([...again.predictions.values()].every(({ status }) => status === 'scored')).toBe(true);
  });
});
