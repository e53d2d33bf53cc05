import { describe, expect, it } from 'vitest';
import { decodeMeta, encodeMeta } from '../../processors/meta.ts';
import { keys, topics } from '../../schemas/names.ts';
import { DAY } from '../../schemas/time.ts';
import { auditViews } from './audited.ts';
import { history } from './history.ts';

describe('contributions = applied + refused', () => {
  it('names the partition whose state took one too few', async () => {
    const { world } = await history({ seed: 5, trips: 60, faults: [], faultEveryMs: 1 });
    for (const one of await auditViews(world)) {
      expect(one).toMatchObject({ off: [], without: [], waiting: 0 });
      expect(one.contributions).toBeGreaterThan(0);
      expect(one.contributions).toBe(one.applied + one.refused);
    }
    const [view] = world.project.views;
    if (view === undefined) throw new Error('no view');
    const metaKey = keys.meta(keys.viewPartition(world.project.prefix, view.id, 1));
    const [[expected = null] = []] = await world.store.read([[metaKey]]);
    if (expected === null) throw new Error('no meta');
    const meta = decodeMeta(expected);
    const next = encodeMeta({ ...meta, applied: meta.applied - 1 });
    await world.store.commit([
      { metaKey, expected, next, sets: [], appends: [], deletes: [], logTtlMs: DAY, metaTtlMs: DAY },
    ]);
    expect((await auditViews(world)).map(({ off }) => off)).toEqual([[1], []]);
  });

  it('names what was refused as too old and was not, and what was too old and was taken', {
    timeout: 30_000,
  }, async () => {
    const { world } = await history({ seed: 6, trips: 80, faults: [], faultEveryMs: 1 });
    const view =
      world.project.views.find(({ at }) => at !== null) ?? expect.fail('no view with a second time');
    const ofView = async () => (await auditViews(world)).find((one) => one.view === view.id);
    expect(await ofView()).toMatchObject({ tooOldWrong: { count: 0 }, tooOldTaken: { count: 0 } });
    const right = (await world.deadLetters()).filter(({ code }) => code === 'too_old');
    expect(right.length, 'trips of more than twenty minutes').toBeGreaterThan(0);
    const maxDelay = view.at?.maxDelay ?? 0;
    const ended = (await world.accepted()).find(
      ({ event }) => event.type === 'trip.ended' && event.time - Number(event.started_at) <= maxDelay,
    );
    const [sample] = right;
    if (ended === undefined || sample === undefined) throw new Error('no trip');
    const topic = topics.deadLetters(world.project.prefix, 'trips');
    const producer = await world.broker.kafka().producer();
    const sent = [0, 1, 2].map((partition) => {
      const lineage = { sourcePartition: ended.partition, sourceOffset: ended.offset };
      const letter = { ...sample, ...lineage, writer: `${view.id}:${partition}` };
      return { topic, partition: ended.partition, key: null, value: world.codecs.deadLetters.encode(letter) };
    });
    void producer.send(sent);
    const later = world.clock.now() + 1_000;
    await world.clock.runUntil(() => world.clock.now() >= later, 5_000);
    expect(await ofView()).toMatchObject({
      tooOldWrong: { count: 1, places: [{ partition: ended.partition, offset: ended.offset }] },
    });
    const stricter = view.at === null ? view : { ...view, at: { ...view.at, maxDelay: maxDelay / 2 } };
    const project = { ...world.project, views: [stricter] };
    const [taken] = await auditViews(world, project);
    expect(taken?.tooOldTaken.count).toBeGreaterThan(0);
  });
});
