import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { DAY, MINUTE, SECOND } from '../../../schemas/time.ts';
import { KeptBytes } from '../../../streams/features/kept-bytes.ts';
import { backlogOf, isAhead, keepHead, tellOverHold } from '../../../streams/features/pace.ts';
import type { OwnedView } from '../../../streams/features/view-partition.ts';
import { createPlane, type Plane } from '../plane.ts';
import { featuresContext, owned, setHints } from './context.ts';

const SLACK = 4 * MINUTE;

let plane: Plane;
let context: Awaited<ReturnType<typeof featuresContext>>;
let state: OwnedView;
let T: number;

beforeEach(async () => {
  plane = await createPlane();
  context = await featuresContext(plane);
  state = owned(plane, plane.view('zone'));
  T = plane.clock.now();
});

async function hints(...least: number[]): Promise<void> {
  await setHints(plane, ...least);
  await context.readers.look();
}

const frontierAt = (frontier: number) => {
  state.meta = { ...state.meta, status: 'ready', frontier };
};

describe('bytes that are kept for readers', () => {
  it('are those appended since the frontier passed what they ask for', () => {
    const kept = new KeptBytes({ appendedBytes: 0, heldBytes: 0 });
    for (let i = 1; i <= 10; i += 1) kept.note({ frontier: i * 100, appendedBytes: i * 1_000 });
    expect([kept.since(1_000), kept.since(700), kept.since(750), kept.since(50)]).toEqual([
      0, 3_000, 3_000, 10_000,
    ]);
    expect([kept.reach(0), kept.reach(2_999), kept.reach(3_000)]).toEqual([1_000, 800, 700]);
  });

  it('go on from the meta after a restart', () => {
    const kept = new KeptBytes({ appendedBytes: 9_000, heldBytes: 4_000 });
    expect([kept.since(5), kept.reach(4_000), kept.reach(3_999)]).toEqual([
      4_000,
      Number.NEGATIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
    ]);
    kept.note({ frontier: 100, appendedBytes: 9_500 });
    expect([kept.since(100), kept.since(99), kept.reach(4_000)]).toEqual([0, 4_500, 100]);
  });

  it('are never counted too few, however many commits there were, and older times keep more', () => {
    const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 99 })), {
      minLength: 1,
      maxLength: 2_000,
    });
    fc.assert(
      fc.property(steps, fc.integer({ min: 0, max: 50_000 }), (drawn, time) => {
        const kept = new KeptBytes({ appendedBytes: 0, heldBytes: 0 });
        let [frontier, appendedBytes, passed] = [0, 0, 0];
        for (const [ms, bytes] of drawn) {
          frontier += ms;
          appendedBytes += bytes;
          kept.note({ frontier, appendedBytes });
          if (frontier <= time) passed = appendedBytes;
        }
        expect(kept.since(time)).toBeGreaterThanOrEqual(appendedBytes - passed);
        expect(kept.since(time)).toBeLessThanOrEqual(appendedBytes);
        expect(kept.since(time)).toBeGreaterThanOrEqual(kept.since(time + 100));
        // Whatever is said to reach so far did not take more bytes than were allowed.
        const reach = kept.reach(1_000);
        if (Number.isFinite(reach) && appendedBytes > 1_000)
          expect(kept.since(reach)).toBeLessThanOrEqual(1_000);
      }),
      { numRuns: 60 },
    );
  });
});

describe('what compaction keeps', () => {
  /*
   *   hold (24 h)        slack        frontier
   *  |---------------------|--4 min--|
   *        ^ the slowest reader: kept from here on
   */
  it('is what the slowest reader of the view may still ask for', async () => {
    frontierAt(T);
    await hints(T - 60 * MINUTE, T - 90 * MINUTE);
    expect(keepHead(context, state)).toBe(T - 90 * MINUTE - state.view.readDelay);
  });

  it('is everything within the bound while a declared reader has never said anything', async () => {
    frontierAt(T);
    await hints(T);
    expect(keepHead(context, state)).toBe(T - SLACK - state.view.hold.time);
  });

  it('is bounded by the declared time', async () => {
    expect(state.view.hold.time).toBe(DAY);
    frontierAt(T);
    await hints(T - 3 * DAY, T - 3 * DAY);
    expect(keepHead(context, state)).toBe(T - SLACK - DAY);
  });

  it('is bounded by the declared bytes', async () => {
    await hints(T - 60 * MINUTE, T - 60 * MINUTE);
    const { bytes } = state.view.hold;
    state.kept.note({ frontier: T - 30 * MINUTE, appendedBytes: 10 });
    state.kept.note({ frontier: T, appendedBytes: 10 + bytes });
    frontierAt(T);
    expect(keepHead(context, state)).toBe(T - 30 * MINUTE - SLACK);
    state.kept.note({ frontier: T + 1, appendedBytes: 11 + bytes });
    expect(keepHead(context, state)).toBe(T - SLACK);
  });

  it('is nothing more than the slack without the guard', async () => {
    const off = await featuresContext(await createPlane(), { hold: false });
    expect(keepHead(off, state)).toBe(Number.POSITIVE_INFINITY);
  });

  it('a reader further behind than the bound is told, and when it has caught up', async () => {
    frontierAt(T);
    await hints(T - 3 * DAY, T - 3 * DAY);
    tellOverHold(context, state);
    plane.clock.time += 10 * SECOND;
    tellOverHold(context, state);
    expect(context.telemetry.waits).toHaveLength(1);
    expect(context.telemetry.waits[0]).toContain('hold_megabytes');
    await hints(T, T);
    tellOverHold(context, state);
    expect(context.telemetry.waits.at(-1)).toContain('over');
  });
});

