import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../../infrastructure/memory/warehouse.ts';
import { FRESH_PROGRESS, type Progress } from '../../../processors/lateness.ts';
import { encodeMeta, freshMeta, type ViewMeta } from '../../../processors/meta.ts';
import { keys, topics } from '../../../schemas/names.ts';
import { DAY, HOUR, MINUTE } from '../../../schemas/time.ts';
import { audit } from '../../../streams/audit/audit.ts';
import { encodeProgress } from '../../../streams/ingest/progress.ts';
import { NOT_CUT } from '../../../streams/runtime/dead-letter-record.ts';
import { encodeHold } from '../../../streams/runtime/hold.ts';
import { archiveWorld } from '../../simulation/archived-world.ts';
import { World } from '../../simulation/world.ts';

const NOW = Date.UTC(2026, 0, 1);

/** Two events stand in each raw partition, worked and archived; nobody runs. */
describe('who waits, whose place went back, and what was deleted too early', () => {
  let warehouse: MemoryWarehouse;
  beforeAll(async () => {
    warehouse = await createMemoryWarehouse();
  });
  afterAll(() => warehouse.close());

  async function stand() {
    const world = await World.create();
    const { broker, codecs, project, store } = world;
    const { prefix } = project;
    const kafka = broker.kafka();
    const raw = topics.raw(prefix, 'trips');
    const send = async (topic: string, partition: number, value: Uint8Array) => {
      const producer = await kafka.producer();
      await producer.send([{ topic, partition, key: null, value }]);
    };
    /** An event that is not worked. */
    const arrive = (partition: number) => send(raw, partition, new Uint8Array([1]));
    for (const partition of [0, 1, 2])
      for (const offset of [0, 1]) {
        const event = {
          id: `${partition}:${offset}`,
          type: 'trip.ended',
          time: NOW + offset,
          car: 'a',
          zone: 'b',
          to: 'c',
          price: 1,
          started_at: NOW,
        };
        await arrive(partition);
        const value = codecs.validated('trips').encode({ event, offset, appendTime: NOW, arrivedAt: NOW });
        await send(topics.validated(prefix, 'trips'), partition, value);
      }
    await archiveWorld(world, warehouse);
    const put = async (metaKey: string, next: Uint8Array) => {
      const [known] = await store.read([[metaKey]]);
      await store.commit([
        {
          metaKey,
          expected: known?.[0] ?? null,
          next,
          sets: [],
          appends: [],
          deletes: [],
          logTtlMs: DAY,
          metaTtlMs: DAY,
        },
      ]);
    };
    const progress = (partition: number, of: Partial<Progress>) =>
      put(
        keys.ingestProgress(prefix, 'trips', partition),
        encodeProgress({ ...FRESH_PROGRESS, next: 2, runningMax: NOW + 1, ...of }),
      );
    const view = project.views.find(({ name }) => name === 'zone') ?? expect.fail('no view');
    const meta = (of: Partial<ViewMeta>, id = view.id, partition = 0) =>
      put(
        keys.meta(keys.viewPartition(prefix, id, partition)),
        encodeMeta({ ...freshMeta('life', 0, false), frontier: NOW, ...of }),
      );
    for (const partition of [0, 1, 2]) await progress(partition, {});
    for (const { id, partitions } of project.views)
      for (let partition = 0; partition < partitions; partition += 1) await meta({}, id, partition);
    let between = async (): Promise<void> => {};
    return {
      world,
      arrive,
      progress,
      meta,
      view,
      viewTopic: topics.view(prefix, view.id),
      block: () => send(topics.view(prefix, view.id), 0, codecs.blocks.encode({ format: 1, sections: [] })),
      hold: (partition: number, least: number) =>
        put(keys.hold(prefix, 'cost', partition), encodeHold(least)),
      commitOffset: async (topic: string, group: string, offset: number) => {
        const consumer = await kafka.consumer({
          group,
          topics: [topic],
          onAssigned: async (all) => all.map(() => 'latest'),
          maxPollRecords: 1,
        });
        await consumer.poll(0);
        await consumer.commit([{ topic, partition: 0, offset }]);
        await consumer.close();
      },
      between: (what: () => Promise<void>) => {
        between = what;
      },
      check: () => audit({ project, kafka, warehouse, store, codecs, pause: () => between() }),
    };
  }

  it('is nobody where all is worked', async () => {
    const { check } = await stand();
    expect(await check()).toMatchObject({ status: 'holds', findings: [], misplaced: [], waits: [] });
  });

  it('names an idle partition with unread records, and not one that is taken up meanwhile', async () => {
    const { arrive, between, check, progress } = await stand();
    await progress(1, { idle: true });
    await arrive(1);
    const { findings, waits } = await check();
    expect(waits).toMatchObject([{ kind: 'idle_unread', where: 'trips.trips.raw:1', count: 1 }]);
    expect(findings.join()).toMatch(
      /trips\.trips\.raw partition 1 is idle and has 1 unread offsets from 2 on.*is ingest running/,
    );
    between(() => progress(1, { idle: false }));
    expect((await check()).waits).toEqual([]);
  });

  it('names a partition in backlog that does not move, and for whom it waits', async () => {
    const { arrive, between, check, progress } = await stand();
    await arrive(0);
    await progress(0, { backlogAt: NOW + HOUR });
    const waitsFor = async () =>
      (await check()).waits.find(({ kind, where }) => kind === 'backlog_stands' && where.endsWith(':0'))
        ?.sentence;
    expect(await waitsFor()).toMatch(
      /raw partition 0 is in backlog at 2026-01-01T01:00:00.000Z.* does not move.*waits for its owner in ingest/,
    );
    await arrive(1);
    await progress(1, { backlogAt: NOW + MINUTE });
    expect(await waitsFor()).toMatch(/waits for trips\.trips\.raw partition 1, which is further behind/);
    await arrive(2);
    await progress(2, { idle: true });
    expect(await waitsFor()).toMatch(/waits for trips\.trips\.raw partition 2, which is idle/);
    between(() => progress(0, { next: 3 }));
    expect(await waitsFor()).toBeUndefined();
  });

  it('names a view partition whose frontier trails, and the partition that holds it', async () => {
    const { check, meta, progress } = await stand();
    for (const partition of [0, 1, 2]) await progress(partition, { runningMax: NOW + HOUR });
    const heard = {
      partitions: 3,
      mark: 1,
      begin: -1,
      runningMax: NOW,
      watermark: NOW,
      byClock: false,
      idle: false,
      turn: 1,
      appendTime: NOW,
      clockOpen: false,
    };
    await meta({
      sources: {
        'trips.trips.raw:0': heard,
        'trips.trips.raw:1': { ...heard, watermark: NOW - 1 },
        'trips.trips.raw:2': heard,
      },
    });
    const { waits } = await check();
    expect(new Set(waits.map(({ kind }) => kind))).toEqual(new Set(['frontier_trails']));
    expect(waits.map(({ sentence }) => sentence).join()).toMatch(
      /View zone@\w+ partition 0 has its frontier at 2026-01-01T00:00:00.000Z though the least watermark of its sources is 2026-01-01T00:59:30.000Z: it waits for trips.trips.raw partition 1, last heard of at 2025-12-31T23:59:59.999Z/,
    );
    expect(waits.map(({ sentence }) => sentence).join()).toMatch(
      /it has never heard of trips.trips.raw partition 0/,
    );
  });

  it('names features that do not move, and the reader that they wait for', async () => {
    const { block, check, hold, meta } = await stand();
    await block();
    expect((await check()).waits).toMatchObject([{ kind: 'features_stands', count: 1 }]);
    await hold(0, NOW + 3 * HOUR);
    await hold(1, NOW);
    await meta({ frontier: NOW + HOUR });
    const [wait] = (await check()).waits;
    expect(wait).toMatchObject({ kind: 'readers', count: 1 });
    expect(wait?.sentence).toMatch(
      /waits for model cost partition 1, which may still ask for 2026-01-01T00:00:00.000Z/,
    );
  });

  it('names progress below what is archived, and a state below what features told Kafka, unless they come back', async () => {
    const { between, check, progress, block, commitOffset, viewTopic, world } = await stand();
    await progress(2, { next: 1 });
    const rewound = await check();
    expect(rewound.misplaced).toEqual([
      { kind: 'rewound', who: 'ingest', topic: 'trips.trips.raw', partition: 2, at: 1, other: 2 },
    ]);
    expect(rewound.status).toBe('broken');
    expect(rewound.findings.join()).toContain('went back: it stands at 1, and had come to 2');
    between(() => progress(2, { next: 2 }));
    expect((await check()).misplaced).toEqual([]);
    await block();
    await commitOffset(viewTopic, `${world.project.prefix}.features`, 1);
    expect((await check()).misplaced).toMatchObject([{ kind: 'rewound', who: 'features', at: 0, other: 1 }]);
  });

  it('names what was deleted before ingest, features or the archive read it', async () => {
    const { arrive, block, check, viewTopic, world } = await stand();
    const { broker, codecs, project } = world;
    for (const _ of [1, 2]) await arrive(0);
    broker.truncate('trips.trips.raw', 0, 3);
    await block();
    broker.truncate(viewTopic, 0, 1);
    const letters = topics.deadLetters(project.prefix, 'trips');
    const producer = await broker.kafka().producer();
    const value = codecs.deadLetters.encode({
      format: 1,
      stage: 'validate',
      code: 'rule_failed',
      detail: '',
      sourceTopic: '',
      sourcePartition: 1,
      sourceOffset: 9,
      appendTime: 0,
      arrivedAt: null,
      eventId: null,
      eventTime: null,
      writer: 'ingest',
      key: null,
      value: null,
      ...NOT_CUT,
    });
    await producer.send([{ topic: letters, partition: 1, key: null, value }]);
    broker.truncate(letters, 1, 1);
    const { findings, misplaced } = await check();
    expect(misplaced).toEqual([
      { kind: 'cut', who: 'ingest', topic: 'trips.trips.raw', partition: 0, at: 2, other: 3 },
      { kind: 'cut', who: 'features', topic: viewTopic, partition: 0, at: 0, other: 1 },
      { kind: 'cut', who: 'the archive', topic: letters, partition: 1, at: 0, other: 1 },
    ]);
    expect(findings.join()).toContain(
      '1 offsets of trips.trips.raw partition 0 were deleted before ingest read them: it stands at 2',
    );
  });

  it('names raw offsets that left no trace, once the raw topic has lost them', async () => {
    const { arrive, check, progress, world } = await stand();
    const { broker, codecs, project } = world;
    for (const _ of [1, 2, 3]) await arrive(0);
    const event = {
      id: 'x',
      type: 'trip.ended',
      time: NOW,
      car: 'a',
      zone: 'b',
      to: 'c',
      price: 1,
      started_at: NOW,
    };
    const producer = await broker.kafka().producer();
    const value = codecs
      .validated('trips')
      .encode({ event, offset: 4, appendTime: NOW + 7, arrivedAt: NOW + 7 });
    await producer.send([
      { topic: topics.validated(project.prefix, 'trips'), partition: 0, key: null, value },
    ]);
    await progress(0, { next: 5 });
    await archiveWorld(world, warehouse);
    expect((await check()).sources, 'while it has them').toMatchObject([{ missing: { count: 2 } }]);
    broker.truncate('trips.trips.raw', 0, 4);
    const { findings, sources } = await check();
    expect(sources).toMatchObject([
      {
        missing: { count: 0 },
        holes: { lost: { count: 2, places: [{ partition: 0, offset: 2 }], since: NOW + 7 } },
      },
    ]);
    expect(findings.join()).toContain('2 raw offsets of trips left the raw topic without a trace');
  });
});
