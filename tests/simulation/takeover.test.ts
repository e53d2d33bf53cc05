import { describe, expect, it } from 'vitest';
import { layoutHash } from '../../schemas/layout.ts';
import type { Project } from '../../schemas/project.ts';
import { HOUR, MINUTE } from '../../schemas/time.ts';
import { topicSpecs } from '../../streams/apply/apply.ts';
import { createFeatures } from '../../streams/features/features.ts';
import { createTakeover, withViewsOf } from '../../streams/inference/takeover.ts';
import { createIngest } from '../../streams/ingest/ingest.ts';
import type { ReplayItem } from '../../streams/replay/replay.ts';
import { SILENT } from '../../streams/runtime/telemetry.ts';
import { type Definition, edited } from './definitions.ts';
import { seeded } from './random.ts';
import { trips } from './trips.ts';
import { difference } from './truth.ts';
import { ALL, FIXED, World } from './world.ts';

interface Running {
  stop(): Promise<void>;
}

interface TakingOver extends Running {
  readonly notes: string[];
  readonly failures: Error[];
  kill(): void;
}

/** A process of the changed project, which takes over from the one before; `layout` is the champion's. */
function startTakingOver(
  world: World,
  present: Definition,
  before: Project,
  layout: () => string,
): TakingOver {
  const notes: string[] = [];
  const failures: Error[] = [];
  const telemetry = {
    ...SILENT,
    note: (_: string, what: string) => void notes.push(what),
    failure: (_: string, error: Error) => void failures.push(error),
  };
  const { store, codecs, clock } = world;
  const { project, model } = present;
  const kafka = world.broker.kafka();
  const deps = { project, kafka, store, codecs, clock, telemetry };
  const both = { ...deps, project: withViewsOf(project, before) };
  const models = {
    current: () => () => ({ champion: { ...FIXED, layoutHash: layout() }, shadows: [] }),
    refresh: async () => {},
  };
  const streams = [
    createIngest(both),
    createFeatures(both),
    createTakeover({ ...deps, model, models }, before),
  ];
  const controller = new AbortController();
  let dead = false;
  const done = Promise.all(streams.map((stream) => stream.run(controller.signal))).catch((error: unknown) => {
    if (!dead) throw error;
  });
  done.catch((error: unknown) => failures.push(error as Error));
  return {
    notes,
    failures,
    kill() {
      dead = true;
      world.broker.kill(kafka);
      controller.abort();
    },
    async stop() {
      controller.abort();
      await done;
    },
  };
}

async function play(world: World, items: readonly ReplayItem[], name: string): Promise<void> {
  let ended = false;
  const replayed = world.replay(items, name, 3_600).finally(() => {
    ended = true;
  });
  expect(await world.clock.runUntil(() => ended, 10 * MINUTE), String(world.failures.at(-1))).toBe(true);
  await replayed;
}

async function end(world: World, process: Running): Promise<void> {
  let stopped = false;
  void process.stop().then(() => {
    stopped = true;
  });
  expect(await world.clock.runUntil(() => stopped, MINUTE)).toBe(true);
}

async function history(seed: number) {
  const world = await World.create({
    step: async (operation, clock) => {
      if (operation !== 'poll') await clock.sleep(1);
    },
  });
  const items = trips({
    random: seeded(seed),
    start: world.clock.now() - 24 * HOUR,
    trips: 500,
    everyMs: 45_000,
    quietMs: 0,
    cars: 50,
  });
  const at = Math.floor(items.length / 3);
  return { world, items, cut: items[at]?.time ?? 0, before: items.slice(0, at), after: items.slice(at) };
}

/** Every request is answered once, by a score from exact features of the definition whose views it names. */
async function expectAllExact(
  world: World,
  definitions: readonly Definition[],
  { repeatsAllowed = false } = {},
) {
  const accepted = await world.accepted();
  const { first: predictions, repeats } = await world.predictions();
  if (!repeatsAllowed) expect(repeats).toBe(0);
  const requests = new Map(
    accepted.filter(({ event }) => event.type === 'trip.started').map((one) => [one.event.id, one]),
  );
  expect(predictions.length).toBe(requests.size);
  return predictions.map((prediction) => {
    const request = requests.get(prediction.requestId);
    if (request === undefined) throw new Error(`no request ${prediction.requestId}`);
    expect(prediction.status, `${prediction.requestId}: ${prediction.reason}`).toBe('scored');
    const of = definitions.findIndex(({ project }) =>
      prediction.reads.every(({ view }) => project.views.some(({ id }) => id === view)),
    );
    const definition = definitions[of];
    if (definition === undefined) throw new Error(`${prediction.requestId} reads views of two definitions`);
    expect(difference(definition, accepted, [], prediction, request)).toBeNull();
    return { of, time: request.event.time };
  });
}