describe('the readers of a view', () => {
  it('are asked in one round trip, and a view that no model reads holds nothing', async () => {
    await hints(T - 5, T);
    expect(context.readers.leastHead(state.view)).toBe(T - 5 - state.view.readDelay);
    const unread = { ...state.view, name: 'unread' };
    expect([context.readers.leastHead(unread), context.readers.movingHead(unread)]).toEqual([
      Number.POSITIVE_INFINITY,
      null,
    ]);
    expect(context.readers.slowest(state.view)).toBe('model cost (partition 0)');
  });

  it('move while what they say changes, and for ten seconds after', async () => {
    expect(context.readers.movingHead(state.view)).toBeNull();
    await hints(T - 5, T - 9);
    expect(context.readers.movingHead(state.view)).toBe(T - 9 - state.view.readDelay);
    plane.clock.time += 10_000;
    await hints(T - 4);
    expect(context.readers.movingHead(state.view)).toBe(T - 9 - state.view.readDelay);
    plane.clock.time += 1;
    await context.readers.look();
    expect(context.readers.movingHead(state.view)).toBe(T - 4 - state.view.readDelay);
  });

  it('a hint that is lost or broken holds as before, or everything; a rolled-back one holds more', async () => {
    await hints(T, T);
    plane.store.clear();
    await context.readers.look();
    expect(context.readers.leastHead(state.view)).toBe(T - state.view.readDelay);
    await hints(T - DAY);
    expect(context.readers.leastHead(state.view)).toBe(T - DAY - state.view.readDelay);
  });
});

describe('waiting for readers in backlog', () => {
  /** A partition whose mark came to 1 with a record that was appended then; `mark` 0: a marker told nothing new. */
  const source = (appendTime: number | null, clockOpen = false, mark = 1) => ({
    partitions: 2,
    mark,
    begin: -1,
    runningMax: 0,
    watermark: 0,
    byClock: false,
    idle: false,
    turn: 0,
    appendTime,
    clockOpen,
  });
  const metaOf = (...all: ReturnType<typeof source>[]) => ({
    ...state.meta,
    sources: Object.fromEntries(all.map((one, i) => [`raw:${i}`, one])),
  });

  it('a view partition is ahead when its frontier is half of the slack past the head of a reader that moves', async () => {
    state.backlog = true;
    await hints(T - 10 * MINUTE, T - 10 * MINUTE);
    const head = T - 10 * MINUTE - state.view.readDelay;
    frontierAt(head + SLACK / 2);
    expect(isAhead(context, state)).toBe(false);
    frontierAt(head + SLACK / 2 + 1);
    expect(isAhead(context, state)).toBe(true);
    plane.clock.time += 10_001; // The reader does not move any more: nobody waits for the dead.
    expect(isAhead(context, state)).toBe(false);
  });

  it.each([
    ['live', [2_000], false, false],
    ['with one partition live', [60_000, 1_000], false, false],
    ['in a replay', [60_000], true, false],
    ['in backlog', [60_000, 2_001], false, true],
    ['before it knows any append time', [null], false, null],
  ] as const)('%s', (_when, ages, replayed, backlog) => {
    const before = metaOf(...ages.map(() => source(null, false, 0)));
    const after = metaOf(...ages.map((age) => source(age === null ? null : T - age, replayed)));
    expect(backlogOf(before, after, T)).toBe(backlog);
  });

  it('a marker of a quiet partition tells nothing new, and makes no backlog', () => {
    const meta = metaOf(source(T - MINUTE), source(T - MINUTE));
    expect(backlogOf(meta, meta, T)).toBeNull();
  });

  it('without the guard, without backlog, or before a frontier, nobody waits', async () => {
    state.backlog = true;
    await hints(T - DAY, T - DAY);
    expect(isAhead(context, state)).toBe(false);
    frontierAt(T);
    expect(isAhead(context, state)).toBe(true);
    expect(isAhead({ ...context, guards: { ...context.guards, pace: false } }, state)).toBe(false);
    expect(isAhead(context, { ...state, backlog: false })).toBe(false);
  });
});
