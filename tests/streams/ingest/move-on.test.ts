import { beforeEach, describe, expect, it } from 'vitest';
import { SECOND } from '../../../schemas/time.ts';
import { askClock, fallIdle, moveOn } from '../../../streams/ingest/idleness.ts';
import type { Guards } from '../../../streams/runtime/guards.ts';
import { createPlane, type Plane, tripStart } from '../plane.ts';
import { type IngestProcess, ingestProcess } from './process.ts';
import { IDLE_AFTER, lastSections } from './told.ts';

let plane: Plane;

beforeEach(async () => {
  plane = await createPlane();
});

describe('moving on with the broker clock', () => {
  /** A quiet process whose broker stamped something a minute after its last event. */
  async function quietProcess(guards: Partial<Guards> = {}): Promise<IngestProcess> {
    const process = await ingestProcess(plane, { guards });
    for (const partition of [0, 1])
      await plane.append(partition, tripStart(`e${partition}`, plane.clock.now()));
    await process.poll();
    await process.work();
    plane.clock.time += 60 * SECOND;
    process.context.brokerTime = plane.clock.now();
    return process;
  }

  const watermark = async (partition: number) => (await lastSections(plane, partition))[0]?.watermark ?? 0;

  /*
   *  event        the broker's clock, a minute later        watermark
   *    |-----------------------------|------- less outOfOrderness -->
   */
  it('the watermark of a quiet partition becomes the broker time less the disorder', async () => {
    const process = await quietProcess();
    await moveOn(process.context, process.quiet());
    expect(await watermark(0)).toBe(plane.clock.now() - 30 * SECOND);
    expect(process.own(0).progress.runningMax).toBe(plane.clock.now() - 60 * SECOND); // Lateness does not go by it.
    process.context.brokerTime -= 45 * SECOND;
    await moveOn(process.context, process.quiet());
    expect(process.own(0).watermark()).toBe(plane.clock.now() - 30 * SECOND);
  });

  it('a source that declares idle_after moves only after that silence', async () => {
    const process = await quietProcess();
    const one = process.own(0);
    const patient = { ...one.source, idleAfter: 90 * SECOND };
    Object.defineProperty(one, 'source', { value: patient });
    await moveOn(process.context, process.quiet());
    expect(one.watermark()).toBe(plane.clock.now() - 90 * SECOND);
    plane.clock.time += 30 * SECOND;
    process.context.brokerTime = plane.clock.now();
    await moveOn(process.context, process.quiet());
    expect(one.watermark()).toBe(plane.clock.now() - 30 * SECOND);
  });

  it('a partition with an unread record does not move: the record may be older', async () => {
    const process = await quietProcess();
    const quiet = process.quiet();
    await plane.append(0, tripStart('unread', plane.clock.now() - 50 * SECOND));
    await moveOn(process.context, quiet);
    expect(process.own(0).watermark()).toBe(plane.clock.now() - 90 * SECOND);
    expect(process.own(1).watermark()).toBe(plane.clock.now() - 30 * SECOND);
  });

  it.each([
    ['is not prompt', { tardy: 1 }],
    ['has an open replay', { clockOpen: true }],
    ['never had an event', { runningMax: null }],
  ] as const)('a partition that %s does not move', async (_why, change) => {
    const process = await quietProcess();
    const one = process.own(0);
    one.progress = { ...one.progress, ...change };
    const before = one.watermark();
    await moveOn(process.context, process.quiet());
    expect(one.watermark()).toBe(before);
  });

  it('says nothing where no view could read a tile more', async () => {
    const process = await quietProcess();
    await moveOn(process.context, process.quiet());
    const { length } = await plane.sections(plane.view('zone'), 0);
    const before = process.own(0).watermark();
    process.context.brokerTime += 1;
    await moveOn(process.context, process.quiet());
    expect(process.own(0).watermark()).toBe(before);
    expect((await plane.sections(plane.view('zone'), 0)).length).toBe(length);
  });

  it.each([
    [true, false],
    [false, true],
  ])('with the guard %s a partition moves beside an idle one with unread records: %s', async (on, moves) => {
    const process = await quietProcess({ moveOnAsks: on, neighbours: true });
    const other = await ingestProcess(plane);
    await process.poll();
    const [theirs] = other.context.owned.values();
    await fallIdle(other.context, other.quiet());
    plane.clock.time += IDLE_AFTER;
    await fallIdle(other.context, other.quiet());
    expect(theirs?.toldIdle).toBe(true);
    await plane.append(theirs?.partition ?? 0, tripStart('unread', plane.clock.now() - 70 * SECOND));
    const [mine] = process.quiet();
    process.context.brokerTime = plane.clock.now();
    const before = mine?.watermark() ?? 0;
    await moveOn(process.context, process.quiet());
    expect((mine?.watermark() ?? 0) > before).toBe(moves);
  });

  it('asks for the broker clock once an edge has probably passed, and no more often', async () => {
    const process = await ingestProcess(plane);
    await plane.append(0, tripStart('e', plane.clock.now()));
    await process.poll();
    await process.work();
    const view = plane.view('zone');
    const { length } = await plane.sections(view, 0);
    for (const end = plane.clock.time + 60 * SECOND; plane.clock.time < end; plane.clock.time += 50) {
      await askClock(process.context, process.quiet());
      await moveOn(process.context, process.quiet());
    }
    expect(process.context.announcer.hidesNewest(process.own(0))).toBe(false);
    // Six edges of ten seconds, each with a question and a marker.
    const told = (await plane.sections(view, 0)).length - length;
    expect(told).toBeGreaterThanOrEqual(10);
    expect(told).toBeLessThanOrEqual(14);
  });
});
