import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadProject } from '../../config/load.ts';
import { KafkaError } from '../../infrastructure/kafka/errors.ts';
import { historyOf, stretchAt, timelineOf } from '../../infrastructure/registry/history.ts';
import { createModelRegistry, type ModelRegistry } from '../../infrastructure/registry/models.ts';
import { parseArtefact } from '../../models/artefact.ts';
import { createScorer } from '../../models/scorer.ts';
import { type Author, promote, registerVersion, retire } from '../../pipelines/rollout/moves.ts';
import type { Prediction } from '../../schemas/records/prediction.ts';
import type { ReplayItem } from '../../streams/replay/replay.ts';
import type { LoopLimit } from '../../streams/replay/ticks.ts';
import { FAULTS, type HistoryOptions, history } from './history.ts';
import { artefactFor } from './versions.ts';
import type { World } from './world.ts';

const DIRECTORY = fileURLToPath(new URL('./project', import.meta.url));
const [MODEL = expect.fail('no model')] = loadProject(DIRECTORY, { environment: {} }).models;
const MADE = [1, 2, 3].map((seed) => artefactFor(MODEL, seed));
const artefacts = new Map(MADE.map(({ address, bytes }) => [address, bytes]));
const scorers = MADE.map(({ address, bytes }) => createScorer(parseArtefact(bytes, address)));

const registryOf = ({ broker, codecs, project }: World) =>
  createModelRegistry({ kafka: broker.kafka(), codec: codecs.models, prefix: project.prefix });

const hand = (effectiveFrom: number | null): Author => ({ by: 'test', reason: 'test', effectiveFrom });

const register = (
  registry: ModelRegistry,
  seed: number,
  as: 'champion' | 'challenger',
  from: number | null,
) => {
  const { address = '', layout = '' } = MADE[seed - 1] ?? {};
  const made = { model: MODEL.name, artefact: address, location: '', layout, as };
  return registerVersion(registry, made, hand(from));
};

/**
 *   requests     0 %        25 %          50 %          75 %        100 %
 *   version 1    champion ................| guard .......| retired
 *   version 2               | challenger .| champion ..............
 *   version 3                      | challenger ...................
 */
const planOf = (items: readonly ReplayItem[]) => {
  const times = items
    .flatMap(({ event }) => (event?.type === 'trip.started' ? [event.time] : []))
    .sort((a, b) => a - b);
  return (share: number) => times[Math.floor(share * times.length)] ?? 0;
};

/** What every later word says: each one must be in the log before a replay's clock passes it. */
const WORDS: ReadonlyArray<
  readonly [at: number, say: (registry: ModelRegistry, from: number) => Promise<unknown>]
> = [
  [0.25, (registry, from) => register(registry, 2, 'challenger', from)],
  [0.4, (registry, from) => register(registry, 3, 'challenger', from)],
  [0.5, (registry, from) => registry.append(MODEL.name, promote(2, hand(from)))],
  [0.75, (registry, from) => registry.append(MODEL.name, retire(1, hand(from)))],
];

/** All of it is said before the first event. */
async function sayAtOnce(world: World, items: readonly ReplayItem[]): Promise<undefined> {
  const registry = registryOf(world);
  const at = planOf(items);
  await register(registry, 1, 'champion', null);
  for (const [share, say] of WORDS) await say(registry, at(share));
}

/** Each word is said while the replay waits at a tick, and holds from a tenth of the history later. */
async function sayAtTicks(world: World, items: readonly ReplayItem[]): Promise<LoopLimit> {
  const registry = registryOf(world);
  const at = planOf(items);
  await register(registry, 1, 'champion', null);
  let said = 0;
  return {
    async next() {
      for (; said < WORDS.length; said += 1) {
        const [share, say] = WORDS[said] ?? expect.fail('no word');
        const tick = at(share - 0.1);
        if ((await world.passed()) < tick) return tick;
        await persist(() => say(registry, at(share)));
      }
      return Number.POSITIVE_INFINITY;
    },
  };
}

/** Until Kafka takes it. */
async function persist(say: () => Promise<unknown>): Promise<void> {
  for (;;)
    try {
      await say();
      return;
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
    }
}

