import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadProject } from '../../../config/load.ts';
import { createMemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { createMemoryStore } from '../../../infrastructure/memory/store.ts';
import { encodeMeta, freshMeta, type SourceState } from '../../../processors/meta.ts';
import { headers, keys, topics } from '../../../schemas/names.ts';
import type { Source } from '../../../schemas/project.ts';
import { MINUTE } from '../../../schemas/time.ts';
import { topicSpecs } from '../../../streams/apply/apply.ts';
import { clockedSources, leastSlack } from '../../../streams/replay/clocked.ts';
import { RawTopics } from '../../../streams/replay/raw-topics.ts';
import { ReturnedClocks } from '../../../streams/replay/returned.ts';
import { clockRecord, textOf } from '../../../streams/runtime/clock-record.ts';
import { readTails } from '../../../streams/runtime/tail.ts';
import { steppingClock } from '../clock.ts';

const T = Date.UTC(2026, 0, 1);
const project = loadProject(fileURLToPath(new URL('../../simulation/two-sources', import.meta.url)), {
  environment: {},
});
const [trips, jams] = project.sources;
if (trips === undefined || jams === undefined) throw new Error('the project has two sources');

async function world() {
  const clock = steppingClock(T);
  const broker = createMemoryBroker(clock);
  const kafka = broker.kafka();
  const admin = await kafka.admin();
  await admin.createTopics(topicSpecs(project));
  const store = createMemoryStore({ now: () => clock.now() });
  const codecs = { encodeRaw: () => Buffer.from('event') };
  const raw = (mayWrite = async () => {}) =>
    new RawTopics(
      { kafka, clock, codecs },
      { prefix: project.prefix, replay: 'r', sources: [trips as Source, jams as Source], mayWrite },
    );
  return { clock, broker, kafka, store, raw };
}

const item = (place: number) => ({ place, time: T, key: 'k', event: null, bytes: Buffer.from('x') });

describe('the clock of a replay', () => {
  it('goes to the sources with items and to all that share views or models with them', () => {
    expect(clockedSources(project, [{ source: 'jams' }]).map(({ name }) => name)).toEqual(['trips', 'jams']);
    const apart = { ...project, views: project.views.filter(({ name }) => name === 'sensor'), models: [] };
    expect(clockedSources(apart, [{ source: 'jams' }]).map(({ name }) => name)).toEqual(['jams']);
    expect(() => clockedSources(project, [{ source: 'cars' }])).toThrow(
      "no source 'cars'; it has trips, jams",
    );
  });

  it('runs ahead by the least slack of the views it feeds', () => {
    expect(leastSlack(project, [trips])).toBe(4 * MINUTE);
    expect(leastSlack({ ...project, views: [] }, [trips])).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('the raw topics of a replay', () => {
  it('know from their ends what an earlier run has sent, each source by itself', async () => {
    const { raw } = await world();
    const first = raw();
    await first.send([first.recordOf(trips, { ...item(4), partition: 1 })], new AbortController().signal);
    const second = raw();
    await second.readBack();
    expect(second.begun).toBe(true);
    const topic = second.topicOf(trips);
    expect([3, 4, 5].map((place) => second.holds(topic, 1, place))).toEqual([true, true, false]);
    expect(second.holds(topic, 0, 4)).toBe(false);
    expect(second.holds(second.topicOf(jams), 1, 4)).toBe(false);
  });

  it('send what a failed send may not have stored, once', async () => {
    for (const when of ['before', 'after', 'partial'] as const) {
      const { broker, kafka, raw } = await world();
      const own = raw();
      broker.failNextSend(when);
      const records = [0, 1, 2, 3].map((place) =>
        own.recordOf(trips, { ...item(place), partition: place % 2 }),
      );
      await own.send(records, new AbortController().signal);
      const tails = await readTails(kafka, own.topicOf(trips), 100);
      expect(
        tails
          .flat()
          .map((record) => textOf(record, headers.place))
          .sort(),
        when,
      ).toEqual(['0', '1', '2', '3']);
    }
  });

  it('tell when an event first arrived, where that is known', async () => {
    const { raw } = await world();
    const own = raw();
    expect(own.recordOf(trips, { ...item(1), arrivedAt: T }).headers?.[headers.arrivedAt]).toBe(String(T));
    expect(own.recordOf(trips, item(1)).headers).toEqual({ [headers.replay]: 'r', [headers.place]: '1' });
  });

  it('take nothing from a process that may not write any more', async () => {
    const { kafka, raw } = await world();
    const own = raw(async () => {
      throw new Error('taken');
    });
    await expect(own.send([own.recordOf(trips, item(1))], new AbortController().signal)).rejects.toThrow(
      'taken',
    );
    expect((await readTails(kafka, own.topicOf(trips), 10)).flat()).toEqual([]);
  });
});

describe('the clocks that come back', () => {
  const state = (runningMax: number): SourceState => ({
    partitions: 2,
    mark: 0,
    begin: -1,
    runningMax,
    watermark: runningMax,
    byClock: true,
    idle: false,
    turn: 0,
    appendTime: null,
    clockOpen: true,
  });

  it('are the least of predictions, of the topic of a source without models, and of views that nobody reads', async () => {
    const { clock, kafka, store } = await world();
    const returned = new ReturnedClocks({ kafka, store, clock, project }, 'r', [trips, jams]);
    await returned.open();
    const producer = await kafka.producer();
    const to = (topic: string, partitions: number, time: number, replay = 'r') =>
      producer.send(
        Array.from({ length: partitions }, (_, p) => clockRecord(topic, p, { time, kind: 'tick', replay })),
      );
    const finished = async () => {
      clock.time += 1_000;
      for (let i = 0; i < 3; i += 1) await returned.poll();
      return returned.finished;
    };
    await to(topics.predictions(project.prefix, 'cost'), 3, T + 5);
    expect(await finished()).toBe(Number.NEGATIVE_INFINITY);
    await to(topics.validated(project.prefix, 'jams'), 2, T + 4, 'another');
    await to(topics.validated(project.prefix, 'jams'), 2, T + 3);
    expect(await finished(), 'the view sensor has not come so far').toBe(Number.NEGATIVE_INFINITY);
    const sensor = project.views.find(({ name }) => name === 'sensor') ?? expect.fail('no view');
    const raw = topics.raw(project.prefix, 'jams');
    const metaOf = (second: number) =>
      encodeMeta({
        ...freshMeta('life', 0, false),
        sources: { [`${raw}:0`]: state(T + 9), [`${raw}:1`]: state(second) },
      });
    let before: Uint8Array | null = null;
    for (const [second, expected] of [
      [T + 1, T + 1],
      [T + 8, T + 3],
    ] as const) {
      const next = metaOf(second);
      for (let partition = 0; partition < sensor.partitions; partition += 1)
        await store.commit([
          {
            metaKey: keys.meta(keys.viewPartition(project.prefix, sensor.id, partition)),
            expected: before,
            next,
            sets: [],
            appends: [],
            deletes: [],
            logTtlMs: 1e9,
            metaTtlMs: 1e9,
          },
        ]);
      before = next;
      expect(await finished()).toBe(expected);
    }
    expect(returned.slowest()?.name).toContain('jams.validated partition');
    expect(returned.reached((source) => (source === 'jams' ? T + 3 : T + 5))).toBe(true);
    expect(returned.reached(() => T + 5)).toBe(false);
    store.setAvailable(false);
    expect(await finished(), 'a store that is away makes it wait, no more').toBe(T + 3);
    await returned.close();
  });
});
