import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureTables } from '../../../infrastructure/clickhouse/ensure-tables.ts';
import { type EventRow, eventEncoder, predictionEncoder } from '../../../infrastructure/clickhouse/rows.ts';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../../infrastructure/memory/warehouse.ts';
import { encodeMeta, freshMeta } from '../../../processors/meta.ts';
import { keys, tables, topics } from '../../../schemas/names.ts';
import type { Prediction } from '../../../schemas/records/prediction.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../../../schemas/time.ts';
import { writeClocks } from '../../../streams/archive/clocks.ts';
import { findingsOf } from '../../../streams/audit/findings.ts';
import { auditHeads } from '../../../streams/audit/heads.ts';
import { auditRefused } from '../../../streams/audit/requests.ts';
import { prediction } from '../../infrastructure/clickhouse/conformance.ts';
import { World } from '../../simulation/world.ts';

const NOON = Date.UTC(2026, 0, 1, 12);

/** An answer of partition 0, in the order of the topic. Times in ms after noon. */
interface Answer {
  readonly raw: number;
  readonly answered: number;
  readonly waitMs?: number;
  /** The view was read this much below the head. */
  readonly below?: number;
  readonly reason?: Prediction['reason'];
  /** Head asked for; default that of the raw time. */
  readonly head?: number;
}

