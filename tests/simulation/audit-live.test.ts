import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../infrastructure/memory/warehouse.ts';
import { topics } from '../../schemas/names.ts';
import { MINUTE } from '../../schemas/time.ts';
import { audit } from '../../streams/audit/audit.ts';
import { NOT_CUT } from '../../streams/runtime/dead-letter-record.ts';
import { archiveWorld } from './archived-world.ts';
import { seeded } from './random.ts';
import { trips } from './trips.ts';
import { ALL, World } from './world.ts';

/** The audit of what real streams did on the twins: its laws hold for every refusal of theirs, and name a planted one. */
describe('an audit of a live source', () => {
  let warehouse: MemoryWarehouse;
  beforeAll(async () => {
    warehouse = await createMemoryWarehouse();
  });
  afterAll(() => warehouse.close());

  async function livedWorld(seed: number, cars: number): Promise<World> {
    const world = await World.create();
    const process = world.start(ALL);
    const start = world.clock.now() + MINUTE;
    const items = trips({
      random: seeded(seed),
      start,
      trips: 60,
      everyMs: 6_000,
      quietMs: 10 * MINUTE,
      cars,
    });
    let sent = false;
    void world.produceLive(items, world.clock.now()).then(() => {
      sent = true;
    });
    await world.clock.runUntil(() => sent, 24 * 60 * MINUTE);
    const settled = world.clock.now() + 60_000;
    await world.clock.runUntil(() => world.clock.now() >= settled, 120_000);
    let stopped = false;
    void process.stop().then(() => {
      stopped = true;
    });
    await world.clock.runUntil(() => stopped, 60_000);
    await archiveWorld(world, warehouse);
    return world;
  }

  const check = ({ project, broker, store, codecs }: World) =>
    audit({ project, kafka: broker.kafka(), warehouse, store, codecs });

  it('finds every refusal of its views right, and names one that is not', async () => {
    let refused = 0;
    for (const cars of [2, 40]) {
      const world = await livedWorld(cars, cars);
      const { findings, refusals } = await check(world);
      expect(findings).toEqual([]);
      refused += refusals.reduce((sum, { lateForView }) => sum + lateForView, 0);

      const prompt = (await world.accepted()).find(
        ({ event, appendTime }) =>
          event.type === 'trip.ended' && appendTime - event.time <= world.source.outOfOrderness,
      );
      const view = world.project.views.find(({ at }) => at === null) ?? expect.fail('no view');
      if (prompt === undefined) throw new Error('no prompt event');
      const { partition, offset, event } = prompt;
      const producer = await world.broker.kafka().producer();
      const letter = {
        format: 1,
        stage: 'features',
        code: 'late_for_view',
        detail: '',
        sourceTopic: topics.raw(world.project.prefix, 'trips'),
        sourcePartition: partition,
        sourceOffset: offset,
        appendTime: 0,
        arrivedAt: null,
        eventId: null,
        eventTime: event.time,
        writer: `${view.id}:0`,
        key: null,
        value: null,
        ...NOT_CUT,
      };
      const topic = topics.deadLetters(world.project.prefix, 'trips');
      await producer.send([{ topic, partition, key: null, value: world.codecs.deadLetters.encode(letter) }]);
      expect((await check(world)).findings.join()).toContain('wait for the archive');
      await archiveWorld(world, warehouse);
      const planted = await check(world);
      expect(planted.status).toBe('broken');
      expect(planted.findings.join()).toMatch(
        new RegExp(
          `1 contributions of trips were refused by ${view.id} as late_for_view .*raw ${partition}:${offset}`,
        ),
      );
    }
    expect(refused, 'views refused something at all').toBeGreaterThan(0);
  });
});
