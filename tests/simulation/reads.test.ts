import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../infrastructure/memory/warehouse.ts';
import type { EventRecord } from '../../schemas/event.ts';
import type { Project } from '../../schemas/project.ts';
import type { Prediction } from '../../schemas/records/prediction.ts';
import { HOUR, MINUTE, SECOND } from '../../schemas/time.ts';
import { backfillVectors } from '../../streams/history/backfill-vectors.ts';
import type { ReplayItem } from '../../streams/replay/replay.ts';
import { archiveWorld } from './archived-world.ts';
import { pick, seeded } from './random.ts';
import { Truth } from './truth.ts';
import { World } from './world.ts';

const directory = fileURLToPath(new URL('./reads', import.meta.url));

/** Keys that a person may send: every one names an entity of its own. */
const SHOPS = [
  'plain',
  '',
  ' ',
  '|',
  'a|b',
  'b|',
  '||',
  '0:',
  'one:two',
  '{brace}',
  '}{',
  'line\nfeed',
  'nul\0nul',
  'tab\t',
  'grüße',
  '\u{1f680}',
  '__proto__',
  'constructor',
  `'; DROP TABLE`,
  '\\',
  'x'.repeat(5_000),
  `${'x'.repeat(5_000)}y`,
];

async function within<T>(world: World, work: Promise<T>, limitMs: number): Promise<T> {
  let done = false;
  const watched = work.finally(() => {
    done = true;
  });
  watched.catch(() => {});
  expect(await world.clock.runUntil(() => done, limitMs)).toBe(true);
  return watched;
}

/** A payment each two seconds; some know no shop, some no country. */
function payments(start: number, count: number, from = 0): ReplayItem[] {
  const random = seeded(11 + from);
  return Array.from({ length: count }, (_, i) => {
    const time = start + i * 2 * SECOND;
    const card = pick(random, SHOPS);
    const shop = random() < 0.3 ? null : pick(random, SHOPS);
    const country = random() < 0.3 ? null : pick(random, ['at', 'de', 'a|b', '']);
    const amount = Math.round(random() * 10_000) / 100;
    const event: EventRecord = { id: `p${from + i}`, type: 'paid', time, card, shop, country, amount };
    return { key: card, time, event, bytes: null, place: from + i };
  });
}

/** Ten minutes of payments; then features stops and one more minute of them comes two minutes later. */
async function live(edit: (project: Project) => Project): Promise<World> {
  const world = await World.create({ directory, edit });
  const [others, features] = [world.start(['ingest', 'inference']), world.start(['features'])];
  const begin = world.clock.now() + MINUTE;
  await within(world, world.produceLive(payments(begin, 300), begin), HOUR);
  await within(world, world.clock.sleep(10 * SECOND), MINUTE);
  await within(world, features.stop(), MINUTE);
  await within(world, world.clock.sleep(2 * MINUTE), 3 * MINUTE);
  const after = world.clock.now();
  await within(world, world.produceLive(payments(after, 20, 300), after), HOUR);
  await within(world, world.clock.sleep(10 * SECOND), MINUTE);
  await within(world, others.stop(), MINUTE);
  return world;
}

const isFull = ({ reads }: Prediction) => reads.every(({ asOf, head }) => asOf === head);
const isAbsent = (prediction: Prediction, name: string, why: string) =>
  prediction.absent.some(({ read, reason }) => read === name && reason === why);

describe('reads without a key, and reads that are too old', () => {
  let warehouse: MemoryWarehouse;
  let world: World;
  let predictions: readonly Prediction[];
  beforeAll(async () => {
    warehouse = await createMemoryWarehouse();
    world = await live((project) => project);
    await archiveWorld(world, warehouse);
    predictions = (await world.predictions()).first;
  });
  afterAll(() => warehouse.close());

  it('answers each request, with what the naive oracle says, and tells what was absent', async () => {
    const events = await world.accepted();
    expect(events.length).toBe(320);
    expect(predictions.length).toBe(320);
    let keyless = 0;
    const truth = new Truth(world, events, []);
    for (const prediction of predictions) {
      const request = events.find(({ event }) => event.id === prediction.requestId) ?? expect.fail();
      // The first requests find no state at all.
      if (prediction.status === 'refused') {
        expect(prediction.reason).toMatch(/no_frontier|behind/);
        continue;
      }
      expect(truth.difference(prediction, request)).toBeNull();
      expect(isAbsent(prediction, 'shop', 'missing_key')).toBe(request.event.shop === null);
      expect(prediction.reads.some(({ read }) => read === 'shop')).toBe(request.event.shop !== null);
      if (request.event.shop === null) keyless += 1;
    }
    expect(keyless).toBeGreaterThan(50);
    expect(predictions.filter(({ status }) => status === 'scored').length).toBeGreaterThan(290);
  });

  it('gives nulls for a state that is older than max_age, and only for that', () => {
    const width = world.project.views.find(({ name }) => name === 'card')?.features.length ?? 0;
    const scored = predictions.filter(({ status }) => status === 'scored');
    const stale = scored.filter((one) => isAbsent(one, 'card', 'stale'));
    expect(stale.length).toBe(20);
    for (const one of scored) {
      const age = one.reads.find(({ read }) => read === 'card')?.ageMs ?? 0;
      expect(isAbsent(one, 'card', 'stale')).toBe(age > MINUTE);
      expect(one.vector.slice(0, width).every(Number.isNaN)).toBe(age > MINUTE);
    }
  });

  it('gives the same vectors, bit for bit, backfilled from the archive', async () => {
    const { project, model } = world;
    const full = predictions.filter((one) => one.status === 'scored' && isFull(one));
    expect(full.length).toBeGreaterThan(200);
    const width = model.features.length;
    const rows = new Float64Array(full.length * width);
    const wanted = new Map(full.map(({ requestId }, i) => [requestId, i]));
    const [from, to] = [world.clock.now() - HOUR, world.clock.now() + HOUR];
    const done = await backfillVectors({ project, model, warehouse, wanted, from, to, rows });
    expect(done).toMatchObject({ vectors: full.length, missingKey: 0 });
    for (const [i, { requestId, vector }] of full.entries())
      for (const [j, value] of vector.entries())
        if (!Object.is(value, rows[i * width + j]))
          expect.fail(`${requestId} ${model.features[j]?.name}: ${value}, backfilled ${rows[i * width + j]}`);
  });

  it('refuses what is too old where the read says so', { timeout: 300_000 }, async () => {
    const strict = await live((project) => ({
      ...project,
      models: project.models.map((model) => ({
        ...model,
        reads: model.reads.map((read) =>
          read.maxAge === null ? read : { ...read, maxAge: { ...read.maxAge, older: 'refuse' } },
        ),
      })),
    }));
    const { first } = await strict.predictions();
    const stale = first.filter(({ reason }) => reason === 'stale');
    expect(stale.length).toBe(20);
    expect(stale.every(({ score, vector }) => score === null && vector.length === 0)).toBe(true);
  });
});
