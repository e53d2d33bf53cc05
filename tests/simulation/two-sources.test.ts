import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { Kafka } from '../../infrastructure/kafka/port.ts';
import type { OnlineStore } from '../../infrastructure/redis/port.ts';
import { decodeMeta } from '../../processors/meta.ts';
import { asOf } from '../../processors/read.ts';
import { keys, topics } from '../../schemas/names.ts';
import type { Source } from '../../schemas/project.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import { HOUR, MINUTE, SECOND } from '../../schemas/time.ts';
import { type ReplayItem, type ReplayResult, replayAll } from '../../streams/replay/replay.ts';
import { textOf } from '../../streams/runtime/clock-record.ts';
import { readTails } from '../../streams/runtime/tail.ts';
import { pick, seeded } from './random.ts';
import { trips } from './trips.ts';
import { Truth } from './truth.ts';
import { ALL, type Process, World } from './world.ts';

const DIRECTORY = fileURLToPath(new URL('./two-sources', import.meta.url));
const ZONES = ['airport', 'centre', 'harbour', 'north', 'station'];

/** What sensors see, in bursts with long silences between: sparse where trips are dense. Out of order by 20 s, one in thirty too late. */
function jams(random: () => number, start: number, end: number): ReplayItem[] {
  const items: Array<Omit<ReplayItem, 'place'>> = [];
  let n = 0;
  for (
    let time = start;
    time < end;
    time += random() < 0.1 ? random() * 20 * MINUTE : random() * 10 * SECOND
  ) {
    const at = Math.floor(time);
    const sensor = `sensor-${Math.floor(random() * 6)}`;
    const level = random() < 0.05 ? 99 : Math.round(random() * 100) / 10;
    const event = { id: `j${n}`, type: 'jam.seen', time: at, sensor, zone: pick(random, ZONES), level };
    const delay = random() < 0.03 ? 3 * MINUTE : random() * 20 * SECOND;
    items.push({ time: at + Math.floor(delay), key: sensor, event, bytes: null });
    n += 1;
  }
  return items.sort((a, b) => a.time - b.time).map((item, place) => ({ ...item, place }));
}

/** A replay in a process of its own, which can be killed. */
function start(world: World, inputs: Readonly<Record<string, readonly ReplayItem[]>>, to: number | null) {
  const kafka: Kafka = world.broker.kafka();
  let dead = false;
  const alive = <T>(answer: Promise<T>): Promise<T> =>
    dead ? Promise.reject(new Dead('this replay was killed')) : answer;
  const store: OnlineStore = {
    ...world.store,
    commit: (commits) => alive(dead ? Promise.resolve([]) : world.store.commit(commits)),
    read: (groups) => alive(world.store.read(groups)),
  };
  const { project, codecs, clock } = world;
  const state: { result: ReplayResult | null; failed: unknown } = { result: null, failed: null };
  replayAll(
    { project, kafka, store, codecs, clock },
    {
      name: 'both',
      inputs: Object.entries(inputs).map(([source, items]) => ({ source, items: pieces(items) })),
      speed: Number.POSITIVE_INFINITY,
      signal: new AbortController().signal,
      to,
    },
  ).then(
    (result) => {
      state.result = result;
    },
    (error: unknown) => {
      state.failed = error;
    },
  );
  return {
    state,
    kill() {
      dead = true;
      world.broker.kill(kafka);
    },
  };
}

class Dead extends MillraceError {
  readonly code = 'dead';
  readonly retriable = false;
}

async function* pieces<T>(items: readonly T[]): AsyncGenerator<readonly T[]> {
  for (let at = 0; at < items.length; at += 70) yield items.slice(at, at + 70);
}

/** How often each place of the replay stands in the raw topic of a source. */
async function sentPlaces(world: World, { name }: Source): Promise<Map<number, number>> {
  const places = new Map<number, number>();
  const tails = await readTails(world.broker.kafka(), topics.raw(world.project.prefix, name), 1e9);
  for (const record of tails.flat()) {
    const place = textOf(record, 'mr-place');
    if (place !== null) places.set(Number(place), (places.get(Number(place)) ?? 0) + 1);
  }
  return places;
}

/**
 *   trips   ||||||||||||||||||||||      dense, asks for predictions
 *   jams    ||  |     ||         |      sparse, shares a view with trips, and feeds one that no model reads
 *   clock   one for both, to every raw partition
 */
