import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../infrastructure/memory/warehouse.ts';
import { rawSchema } from '../../schemas/event-schema.ts';
import type { Prediction } from '../../schemas/records/prediction.ts';
import { HOUR, MINUTE, SECOND } from '../../schemas/time.ts';
import { backfillVectors } from '../../streams/history/backfill-vectors.ts';
import { openArchive } from '../../streams/replay/from-archive.ts';
import { replayAll } from '../../streams/replay/replay.ts';
import { ALL_GUARDS, type Guards } from '../../streams/runtime/guards.ts';
import { archiveWorld } from './archived-world.ts';
import { DIRECTORY, observations, rides, type Seen, type Sent, send, watch } from './hourly.ts';
import { seeded } from './random.ts';
import { Truth } from './truth.ts';
import { ALL, World } from './world.ts';

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

interface Run {
  readonly world: World;
  readonly begin: number;
  readonly seen: readonly Seen[];
  readonly observed: readonly Sent[];
}

async function live(lastsMs: number, guards: Guards): Promise<Run> {
  const world = await World.create({ directory: DIRECTORY, guards });
  const process = world.start(ALL);
  const begin = world.clock.now() + MINUTE;
  const random = seeded(7);
  const observed = observations(random, begin, begin + lastsMs);
  const asked = rides(random, begin, begin + lastsMs);
  const [, seen] = await within(
    world,
    Promise.all([send(world, [...observed, ...asked]), watch(world, observed)]),
    lastsMs + HOUR,
  );
  await within(world, world.clock.sleep(MINUTE), 2 * MINUTE);
  await within(world, process.stop(), MINUTE);
  return { world, begin, seen, observed };
}

/** Answers to requests after the first minutes, and those among them that were not read at their full heads. */
async function answers({ world, begin }: Pick<Run, 'world' | 'begin'>) {
  const { first, repeats } = await world.predictions();
  expect(repeats).toBe(0);
  const settled = first.filter(({ requestTime }) => requestTime >= begin + 3 * MINUTE);
  const short = settled.filter(
    ({ status, reads }) => status !== 'scored' || reads.some(({ asOf, head }) => asOf !== head),
  );
  return { settled, short };
}

const accepted = async (world: World) =>
  (await Promise.all(world.project.sources.map((source) => world.accepted(source)))).flat();
const letters = async (world: World) =>
  (await Promise.all(world.project.sources.map((source) => world.deadLetters(source)))).flat();

/**
 *   rides      | | || | | | || | | |  ...  || | | | || |      every few seconds, over 3 partitions
 *   weather    w                           w                  once an hour a station, one partition never
 *   broker     --------------------------------------->       its clock moves the watermarks of quiet partitions on
 *   frontier   20 s behind, though rides allow 5 s only: an idle station may still bring what it saw 20 s ago
 *   seen          ^ within resolution + read delay + 1 s
 */
describe('an hourly source beside a fast one', () => {
  let warehouse: MemoryWarehouse;
  let run: Run;
  beforeAll(async () => {
    warehouse = await createMemoryWarehouse();
    run = await live(70 * MINUTE, ALL_GUARDS);
    await archiveWorld(run.world, warehouse);
  });
  afterAll(() => warehouse.close());

  it('loses nothing, and answers each request at its full head though one source is silent for an hour', async () => {
    const { world } = run;
    const events = await accepted(world);
    expect(await letters(world)).toEqual([]);
    const busy = new Set(
      events.filter(({ source }) => source === 'weather').map(({ partition }) => partition),
    );
    expect(busy.size).toBeLessThan(3);
    const { settled, short } = await answers(run);
    expect(settled.length).toBeGreaterThan(300);
    expect(short.map(({ requestId, reason, reads }) => ({ requestId, reason, reads }))).toEqual([]);
    const truth = new Truth(world, events, []);
    for (const prediction of settled) {
      const request = events.find(({ event }) => event.id === prediction.requestId) ?? expect.fail();
      expect(truth.difference(prediction, request)).toBeNull();
    }
  });

  it('shows each observation within resolution + read delay + 1 s', () => {
    expect(run.seen.length).toBe(run.observed.length);
    for (const { name, resolution, readDelay } of run.world.project.views) {
      const after = run.seen.map(({ afterMs }) => afterMs[name] ?? Number.POSITIVE_INFINITY);
      const bound = resolution + readDelay + SECOND;
      console.log(`${name}: seen ${after.sort((a, b) => a - b).join(', ')} ms after; at most ${bound}`);
      expect(Math.max(...after)).toBeLessThanOrEqual(bound);
    }
  });

  it('gives the same vectors, bit for bit, replayed from the archive', { timeout: 300_000 }, async () => {
    const { world } = run;
    const again = await World.create({
      directory: DIRECTORY,
      edit: (project) => ({ ...project, prefix: 'again' }),
    });
    const process = again.start(ALL);
    const inputs = await Promise.all(
      again.project.sources.map(async (source, i) => {
        const of = world.project.sources[i] ?? expect.fail();
        const archive = await openArchive({
          warehouse,
          prefix: world.project.prefix,
          source,
          from: null,
          to: null,
          schemaById: async () => JSON.stringify(rawSchema(of, world.project.prefix)),
        });
        return { source: source.name, items: archive.items() };
      }),
    );
    const { project, store, codecs, clock, broker } = again;
    const result = await within(
      again,
      replayAll(
        { project, kafka: broker.kafka(), store, codecs, clock },
        { name: 'again', inputs, speed: Number.POSITIVE_INFINITY, signal: new AbortController().signal },
      ),
      10 * HOUR,
    );
    expect(result).toMatchObject({ complete: true, sent: (await accepted(world)).length });
    expect(await letters(again)).toEqual([]);
    const { settled, short } = await answers({ ...run, world: again });
    expect(short).toEqual([]);
    const before = new Map((await answers(run)).settled.map((one) => [one.requestId, one]));
    expect(settled.length).toBe(before.size);
    for (const { requestId, vector } of settled)
      expect(vector, requestId).toEqual(before.get(requestId)?.vector);
    process.kill();
  });

  it('gives the same vectors, bit for bit, backfilled from the archive', async () => {
    const { project, model } = run.world;
    const { settled } = await answers(run);
    expect(await unlikeBackfill(settled)).toEqual([]);

    async function unlikeBackfill(predictions: readonly Prediction[]): Promise<string[]> {
      const width = model.features.length;
      const rows = new Float64Array(predictions.length * width);
      const wanted = new Map(predictions.map(({ requestId }, i) => [requestId, i]));
      const [from, to] = [run.begin, run.begin + 4 * HOUR];
      const done = await backfillVectors({ project, model, warehouse, wanted, from, to, rows });
      expect(done.vectors).toBe(predictions.length);
      return predictions.flatMap(({ requestId, vector }, i) =>
        [...vector].flatMap((value, j) =>
          Object.is(value, rows[i * width + j])
            ? []
            : [`${requestId} ${model.features[j]?.name}: live ${value}, backfilled ${rows[i * width + j]}`],
        ),
      );
    }
  });

  it('holds requests back where the clock of the broker moves nothing', { timeout: 300_000 }, async () => {
    const without = await live(8 * MINUTE, { ...ALL_GUARDS, moveOn: false });
    const { settled, short } = await answers(without);
    console.log(
      `without moveOn: ${short.length} of ${settled.length} requests are not read at their full heads`,
    );
    expect(settled.length).toBeGreaterThan(20);
    expect(short.length).toBeGreaterThan(settled.length / 2);
  });
});