describe('answers that are not what their requests asked for', () => {
  let warehouse: MemoryWarehouse;
  let inserts = 0;
  beforeAll(async () => {
    warehouse = await createMemoryWarehouse();
  });
  afterAll(() => warehouse.close());

  async function audited(
    answers: readonly Answer[],
    clocks: ReadonlyArray<readonly [number, 'first' | 'tick' | 'end']> = [],
    base?: number,
  ) {
    const world = await World.create();
    const { broker, codecs, model, project, source, store } = world;
    const { prefix } = project;
    const view = project.views.find(({ name }) => name === 'zone') ?? expect.fail('no view');
    await ensureTables(warehouse, project);
    const names = [
      tables.predictions(prefix, 'cost'),
      tables.events(prefix, 'trips'),
      tables.progress(prefix),
    ] as const;
    for (const name of names) await warehouse.command(`TRUNCATE TABLE ${name}`);
    const encoder = predictionEncoder();
    const rows = answers.map(({ raw, answered, waitMs = 0, below = 0, reason = null, head = raw }, i) => {
      const read = {
        read: 'zone',
        view: view.id,
        entity: 'a',
        head: NOON + head,
        asOf: NOON + head - below,
        sketchAsOf: null,
        ageMs: 0,
      };
      const status = reason === null ? ('scored' as const) : ('refused' as const);
      const one: Prediction = {
        ...prediction,
        id: `${i}`,
        model: 'cost',
        status,
        reason,
        reads: [read],
        sourcePartition: 0,
        sourceOffset: i,
        rawAppendTime: NOON + raw,
        waitMs,
      };
      return {
        prediction: one,
        appendTime: NOON + answered,
        archivedPartition: 0,
        archivedOffset: 10 * i + 5,
      };
    });
    inserts += 1;
    await warehouse.insertRaw(names[0], encoder.columns, encoder.format, encoder.encode(rows), {
      token: `p${inserts}`,
    });
    const events = eventEncoder(source);
    const arrived = answers.map(
      ({ raw }, i): EventRow => ({
        event: {
          id: `${i}`,
          type: 'trip.started',
          time: NOON + raw,
          car: 'a',
          zone: 'a',
          to: 'b',
          price: null,
          started_at: null,
        },
        importId: '',
        sourceTopic: '',
        sourcePartition: 0,
        sourceOffset: i,
        appendTime: NOON + raw,
        arrivedAt: NOON + raw,
        archivedPartition: 0,
        archivedOffset: i,
      }),
    );
    await warehouse.insertRaw(names[1], events.columns, events.format, events.encode(arrived), {
      token: `e${inserts}`,
    });
    const topic = topics.predictions(prefix, 'cost');
    await writeClocks(
      warehouse,
      prefix,
      clocks.map(([offset, kind]) => ({
        topic,
        partition: 0,
        mark: { time: inserts, kind, replay: 'r' },
        offset,
      })),
      NOON + inserts,
    );
    if (base !== undefined) {
      const next = encodeMeta({ ...freshMeta('life', 0, true), base: NOON + base });
      const metaKey = keys.meta(keys.viewPartition(prefix, view.id, 0));
      await store.commit([
        { metaKey, expected: null, next, sets: [], appends: [], deletes: [], logTtlMs: DAY, metaTtlMs: DAY },
      ]);
    }
    const books = { project, kafka: broker.kafka(), warehouse, store, codecs, kept: [], tick: () => {} };
    const heads = await auditHeads(books, model);
    const refused = await auditRefused(books, model);
    const found = findingsOf({
      sources: [],
      models: [],
      views: [],
      refusals: [],
      heads,
      refused: [refused],
      skews: [],
      misplaced: [],
      waits: [],
    });
    return { zone: heads[0], refused, ...found };
  }

  /** Requests half a second apart, each answered after 30 ms. */
  const prompt = (from: number, to: number): Answer[] =>
    Array.from({ length: (to - from) / 500 }, (_, i) => ({
      raw: from + i * 500,
      answered: from + i * 500 + 30,
    }));

  it('at their full head are none', async () => {
    expect(await audited(prompt(0, 5_000))).toMatchObject({
      zone: undefined,
      refused: { byReason: {} },
      wrong: [],
      notes: [],
    });
  });

  it('below it, live, after the patience of the gate, are allowed and told', async () => {
    const { zone, wrong, notes } = await audited([
      ...prompt(0, 2_000),
      { raw: 2_000, answered: 2_030, waitMs: 20, below: 10_000 },
    ]);
    expect(zone).toMatchObject({
      live: { count: 1, places: [{ partition: 0, offset: 4 }], since: NOON + 2_030 },
      backlog: { count: 0 },
    });
    expect(wrong).toEqual([]);
    expect(notes.join()).toContain('1 live requests were answered by cost below their full head of zone@');
  });

  it('below it in backlog are findings: inference saw them long after they came', async () => {
    const { zone, wrong } = await audited([
      ...prompt(0, 2_000),
      { raw: 2_000, answered: 7_000_000, waitMs: 20, below: 10_000 },
      { raw: 2_500, answered: 7_000_020, waitMs: 20, below: 10_000 },
      { raw: 7_000_010, answered: 7_000_040, waitMs: 20, below: 10_000 },
    ]);
    expect(zone).toMatchObject({
      backlog: { count: 2, places: [{ offset: 4 }, { offset: 5 }] },
      live: { count: 1 },
    });
    expect(wrong).toEqual([
      expect.stringMatching(
        /^2 requests in backlog were answered by cost below their full head of zone@\w+.* \(raw 0:4, 0:5; since 2026-01-01T13:56:40.000Z\)\. .*restarted then/,
      ),
    ]);
  });

  it('below it in backlog are told where no frontier had moved for ten seconds', async () => {
    const { zone, wrong, notes } = await audited([
      ...prompt(0, 2_000),
      { raw: 2_000, answered: 7_000_000, waitMs: 10_001, below: 10_000 },
    ]);
    expect(zone).toMatchObject({ stuck: { count: 1 }, backlog: { count: 0 } });
    expect(wrong).toEqual([]);
    expect(notes.join()).toContain('had not moved for ten seconds');
  });

  it('below it are live where they only stood in a queue behind live ones', async () => {
    // Features are paused: each waits its 20 ms at the gate, and forty a second come.
    const queued = Array.from({ length: 400 }, (_, i) => ({
      raw: i * 10,
      answered: 30 + i * 25,
      waitMs: 20,
      below: 10_000,
    }));
    expect((await audited(queued)).zone).toMatchObject({ live: { count: 400 }, backlog: { count: 0 } });
  });

  it('below it in a replay are findings, and not behind its end', async () => {
    const answers = [0, 1, 2].map((i) => ({
      raw: i * 100,
      answered: i * 100 + 30,
      waitMs: 20,
      below: 10_000,
    }));
    const { zone, wrong } = await audited(answers, [
      [7, 'first'],
      [16, 'end'],
    ]);
    expect(zone).toMatchObject({ live: { count: 2 }, replayed: { count: 1, places: [{ offset: 1 }] } });
    expect(wrong.join()).toMatch(
      /1 replayed requests were answered by cost below their full head .*another prefix/,
    );
  });

  it('refused as behind are findings within the hold, and not beyond it or below the base', async () => {
    const late = { raw: 0, answered: 2 * HOUR, reason: 'behind' } as const;
    const newest = { raw: 2 * HOUR - MINUTE, answered: 2 * HOUR + SECOND };
    const within = await audited([late, newest]);
    expect(within.refused.behind).toMatchObject([
      { wrong: { count: 1, places: [{ partition: 0, offset: 0 }], since: NOON + 2 * HOUR } },
    ]);
    expect(within.wrong.join()).toMatch(
      /1 requests were refused by cost as behind, within the hold of zone@/,
    );
    const beyond = await audited([{ ...late, head: -30 * HOUR }, newest]);
    expect(beyond.refused.behind).toMatchObject([{ wrong: { count: 0 }, overHold: 1 }]);
    expect(beyond.wrong).toEqual([]);
    const unknown = await audited([late, newest], [], -MINUTE);
    expect(unknown.refused.behind).toMatchObject([{ wrong: { count: 0 }, beforeBase: 1 }]);
    expect(unknown.wrong).toEqual([]);
  });

  it('refused as no_frontier are findings once the model had read its views', async () => {
    const early = { raw: 0, answered: 10, reason: 'no_frontier' } as const;
    const fresh = await audited([
      early,
      ...prompt(1_000, 2_000),
      { raw: 2_000, answered: 2_010, reason: 'no_model' },
    ]);
    expect(fresh).toMatchObject({ refused: { early: 1, noFrontier: { count: 0 } }, wrong: [] });
    expect(fresh.notes).toHaveLength(2);
    const lost = await audited([
      early,
      ...prompt(1_000, 2_000),
      { raw: 5_000, answered: 5_010, reason: 'no_frontier' },
    ]);
    expect(lost.refused).toMatchObject({ early: 1, noFrontier: { count: 1, places: [{ offset: 3 }] } });
    expect(lost.wrong.join()).toMatch(
      /1 requests were refused by cost as no_frontier after it had read its views/,
    );
    expect((await audited([early])).wrong, 'no answer at all').toEqual([]);
  });
});
