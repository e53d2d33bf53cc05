import { describe, expect, it } from 'vitest';
import { DAY, HOUR, MINUTE } from '../../schemas/time.ts';
import { topicSpecs } from '../../streams/apply/apply.ts';
import type { ReplayItem } from '../../streams/replay/replay.ts';
import { type Definition, edited } from './definitions.ts';
import { seeded } from './random.ts';
import { trips } from './trips.ts';
import { difference } from './truth.ts';
import { ALL, World } from './world.ts';

/** Runs one definition over a stretch of events and stops it. */
async function stretch(
  world: World,
  definition: Definition,
  items: readonly ReplayItem[],
  name: string,
): Promise<void> {
  const process = world.start(ALL, definition);
  let ended = false;
  const replayed = world.replay(items, name).finally(() => {
    ended = true;
  });
  expect(await world.clock.runUntil(() => ended, MINUTE), String(world.failures.at(-1))).toBe(true);
  await replayed;
  let stopped = false;
  void process.stop().then(() => {
    stopped = true;
  });
  await world.clock.runUntil(() => stopped, MINUTE);
}

/**
 *   definition   A ───────── B ───────── A ─────────
 *   log of A     ████████████           ████████████   what came meanwhile is not in it
 *   log of B                 ███████████               nor is what came before
 */
describe('a definition that was not fed for a while', () => {
  for (let seed = 1; seed <= 4; seed += 1)
    it(`never answers from a log with a hole, seed ${seed}`, async () => {
      const world = await World.create({
        step: async (operation, clock) => {
          if (operation !== 'poll') await clock.sleep(1);
        },
      });
      const first: Definition = world;
      const second = edited('views/zone.yaml', (text) =>
        text.replace('windows: [1m, 10m, 1h] }', 'windows: [1m, 10m, 30m, 1h] }'),
      );
      const admin = await world.broker.kafka().admin();
      await admin.createTopics(topicSpecs(second.project));
      const items = trips({
        random: seeded(seed),
        start: world.clock.now() - 2 * DAY,
        trips: 600,
        everyMs: 60_000,
        quietMs: 0,
        cars: 50,
      });
      const [begin, end] = [items[0]?.time ?? 0, items.at(-1)?.time ?? 0];
      const cuts = [begin + (end - begin) / 3, begin + (2 * (end - begin)) / 3];
      const part = (from: number, to: number) => items.filter(({ time }) => time >= from && time < to);
      await stretch(world, first, part(begin, cuts[0] ?? 0), 'first');
      await stretch(world, second, part(cuts[0] ?? 0, cuts[1] ?? 0), 'second');
      await stretch(world, first, part(cuts[1] ?? 0, end + 1), 'third');

      const accepted = await world.accepted();
      const { first: predictions } = await world.predictions();
      const requests = new Map(
        accepted.filter(({ event }) => event.type === 'trip.started').map((one) => [one.event.id, one]),
      );
      expect(predictions.length).toBe(requests.size);
      const scored = new Map<Definition, number>();
      for (const prediction of predictions) {
        const request = requests.get(prediction.requestId);
        if (request === undefined) throw new Error(`no request ${prediction.requestId}`);
        const under = prediction.layout === second.model.layoutHash ? second : first;
        const since =
          prediction.requestTime - (cuts.filter((cut) => cut <= prediction.requestTime).at(-1) ?? 0);
        if (prediction.status === 'refused') {
          expect(prediction.reason).toBe('behind');
          // The longest window is an hour; a ride may be told 20 minutes late.
          expect(since, 'refused only while a window reaches into the hole').toBeLessThan(2 * HOUR);
          continue;
        }
        scored.set(under, (scored.get(under) ?? 0) + 1);
        expect(difference(under, accepted, [], prediction, request)).toBeNull();
      }
      expect(scored.get(second)).toBeGreaterThan(20);
      expect(scored.get(first)).toBeGreaterThan(200);
    });
});
