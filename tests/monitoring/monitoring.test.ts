import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMemoryBroker } from '../../infrastructure/memory/broker.ts';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../infrastructure/memory/warehouse.ts';
import { readMeasures } from '../../monitoring/measures.ts';
import { createMonitoring, type OnTick } from '../../monitoring/monitoring.ts';
import { eventTimeFinished, nextTick, readTicks, SETTLE_MS } from '../../monitoring/progress.ts';
import { createSampler, sampleResources } from '../../monitoring/resources.ts';
import type { Measure } from '../../schemas/monitoring.ts';
import { tables, topics } from '../../schemas/names.ts';
import { DAY, HOUR } from '../../schemas/time.ts';
import { topicSpecs } from '../../streams/apply/apply.ts';
import { writeClocks } from '../../streams/archive/clocks.ts';
import { SILENT } from '../../streams/runtime/telemetry.ts';
import { wall } from '../streams/archive/archived.ts';
import { createWorld, START, type World } from './fixture.ts';

let warehouse: MemoryWarehouse;
beforeAll(async () => {
  warehouse = await createMemoryWarehouse();
});
afterAll(() => warehouse.close());

let offset = 0;
/** As the archive passes them: of both topics that the model reads. */
async function clock(world: World, time: number, kind: 'first' | 'tick' | 'end' = 'tick'): Promise<void> {
  const { prefix } = world.project;
  const passed = [topics.validated(prefix, 'orders'), topics.predictions(prefix, 'risk')].map((topic) => ({
    topic,
    partition: 0,
    mark: { time, kind, replay: 'r' },
    offset: offset++,
  }));
  await writeClocks(warehouse, prefix, passed, Date.now());
}

async function until(done: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 300 && !(await done()); i++) await wall.sleep(50);
  expect(await done()).toBe(true);
}

describe('how far event time is finished', () => {
  const finished = ({ project }: World, now = Date.now()) => eventTimeFinished({ project, warehouse, now });

  it('is the least clock while a replay is open, what has come when it is not', async () => {
    const world = await createWorld(warehouse, { reference: false });
    expect(await finished(world)).toBeNull();
    expect(await nextTick(world)).toBeNull();
    await clock(world, START, 'first');
    await world.day(0);
    expect(await nextTick(world)).toBe(START + DAY);
    // All of the day is there, but nobody has said that nothing more will come.
    expect(await finished(world)).toBe(START);
    await clock(world, START + 5 * HOUR);
    expect(await finished(world)).toBe(START + 5 * HOUR);
    // One partition of one topic lags.
    const { prefix } = world.project;
    const mark = { time: START + 20 * HOUR, kind: 'tick' as const, replay: 'r' };
    const one = { topic: topics.validated(prefix, 'orders'), partition: 0, mark, offset: offset++ };
    await writeClocks(warehouse, prefix, [one], Date.now());
    expect(await finished(world)).toBe(START + 5 * HOUR);
    await clock(world, START + DAY, 'end');
    // Live from here on: labels of the day came some hours later.
    const [{ last } = { last: 0 }] = await warehouse.query<{ last: number }>(
      `SELECT max(toUnixTimestamp64Milli(time)) AS last FROM ${tables.events(prefix, 'orders')}`,
    );
    expect(await finished(world)).toBe(last);
    expect(await finished(world, last)).toBe(last - 1_000 - SETTLE_MS);
    expect(await finished(world, 0)).toBe(START + DAY);
  });
});

