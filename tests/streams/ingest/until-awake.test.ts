import { beforeEach, describe, expect, it } from 'vitest';
import { applyHeader, freshMeta } from '../../../processors/meta.ts';
import { SECOND } from '../../../schemas/time.ts';
import { commit } from '../../../streams/ingest/flush.ts';
import { fallIdle, untilAwake, wake } from '../../../streams/ingest/idleness.ts';
import type { Guards } from '../../../streams/runtime/guards.ts';
import { createPlane, type Plane, tripStart } from '../plane.ts';
import { type IngestProcess, ingestProcess } from './process.ts';
import { afterAnEvent, IDLE_AFTER, toldIdle } from './told.ts';

let plane: Plane;

beforeEach(async () => {
  plane = await createPlane();
});

describe('working beside an idle partition', () => {
  const SOURCES = new Set(['trips']);

  /** Two processes, one partition each; that of the first one is idle, and its views know. */
  async function beside(): Promise<{ owner: IngestProcess; idle: number; other: IngestProcess }> {
    const owner = await ingestProcess(plane);
    const other = await ingestProcess(plane);
    await owner.poll();
    const [mine] = owner.context.owned.values();
    const idle = mine?.partition ?? 0;
    expect([owner.context.owned.size, other.context.owned.size]).toEqual([1, 1]);
    plane.clock.time += IDLE_AFTER;
    await fallIdle(owner.context, owner.quiet());
    expect(await toldIdle(plane, idle)).toBe(true);
    return { owner, idle, other };
  }

  it('goes on at once where an idle partition has nothing unread', async () => {
    const { other } = await beside();
    const now = plane.clock.now();
    expect(await untilAwake(other.context, SOURCES)).toBe(true);
    expect(plane.clock.now()).toBe(now);
  });

  /*
   *  owner:   idle ............................. wake
   *  broker:         x record
   *  other:             |-- waits, told after 10 s --|-> works
   */
  it('waits until the owner has told the views, however long that takes, and says for whom', async () => {
    const { owner, idle, other } = await beside();
    await plane.append(idle, tripStart('unread', plane.clock.now()));
    let passed = false;
    const waiting = untilAwake(other.context, SOURCES).then((on) => {
      passed = on;
    });
    const until = plane.clock.now() + 600 * SECOND;
    while (plane.clock.now() < until) await new Promise((resolve) => setImmediate(resolve));
    expect(passed).toBe(false);
    expect(other.telemetry.waits).toHaveLength(1);
    expect(other.telemetry.waits[0]).toContain(`${plane.raw} partition ${idle}`);
    await wake(owner.context, owner.quiet());
    await waiting;
    expect([passed, await toldIdle(plane, idle)]).toEqual([true, false]);
    expect(other.telemetry.waits.at(-1)).toContain('over');
  });

  it('wakes an idle partition of its own, and goes on', async () => {
    const process = await afterAnEvent(plane);
    plane.clock.time += IDLE_AFTER;
    await fallIdle(process.context, process.quiet());
    await plane.append(0, tripStart('unread', plane.clock.now()));
    expect(await untilAwake(process.context, SOURCES)).toBe(true);
    expect([await toldIdle(plane, 0), await toldIdle(plane, 1)]).toEqual([false, true]);
  });

  it('gives up when the group moves, and when it is told to stop', async () => {
    const { idle, other } = await beside();
    await plane.append(idle, tripStart('unread', plane.clock.now()));
    const waiting = untilAwake(other.context, SOURCES);
    other.stop();
    expect(await waiting).toBe(false);
    const third = await ingestProcess(plane);
    expect(other.consumer.moved()).toBe(true);
    expect(await untilAwake({ ...other.context, signal: third.context.signal }, SOURCES)).toBe(false);
  });

  it('a quiet partition is not told idle while an idle neighbour has unread records', async () => {
    const { owner, idle, other } = await beside();
    await plane.append(idle, tripStart('unread', plane.clock.now()));
    const [mine] = other.quiet();
    plane.clock.time += IDLE_AFTER;
    await fallIdle(other.context, other.quiet());
    expect([mine?.progress.idle, mine?.toldIdle]).toEqual([true, false]);
    await wake(owner.context, owner.quiet());
    await fallIdle(other.context, other.quiet());
    expect(mine?.toldIdle).toBe(true);
  });
});