describe('a replay of two sources', () => {
  for (const seed of [1, 2, 3])
    it(`gives what the oracle says, with crashes of streams and of the replay, seed ${seed}`, {
      timeout: 180_000,
    }, async () => {
      const random = seeded(seed);
      const world = await World.create({
        directory: DIRECTORY,
        step: async (operation, clock) => {
          if (operation !== 'poll') await clock.sleep(Math.floor(random() * 4));
        },
      });
      const jam = world.project.sources.find(({ name }) => name === 'jams') ?? expect.fail('no source jams');
      const begin = world.clock.now() - 24 * HOUR;
      const rides = trips({
        random,
        start: begin,
        trips: 150,
        everyMs: 20 * SECOND,
        quietMs: HOUR,
        cars: 20,
      });
      const seen = jams(random, begin + 5 * MINUTE, begin + 100 * MINUTE);
      const to = begin + 5 * HOUR;
      const layout = [ALL, ALL];
      const processes: Process[] = layout.map((streams) => world.start(streams));
      let running = start(world, { trips: rides, jams: seen }, to);
      let kills = 0;
      let killAt = world.clock.now() + 100 + random() * 300;
      const finished = await world.clock.runUntil(() => {
        if (world.clock.now() >= killAt && kills < 6 && running.state.result === null) {
          kills += 1;
          killAt = world.clock.now() + 100 + random() * 400;
          if (kills % 2 === 1) {
            running.kill();
            running = start(world, { trips: rides, jams: seen }, to);
          } else {
            const victim = Math.floor(random() * processes.length);
            processes[victim]?.kill();
            processes[victim] = world.start(layout[victim] ?? ALL);
          }
        }
        return running.state.result !== null || running.state.failed !== null;
      }, 2 * HOUR);
      if (running.state.failed !== null) throw running.state.failed;
      expect(finished).toBe(true);
      expect(kills).toBeGreaterThan(2);
      expect(running.state.result?.complete).toBe(true);

      for (const [source, items] of [
        [world.source, rides],
        [jam, seen],
      ] as const) {
        const places = await sentPlaces(world, source);
        expect(places.size).toBe(items.length);
        expect(Math.max(...places.values()), 'each item is sent once').toBe(1);
      }
      const accepted = [...(await world.accepted()), ...(await world.accepted(jam))];
      const letters = [...(await world.deadLetters()), ...(await world.deadLetters(jam))];
      expect(letters.filter(({ stage }) => stage === 'features')).toEqual([]);
      expect(letters.some(({ code, sourceTopic }) => code === 'late' && sourceTopic.includes('jams'))).toBe(
        true,
      );
      expect(accepted.length + letters.length).toBe(rides.length + seen.length);

      const { first } = await world.predictions();
      const requests = accepted.filter(({ event }) => event.type === 'trip.started');
      expect(first.length).toBe(requests.length);
      let withJams = 0;
      const truth = new Truth(world, accepted, letters);
      for (const prediction of first) {
        const request = requests.find(({ event }) => event.id === prediction.requestId);
        if (request === undefined) expect.fail(`no request ${prediction.requestId}`);
        expect(prediction.reason).toBeNull();
        for (const read of prediction.reads) expect(read.asOf).toBe(read.head);
        expect(truth.difference(prediction, request)).toBeNull();
        const at = world.model.features.findIndex(({ name }) => name === 'zone.jams_10m');
        if ((prediction.vector[at] ?? 0) > 0) withJams += 1;
      }
      expect(withJams, 'the second source counts').toBeGreaterThan(10);
      await expectFinished(world, to);
      for (const process of processes) process.kill();
    });
});

/** When the replay says that it is complete, every view has come to its end, the one that no model reads too. */
async function expectFinished(world: World, to: number): Promise<void> {
  for (const view of world.project.views)
    for (let partition = 0; partition < view.partitions; partition += 1) {
      const key = keys.meta(keys.viewPartition(world.project.prefix, view.id, partition));
      const [[bytes = null] = []] = await world.store.read([[key]]);
      if (bytes === null) expect.fail(`no state of ${view.id} partition ${partition}`);
      if (view.name === 'sensor') expect(decodeMeta(bytes).frontier).toBe(to);
      expect(asOf(view, to + view.readDelay, decodeMeta(bytes).frontier ?? 0).asOf).toBeGreaterThan(0);
    }
}
