import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OutgoingRecord } from '../../../infrastructure/kafka/port.ts';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../../infrastructure/memory/warehouse.ts';
import { topics } from '../../../schemas/names.ts';
import { MINUTE, SECOND } from '../../../schemas/time.ts';
import { findingsOf } from '../../../streams/audit/findings.ts';
import { type ArrivalFacts, auditRefusals, ClockBook } from '../../../streams/audit/refusals.ts';
import { NOT_CUT } from '../../../streams/runtime/dead-letter-record.ts';
import { archiveWorld } from '../../simulation/archived-world.ts';
import { World } from '../../simulation/world.ts';

/** An accepted event: its time and when the broker appended it, seconds. */
interface Came {
  readonly partition: number;
  readonly time: number;
  readonly at: number;
  /** The view refused what it gave as `late_for_view`. */
  readonly refused?: boolean;
}

const WHOLE: ArrivalFacts = {
  clocks: [],
  archivedUntil: Number.POSITIVE_INFINITY,
  rawFrom: Number.NEGATIVE_INFINITY,
};

/** The trips of the simulated project: three partitions, out_of_orderness 30 s. */
describe('contributions refused as late_for_view', () => {
  let warehouse: MemoryWarehouse;
  beforeAll(async () => {
    warehouse = await createMemoryWarehouse();
  });
  afterAll(() => warehouse.close());

  async function audited(came: readonly Came[], facts: ArrivalFacts = WHOLE) {
    const world = await World.create();
    const { broker, codecs, project } = world;
    const view = project.views.find(({ name }) => name === 'zone') ?? expect.fail('no view');
    const next = [0, 0, 0];
    const records: OutgoingRecord[] = [...came]
      .sort((a, b) => a.at - b.at)
      .flatMap(({ partition, time, at, refused }) => {
        const offset = next[partition] ?? 0;
        next[partition] = offset + 1;
        const id = `${partition}:${offset}`;
        const event = {
          id,
          type: 'trip.started',
          time: time * SECOND,
          car: 'a',
          zone: 'b',
          to: 'c',
          price: 1,
          started_at: 1,
        };
        const appendTime = at * SECOND;
        const value = codecs.validated('trips').encode({ event, offset, appendTime, arrivedAt: appendTime });
        const accepted = { topic: topics.validated(project.prefix, 'trips'), partition, key: null, value };
        if (refused !== true) return [accepted];
        const letter = codecs.deadLetters.encode({
          format: 1,
          stage: 'features',
          code: 'late_for_view',
          detail: '',
          sourceTopic: topics.raw(project.prefix, 'trips'),
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
        });
        return [
          accepted,
          { topic: topics.deadLetters(project.prefix, 'trips'), partition, key: null, value: letter },
        ];
      });
    const producer = await broker.kafka().producer();
    await producer.send(records);
    await archiveWorld(world, warehouse);
    const books = { project, kafka: broker.kafka(), warehouse, codecs, kept: [], tick: () => {} };
    const refusals = await auditRefusals(books, new Map([['trips', facts]]));
    const audit = refusals.find((one) => one.view === view.id) ?? expect.fail('no audit');
    return {
      audit,
      ...findingsOf({
        sources: [],
        models: [],
        views: [],
        refusals,
        heads: [],
        refused: [],
        skews: [],
        misplaced: [],
        waits: [],
      }),
    };
  }

  /** Each partition has an event a second, `delay` seconds old. */
  const steady = (delay: number, from: number, to: number, partitions = [0, 1, 2]): Came[] =>
    Array.from({ length: to - from }, (_, i) => from + i).flatMap((at) =>
      partitions.map((partition) => ({ partition, time: at - delay, at })),
    );

  it('of an event that came within out_of_orderness is a finding, whatever the others did', async () => {
    const { audit, wrong } = await audited([
      ...steady(0, 1_000, 1_100, [0, 1]),
      { partition: 2, time: 1_050, at: 1_079, refused: true },
      { partition: 2, time: 1_051, at: 1_082 },
    ]);
    expect(audit).toMatchObject({
      lateForView: 1,
      prompt: { count: 1, places: [{ partition: 2, offset: 0 }] },
    });
    expect(wrong).toEqual([
      expect.stringMatching(
        /^1 contributions of trips were refused by zone@\w+ as late_for_view though .*within out_of_orderness \(raw 2:0; since 2026-01-01T/,
      ),
    ]);
  });

  it('of an older event is right where its partition was silent and the others had gone on', async () => {
    const { audit, wrong } = await audited([
      ...steady(0, 1_000, 1_100, [0, 1]),
      { partition: 2, time: 1_000, at: 1_090, refused: true },
    ]);
    expect(audit).toMatchObject({ lateForView: 1, prompt: { count: 0 }, inTime: { count: 0 } });
    expect(wrong).toEqual([]);
  });

  it('is a finding where no frontier can have passed it: its source is a minute late throughout', async () => {
    const { audit, wrong } = await audited([
      ...steady(60, 1_000, 1_100),
      ...[1_100, 1_101, 1_102].map((at) => ({ partition: 2, time: at - 60, at, refused: true })),
      ...steady(60, 1_100, 1_110, [0, 1]),
    ]);
    expect(audit).toMatchObject({
      lateForView: 3,
      prompt: { count: 0 },
      inTime: { count: 3, places: [{ partition: 2, offset: 100 }, { offset: 101 }, { offset: 102 }] },
    });
    expect(wrong.join()).toContain('no undisturbed frontier had passed them (raw 2:100, 2:101, 2:102; since');
  });

  it('is a finding in a replay, which is never idle', async () => {
    const clocks = new ClockBook();
    for (const partition of [0, 1, 2])
      clocks.add(partition, { time: 10 * SECOND, replay: 'r', kind: 'first' }, 5_000 * SECOND);
    const came: Came[] = [
      { partition: 0, time: 10, at: 5_001 },
      { partition: 1, time: 900, at: 5_100 },
      { partition: 2, time: 50, at: 5_200, refused: true },
    ];
    const replayed = await audited(came, { ...WHOLE, clocks: clocks.list });
    expect(replayed.audit).toMatchObject({ inTime: { count: 1, places: [{ partition: 2, offset: 0 }] } });
    expect((await audited(came)).audit, 'without one they were silent').toMatchObject({
      inTime: { count: 0 },
    });
  });

  it('is not judged before the archive has what came earlier, nor where the raw topic lost its clocks', async () => {
    const came = [...steady(60, 1_000, 1_100), { partition: 2, time: 1_040, at: 1_100, refused: true }];
    const waiting = await audited(came, { ...WHOLE, archivedUntil: 1_090 * SECOND });
    expect(waiting.audit).toMatchObject({ lateForView: 1, unjudged: 1, inTime: { count: 0 } });
    expect(waiting.open.join()).toContain('not judged yet');
    const cut = await audited(came, { ...WHOLE, rawFrom: 1_000 * SECOND + 5 * MINUTE });
    expect(cut.audit).toMatchObject({ lateForView: 1, unknown: 1, inTime: { count: 0 } });
    expect([...cut.wrong, ...cut.open]).toEqual([]);
  });
});