describe('monitoring', () => {
  async function open(world: World) {
    const broker = createMemoryBroker(wall);
    const admin = await broker.kafka().admin();
    await admin.createTopics(topicSpecs(world.project));
    await admin.close();
    const begin = (onTick?: OnTick, prefix = world.project.prefix) => {
      const controller = new AbortController();
      const kafka = broker.kafka();
      const stream = createMonitoring({
        project: { ...world.project, prefix },
        warehouse,
        kafka,
        clock: wall,
        telemetry: SILENT,
        artefacts: { get: () => Promise.reject(new Error('none kept')) },
        ...(onTick === undefined ? {} : { onTick }),
      });
      const done = stream.run(controller.signal);
      done.catch(() => {});
      return {
        done,
        stop: async () => {
          controller.abort();
          await done;
        },
        kill: () => {
          broker.kill(kafka);
          controller.abort();
        },
      };
    };
    return begin;
  }

  it('measures each tick when its time has come, one process of several, and another when that one is gone', async () => {
    const world = await createWorld(warehouse, { reference: false });
    const begin = await open(world);
    const told: string[] = [];
    const hook = (name: string): OnTick => {
      return async (tick, measures) => {
        told.push(`${name} ${(tick - START) / DAY}`);
        expect(measures.length).toBeGreaterThan(0);
        // They stand in their table, and the tick's own row does not.
        const stored = await readMeasures(warehouse, world.project.prefix, { tick });
        expect(stored.length).toBe(measures.length);
        const ticks = await readTicks(warehouse, world.project.prefix, { after: tick - 1 });
        expect(ticks).toEqual([]);
        return [{ rule: 'r', id: `a${tick}`, model: 'risk' }];
      };
    };
    await clock(world, START, 'first');
    await world.day(0);
    const running = new Map([
      ['a', begin(hook('a'))],
      ['b', begin(hook('b'))],
    ]);
    await wall.sleep(300);
    expect(told).toEqual([]);
    await clock(world, START + DAY);
    await until(async () => (await readTicks(warehouse, world.project.prefix)).length === 1);
    const [leader = ''] = told[0]?.split(' ') ?? [];
    expect(told).toEqual([`${leader} 1`]);
    running.get(leader)?.kill();
    await world.day(1);
    await clock(world, START + 2 * DAY);
    await until(async () => (await readTicks(warehouse, world.project.prefix)).length === 2);
    await Promise.all([...running.values()].map((one) => one.stop().catch(() => {})));
    const other = leader === 'a' ? 'b' : 'a';
    expect(told).toEqual([`${leader} 1`, `${other} 2`]);
    const ticks = await readTicks(warehouse, world.project.prefix);
    expect(ticks.map(({ state }) => state)).toEqual(['finished', 'finished']);
    expect(JSON.parse(ticks[1]?.detail ?? '')).toMatchObject({
      fired: [{ rule: 'r', id: `a${START + 2 * DAY}`, model: 'risk' }],
    });
  });

  it.each(['before', 'after'] as const)(
    'repeats a tick where an insert fails %s it is stored, and keeps one set of measures',
    async (when) => {
      const world = await createWorld(warehouse, { reference: false });
      const begin = await open(world);
      await clock(world, START, 'first');
      await world.day(0);
      await clock(world, START + DAY);
      let calls = 0;
      warehouse.failNext(when);
      const one = begin(async () => {
        calls += 1;
        if (calls === 1) warehouse.failNext(when);
        return [];
      });
      await until(async () => (await readTicks(warehouse, world.project.prefix)).length === 1);
      await one.stop();
      const { prefix } = world.project;
      const stored: Measure[] = await readMeasures(warehouse, prefix, { tick: START + DAY });
      const [rows] = await warehouse.query<{ n: number }>(
        `SELECT count() AS n FROM ${tables.measures(prefix)} FINAL`,
      );
      expect(rows?.n).toBe(stored.length);
    },
    60_000,
  );
});

describe('resources of a process', () => {
  it('are measures of the wall clock', async () => {
    const sampler = createSampler('test 1', 1_000);
    await wall.sleep(50);
    for (const end = Date.now() + 150; Date.now() < end; );
    await wall.sleep(50);
    const found = new Map(sampler.measure(2_000).map((one) => [one.statistic, one]));
    sampler.close();
    expect(found.get('cpu')).toMatchObject({ kind: 'resource', subject: 'test 1', from: 1_000, to: 2_000 });
    expect(found.get('cpu')?.value).toBeGreaterThan(0.01);
    expect(found.get('memory')?.value).toBeGreaterThan(10e6);
    expect(found.get('event_loop_delay')?.high).toBeGreaterThan(50);
    expect(found.get('gc')?.value).toBeGreaterThanOrEqual(0);
  });

  it('go to the table until the process ends', async () => {
    const world = await createWorld(warehouse, { reference: false });
    const { prefix } = world.project;
    const controller = new AbortController();
    const deps = { warehouse, prefix, process: 'run 1', clock: wall, telemetry: SILENT, everyMs: 40 };
    const sampling = sampleResources(deps, controller.signal);
    const read = () => readMeasures(warehouse, prefix, { kinds: ['resource'] });
    await until(async () => (await read()).length >= 8);
    controller.abort();
    await sampling;
    expect(new Set((await read()).map(({ statistic }) => statistic))).toEqual(
      new Set(['cpu', 'memory', 'event_loop_delay', 'gc']),
    );
  });
});