/**
 *   views before   ████████████████████████▒▒▒▒▒▒
 *   views now              ░░░░░░░░░░░░░████████   ░ its windows reach back of what it was told
 *   answers from   before ──────────────┤ now ───
 */
describe('a changed view', () => {
  for (const seed of [1, 2])
    it(`takes over once it can answer as exactly, seed ${seed}`, async () => {
      const { world, before, after, cut } = await history(seed);
      const present = edited('views/line.yaml', (text) => text.replace('of: price > 50', 'of: price > 40'));
      expect(present.model.layoutHash).toBe(world.model.layoutHash);
      const admin = await world.broker.kafka().admin();
      await admin.createTopics(topicSpecs(present.project));

      const old = world.start(ALL);
      await play(world, before, 'before');
      await end(world, old);
      const changed = startTakingOver(world, present, world.project, () => world.model.layoutHash);
      await play(world, after, 'after');
      await end(world, changed);

      expect(changed.failures.map(String)).toEqual([]);
      expect(changed.notes.filter((note) => note === 'took over')).toHaveLength(1);
      const answers = await expectAllExact(world, [world, present]);
      const lastOld = Math.max(...answers.filter(({ of }) => of === 0).map(({ time }) => time));
      const firstNew = Math.min(...answers.filter(({ of }) => of === 1).map(({ time }) => time));
      expect(lastOld, 'the view before goes on answering').toBeGreaterThan(cut + 30 * MINUTE);
      expect(firstNew, 'an hour must have filled').toBeGreaterThan(cut + HOUR);
      expect(answers.filter(({ of }) => of === 1).length).toBeGreaterThan(50);
    });

  for (const seed of [4, 5, 6])
    it(`takes over in two processes of which one is killed again and again, seed ${seed}`, {
      timeout: 60_000,
    }, async () => {
      const { world, before, after } = await history(seed);
      const present = edited('views/line.yaml', (text) => text.replace('of: price > 50', 'of: price > 40'));
      const admin = await world.broker.kafka().admin();
      await admin.createTopics(topicSpecs(present.project));
      const old = world.start(ALL);
      await play(world, before, 'before');
      await end(world, old);

      const start = () => startTakingOver(world, present, world.project, () => world.model.layoutHash);
      const random = seeded(seed);
      const steady = start();
      let victim = start();
      let over = false;
      let kills = 0;
      void (async () => {
        while (!over) {
          await world.clock.sleep(300 + Math.floor(random() * 600));
          if (over) return;
          victim.kill();
          victim = start();
          kills += 1;
        }
      })();
      let ended = false;
      const replayed = world.replay(after, 'after', 3_600).finally(() => {
        ended = true;
      });
      expect(await world.clock.runUntil(() => ended, 10 * MINUTE)).toBe(true);
      await replayed;
      over = true;
      await end(world, steady);
      await end(world, victim);

      expect(kills).toBeGreaterThan(5);
      const answers = await expectAllExact(world, [world, present], { repeatsAllowed: true });
      for (const of of [0, 1])
        expect(answers.filter((answer) => answer.of === of).length).toBeGreaterThan(30);
    });

  it('of another layout takes over with the champion that fits it, and goes back with the one before', {
    timeout: 60_000,
  }, async () => {
    const { world, before, after } = await history(3);
    const present = edited('views/zone.yaml', (text) =>
      text.replace(
        'event: trip.started, windows: [1m, 10m, 1h] }',
        'event: trip.started, windows: [1m, 10m, 30m, 1h] }',
      ),
    );
    expect(present.model.layoutHash).not.toBe(world.model.layoutHash);
    expect(layoutHash(present.model.features)).toBe(present.model.layoutHash);
    const admin = await world.broker.kafka().admin();
    await admin.createTopics(topicSpecs(present.project));
    let champion = world.model.layoutHash;

    const old = world.start(ALL);
    await play(world, before, 'before');
    await end(world, old);
    const changed = startTakingOver(world, present, world.project, () => champion);
    const thirds = [0, 1, 2].map((i) =>
      after.slice(Math.floor((i * after.length) / 3), Math.floor(((i + 1) * after.length) / 3)),
    );
    for (const [i, layout] of [champion, present.model.layoutHash, champion].entries()) {
      champion = layout;
      // Longer than a look: what was registered before a replay holds for all of it.
      const settled = world.clock.now() + 1_000;
      await world.clock.runUntil(() => world.clock.now() >= settled, MINUTE);
      await play(world, thirds[i] ?? [], `part ${i}`);
    }
    await end(world, changed);

    expect(changed.failures.map(String)).toEqual([]);
    expect(changed.notes.filter((note) => note === 'took over' || note === 'went back')).toEqual([
      'took over',
      'went back',
    ]);
    const answers = await expectAllExact(world, [world, present]);
    expect(answers.filter(({ of }) => of === 1).length).toBeGreaterThan(50);
  });
});
