import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { partitionOf } from '../../processors/partition.ts';
import { topics } from '../../schemas/names.ts';
import type { Prediction } from '../../schemas/records/prediction.ts';
import { MINUTE } from '../../schemas/time.ts';
import { checkDelivery } from './check-delivery.ts';
import { FAULTS } from './history.ts';
import { seeded } from './random.ts';
import { trips } from './trips.ts';
import { Truth } from './truth.ts';
import { type StreamName, World } from './world.ts';

const directory = fileURLToPath(new URL('./local', import.meta.url));

/** All that an answer says of its features and its score. */
const bitsOf = ({ status, score, vector, reads }: Prediction) =>
  JSON.stringify([status, score, vector.map(String), reads]);

/** Requests are answered in the pass that ingests them: what they are answered is what inference would have answered, to the bit. */
describe('local views on the twins', () => {
  it('answer every request once', async () => {
    const layout = [['ingest', 'features']] as const;
    const { answers, repeats } = await checkDelivery({
      seed: 1,
      trips: 300,
      faults: [],
      faultEveryMs: 1,
      directory,
      layout,
    });
    expect(answers.length).toBeGreaterThan(100);
    expect(repeats).toBe(0);
  });

  it('answer what inference answers by itself, to the bit', { timeout: 120_000 }, async () => {
    for (const seed of [1, 2, 3, 4]) {
      const random = seeded(seed);
      const world = await World.create({
        directory,
        step: async (operation, clock) => {
          if (operation !== 'poll') await clock.sleep(Math.floor(random() * 4));
        },
      });
      // The same requests of the same log, answered by both: two records of each answer.
      const both = [world.start(['ingest', 'features']), world.start(['inference'], world, { apart: true })];
      const start = world.clock.now() - 60 * 24 * MINUTE;
      const items = trips({ random, start, trips: 200, everyMs: 2_000, quietMs: 3 * MINUTE, cars: 20 });
      let finished = false;
      void world.replay(items).then(() => {
        finished = true;
      });
      expect(await world.clock.runUntil(() => finished, 30 * MINUTE)).toBe(true);
      const settled = world.clock.now() + 5_000;
      await world.clock.runUntil(() => world.clock.now() >= settled, 10_000);
      let stopped = false;
      void Promise.all(both.map((one) => one.stop())).then(() => {
        stopped = true;
      });
      await world.clock.runUntil(() => stopped, 60_000);
      const answers = (await world.answers('predictions')).map(({ prediction }) => prediction);
      const pairs = [...Map.groupBy(answers, ({ id }) => id).values()].filter(
        (same) => same.length > 1 && same.every(({ status }) => status === 'scored'),
      );
      expect(pairs.length, `seed ${seed}`).toBeGreaterThan(100);
      for (const same of pairs) expect(new Set(same.map(bitsOf)).size, `seed ${seed}`).toBe(1);
    }
  });

  for (const fault of FAULTS)
    it(`are the same under: ${fault}`, { timeout: 300_000 }, async () => {
      for (let seed = 1; seed <= 6; seed += 1)
        await checkDelivery({ seed, trips: 150, faults: [fault], faultEveryMs: 150, directory });
    });

  it('are the same under all of them together', { timeout: 300_000 }, async () => {
    for (let seed = 100; seed < 124; seed += 1)
      await checkDelivery({
        seed,
        trips: 120,
        faults: FAULTS,
        faultEveryMs: 120,
        partitions: [1, 3, 8][seed % 3] ?? 3,
        layout:
          seed % 2 === 0
            ? [['ingest'], ['features'], ['ingest', 'features']]
            : [
                ['ingest', 'features'],
                ['ingest', 'features'],
              ],
        directory,
      });
  });

  /*
   *  ingest alone ......|                        no answers
   *                     ingest that scores ......|
   *                                              ingest, and inference by itself ......
   */
  it('may be read by ingest or by inference in turn: each goes on where the other ended', {
    timeout: 120_000,
  }, async () => {
    const world = await World.create({
      directory,
      step: async (operation, clock) => {
        if (operation !== 'poll') await clock.sleep(1);
      },
    });
    const until = async (done: () => boolean) =>
      expect(await world.clock.runUntil(done, 24 * 60 * MINUTE)).toBe(true);
    const start = world.clock.now() + MINUTE;
    const all = trips({ random: seeded(7), start, trips: 300, everyMs: 4_000, quietMs: 0, cars: 20 });
    const third = Math.ceil(all.length / 3);
    const turns: ReadonlyArray<readonly [readonly StreamName[], boolean]> = [
      [['ingest', 'features'], true],
      [['ingest', 'features'], false],
      [['ingest', 'features', 'inference'], true],
    ];
    const counts: number[] = [];
    for (const [turn, [streams, apart]] of turns.entries()) {
      const process = world.start(streams, world, { apart });
      let sent = false;
      void world.produceLive(all.slice(turn * third, (turn + 1) * third), world.clock.now()).then(() => {
        sent = true;
      });
      await until(() => sent);
      const settled = world.clock.now() + 90_000;
      await world.clock.runUntil(() => world.clock.now() >= settled, 100_000);
      let stopped = false;
      void process.stop().then(() => {
        stopped = true;
      });
      await until(() => stopped);
      counts.push((await world.predictions()).first.length);
    }
    const accepted = await world.accepted();
    const requests = accepted.filter(({ event }) => event.type === 'trip.started');
    const { first, repeats } = await world.predictions();
    expect(world.failures).toEqual([]);
    expect(counts[0]).toBe(0);
    expect(counts[1]).toBeGreaterThan(requests.length / 2);
    expect([first.length, repeats]).toEqual([requests.length, 0]);
    const truth = new Truth(world, accepted, await world.deadLetters());
    const byId = new Map(requests.map((one) => [one.event.id, one]));
    for (const prediction of first) {
      const request = byId.get(prediction.requestId);
      expect(prediction.status).toBe('scored');
      if (request !== undefined) expect(truth.difference(prediction, request)).toBeNull();
      const below = prediction.reads.filter(({ asOf, head }) => asOf < head);
      expect(below, `${prediction.requestId} is answered below its full head`).toEqual([]);
    }
  });

  it('refuse a record that came to another partition than that of its key', { timeout: 60_000 }, async () => {
    const world = await World.create({ directory });
    const process = world.start(['ingest', 'features']);
    const producer = await world.broker.kafka().producer();
    const time = world.clock.now();
    const event = {
      id: 'astray',
      type: 'trip.started',
      time,
      car: 'c1',
      zone: 'a',
      to: 'b',
      price: null,
      started_at: null,
    };
    const right = partitionOf('c1', 3);
    await producer.send(
      [right, (right + 1) % 3].map((partition) => ({
        topic: topics.raw(world.project.prefix, world.source.name),
        partition,
        key: Buffer.from('c1'),
        value: world.codecs.encodeRaw(world.source.name, { ...event, id: `to-${partition}` }),
      })),
    );
    let answered = 0;
    void world.clock.sleep(5_000).then(async () => {
      answered = (await world.predictions()).first.length;
    });
    expect(await world.clock.runUntil(() => answered > 0, 60_000)).toBe(true);
    const letters = await world.deadLetters();
    expect(letters.map(({ code, sourcePartition }) => [code, sourcePartition])).toEqual([
      ['misrouted', (right + 1) % 3],
    ]);
    expect(letters[0]?.detail).toContain(`belongs to partition ${right} of 3`);
    let stopped = false;
    void process.stop().then(() => {
      stopped = true;
    });
    await world.clock.runUntil(() => stopped, 60_000);
  });
});