async function check(options: Omit<HistoryOptions, 'versions'>, atTicks = false): Promise<number> {
  const { world, faults } = await history({
    ...options,
    versions: { artefacts, prepare: atTicks ? sayAtTicks : sayAtOnce },
  });
  const story = `seed ${options.seed} after ${faults.join(', ') || 'no fault'}`;
  const timeline = timelineOf(historyOf(MODEL.name, await registryOf(world).log()));
  const requests = (await world.accepted()).filter(({ event }) => event.type === 'trip.started');
  const predictions = firstById(await world.answers('predictions'));
  const records = await world.answers('shadow');
  const shadows = firstById(records);
  const expected = new Set<string>();
  const seen = new Set<string>();
  for (const { event, offset, partition } of requests) {
    const { champion, shadows: beside } = stretchAt(timeline, event.time);
    const answer = predictions.get(`${event.id}:${MODEL.name}`);
    expect(answer, `${event.id} is answered, ${story}`).toBeDefined();
    if (answer === undefined) continue;
    scored(answer.prediction, champion ?? 0, `${event.id}, ${story}`);
    seen.add(`${champion} | ${beside.join(' ')}`);
    for (const version of beside) {
      const id = `${event.id}:${MODEL.name}:v${version}`;
      expected.add(id);
      const shadow = shadows.get(id);
      expect(shadow, `${id} is scored in the shadow, ${story}`).toBeDefined();
      if (shadow === undefined) continue;
      scored(shadow.prediction, version, `${id}, ${story}`);
      expect(shadow.prediction).toMatchObject({ sourceOffset: offset, sourcePartition: partition });
      expect(shadow.prediction.vector, id).toEqual(answer.prediction.vector);
      expect(shadow.appendTime, `${id} is there before the answer, ${story}`).toBeLessThanOrEqual(
        answer.appendTime,
      );
    }
  }
  expect(predictions.size, `one answer a request, ${story}`).toBe(requests.length);
  expect(
    [...shadows.keys()].filter((id) => !expected.has(id)),
    `no other shadow, ${story}`,
  ).toEqual([]);
  expect([...seen].sort(), 'every stretch had requests').toEqual([
    '1 | ',
    '1 | 2',
    '1 | 2 3',
    '2 | 1 3',
    '2 | 3',
  ]);
  return records.length - shadows.size;
}

function scored(prediction: Prediction, version: number, story: string): void {
  expect(prediction.modelVersion, story).toBe(version);
  expect(prediction.status, `${prediction.reason}, ${story}`).toBe('scored');
  const score = scorers[version - 1]?.score(Float64Array.from(prediction.vector));
  expect(prediction.score, story).toBe(score);
}

type Answers = Awaited<ReturnType<World['answers']>>;

function firstById(records: Answers): Map<string, Answers[number]> {
  const first = new Map<string, Answers[number]>();
  for (const record of records) if (!first.has(record.prediction.id)) first.set(record.prediction.id, record);
  return first;
}

describe('challengers and a promotion in the middle of a replay', () => {
  it('answers every request by the version of its event time, and scores each challenger once', {
    timeout: 60_000,
  }, async () => {
    for (const atTicks of [false, true])
      expect(await check({ seed: 1, trips: 300, faults: [], faultEveryMs: 1 }, atTicks)).toBe(0);
  });

  for (const fault of FAULTS)
    it(`does so under: ${fault}`, async () => {
      for (let seed = 1; seed <= 3; seed += 1)
        await check({ seed, trips: 150, faults: [fault], faultEveryMs: 120 }, seed % 2 === 0);
    });

  it('does so under all of them together', { timeout: 300_000 }, async () => {
    for (let seed = 200; seed < 212; seed += 1)
      await check(
        {
          seed,
          trips: 150,
          faults: FAULTS,
          faultEveryMs: 100,
          partitions: [1, 3, 8][seed % 3] ?? 3,
          layout: [['ingest', 'features', 'inference'], ['ingest', 'inference'], ['features']],
        },
        seed % 2 === 0,
      );
  });
});
