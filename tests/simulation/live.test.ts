import { describe, expect, it } from 'vitest';
import { MINUTE } from '../../schemas/time.ts';
import { auditViews } from './audited.ts';
import { seeded } from './random.ts';
import { trips } from './trips.ts';
import { Truth } from './truth.ts';
import { ALL, World } from './world.ts';

/** A live producer brings no clocks: quiet partitions fall idle by the wall clock, wake, and may be refused by views. */
describe('a live source on the twins', () => {
  for (const cars of [1, 2, 60])
    it(`answers within its patience from an exact head, with ${cars} cars`, {
      timeout: 120_000,
    }, async () => {
      const world = await World.create({
        step: async (operation, clock) => {
          if (operation !== 'poll') await clock.sleep(1);
        },
      });
      const process = world.start(ALL);
      const items = trips({
        random: seeded(cars),
        start: world.clock.now() + MINUTE,
        trips: 120,
        everyMs: 4_000,
        quietMs: 10 * MINUTE,
        cars,
      });
      let sent = false;
      void world.produceLive(items, world.clock.now()).then(() => {
        sent = true;
      });
      expect(await world.clock.runUntil(() => sent, 24 * 60 * MINUTE)).toBe(true);
      const settled = world.clock.now() + 2_000;
      await world.clock.runUntil(() => world.clock.now() >= settled, 10_000);
      let stopped = false;
      void process.stop().then(() => {
        stopped = true;
      });
      await world.clock.runUntil(() => stopped, 60_000);

      const accepted = await world.accepted();
      const letters = await world.deadLetters();
      const { first, repeats } = await world.predictions();
      const requests = accepted.filter(({ event }) => event.type === 'trip.started');
      expect(repeats).toBe(0);
      expect(first.length).toBe(requests.length);
      for (const audit of await auditViews(world))
        expect(audit).toMatchObject({ off: [], without: [], waiting: 0 });
      let scored = 0;
      const truth = new Truth(world, accepted, letters);
      for (const prediction of first) {
        const request = requests.find(({ event }) => event.id === prediction.requestId);
        expect(prediction.waitMs).toBeLessThanOrEqual(world.model.gate.maxWait + 20);
        if (request === undefined || prediction.status === 'refused') continue;
        scored += 1;
        expect(truth.difference(prediction, request)).toBeNull();
      }
      expect(scored, 'once every partition has spoken or fallen idle, requests are answered').toBeGreaterThan(
        first.length / 2,
      );
    });
});