/*
 * The whole law. The owner of p0 lets it fall idle, and is paused between two steps; in the pause a record
 * comes to p0, and the process of p1 wants to work one that is later by an hour.
 *
 *   owner of p0:  ask | tell the store | ask | tell the views         poll, wake
 *                     ^ paused at each of these moments, record to p0
 *   owner of p1:        until all are awake ............................. -> moves its watermark by an hour
 *
 * In the views' log no frontier may pass the record before p0's owner has told of it.
 */
describe('a pause between any two steps of falling idle loses nothing', () => {
  const HOUR_LATER = 3_600_000;
  const MOMENTS = 8;

  async function frontierBeforeTheRecord(pauseAt: number, guards: Partial<Guards>): Promise<string> {
    let armed = false;
    let moments = 0;
    const during: { moment: string; pause: () => Promise<void> } = { moment: '', pause: async () => {} };
    const hook = async (moment: string): Promise<void> => {
      if (!armed || moments++ !== pauseAt) return;
      during.moment = moment;
      await during.pause();
    };
    const owner = await ingestProcess(plane, { hook, guards });
    const other = await ingestProcess(plane, { guards });
    await owner.poll();
    for (const { context } of [owner, other])
      for (const { partition } of context.owned.values())
        await plane.append(partition, tripStart(`first ${partition}`, plane.clock.now()));
    for (const process of [owner, other]) {
      await process.poll();
      await process.work();
    }
    const [mine] = owner.context.owned.values();
    const idle = mine?.partition ?? 0;
    const time = plane.clock.now() + IDLE_AFTER;
    let working: Promise<unknown> = Promise.resolve();
    during.pause = async () => {
      await plane.append(idle, tripStart('the record', time));
      working = untilAwake(other.context, new Set(['trips'])).then(async (on) => {
        if (!on) return;
        const [one] = other.context.owned.values();
        if (one === undefined) return;
        one.progress = { ...one.progress, runningMax: time + HOUR_LATER };
        const sections = other.context.announcer.markers([one]);
        await commit(other.context, sections, [other.context.announcer.blocks(sections)], new Map());
      });
      for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    };
    plane.clock.time = time;
    armed = true;
    await fallIdle(owner.context, owner.quiet());
    if (during.moment === '') return 'no such moment';
    await owner.poll();
    await wake(
      owner.context,
      [...owner.context.owned.values()].filter(({ progress }) => progress.idle),
    );
    await owner.work();
    await working;
    let lost = false;
    for (const view of plane.project.views)
      for (let partition = 0; partition < view.partitions; partition += 1) {
        let meta = freshMeta('life', 0, false);
        for (const section of await plane.sections(view, partition)) {
          const worked = section.partition === idle && section.to >= 1;
          if (worked) break;
          meta = applyHeader({ topics: [plane.raw] }, meta, section);
        }
        if ((meta.frontier ?? 0) > time) lost = true;
      }
    return `${during.moment}: ${lost ? 'lost' : 'kept'}`;
  }

  it.each(Array.from({ length: MOMENTS }, (_, moment) => moment))('moment %i', async (moment) => {
    expect(await frontierBeforeTheRecord(moment, {})).toMatch(/: kept$/);
  });

  it('there are no more moments than these', async () => {
    expect(await frontierBeforeTheRecord(MOMENTS, {})).toBe('no such moment');
  });

  async function outcomes(guards: Partial<Guards>): Promise<string> {
    const all: string[] = [];
    for (let moment = 0; moment < MOMENTS; moment += 1) {
      plane = await createPlane();
      all.push(await frontierBeforeTheRecord(moment, guards));
    }
    return all.join('; ');
  }

  it('without waiting for idle neighbours a pause at some moment loses the record', async () => {
    expect(await outcomes({ neighbours: false })).toMatch(/: lost/);
  });
});
