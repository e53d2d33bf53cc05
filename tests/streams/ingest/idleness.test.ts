import { beforeEach, describe, expect, it } from 'vitest';
import { flushMarkers } from '../../../streams/ingest/flush.ts';
import { fallIdle, wake } from '../../../streams/ingest/idleness.ts';
import { RawPartition } from '../../../streams/ingest/raw-partition.ts';
import { record } from '../../infrastructure/kafka/harness.ts';
import { createPlane, type Plane, tripStart } from '../plane.ts';
import { type IngestProcess, storedProgress } from './process.ts';
import { afterAnEvent, IDLE_AFTER, lastSections, toldIdle } from './told.ts';

let plane: Plane;

beforeEach(async () => {
  plane = await createPlane();
});

describe('falling idle', () => {
  /*
   *  last record        + idle time
   *      |------------------|---------------->
   *                         ask the broker, tell the store, ask again, tell the views
   */
  it('asks the broker after the silence, tells the store, asks again, and then tells every view partition', async () => {
    const moments: string[] = [];
    const process = await afterAnEvent(plane, async (moment) => {
      if (moment.startsWith('after')) moments.push(moment.slice('after '.length));
    });
    moments.length = 0;
    plane.clock.time += IDLE_AFTER - 1;
    await fallIdle(process.context, process.quiet());
    expect(moments).toEqual([]);
    plane.clock.time += 1;
    await fallIdle(process.context, process.quiet());
    expect(moments).toEqual([
      'asking whether anything is unread',
      'telling the store',
      'asking whether anything is unread',
      'sending',
    ]);
    expect([(await storedProgress(plane, 0)).idle, await toldIdle(plane, 0)]).toEqual([true, true]);
    await fallIdle(process.context, process.quiet());
    expect(moments).toHaveLength(4);
  });

  it('waits for the longest disorder of all sources of its views, once it has had an event', async () => {
    const process = await afterAnEvent(plane);
    const one = process.own(0);
    const { plan, progress } = one;
    const views = plan.views.map((view) => ({ ...view, outOfOrderness: 2 * IDLE_AFTER }));
    const mixed = new RawPartition({ ...plan, views }, one, { progress, bytes: one.expected }, 0);
    expect([one.idleAfterMs, mixed.idleAfterMs]).toEqual([IDLE_AFTER, 2 * IDLE_AFTER]);
    mixed.progress = { ...progress, runningMax: null };
    expect(mixed.idleAfterMs).toBe(IDLE_AFTER);
  });

  /*
   *  fetch: at end     pause of the process      goes on
   *      |---------------[=========x=========]------|
   *                                record
   */
  it('what a fetch said before a pause of the process proves nothing: the broker is asked', async () => {
    const process = await afterAnEvent(plane);
    const quiet = process.quiet();
    await plane.append(0, tripStart('in the pause', plane.clock.now()));
    plane.clock.time += IDLE_AFTER;
    await fallIdle(process.context, quiet);
    expect(process.own(0).progress.idle).toBe(false);
    expect((await storedProgress(plane, 0)).idle).toBe(false);
    expect(await toldIdle(plane, 1)).toBe(true); // Its neighbour has had nothing, and is idle.
  });

  /*
   *  ask: nothing    tell the store     ask again: unread -> it wakes, the views are not told
   *      |----------------|-----x------------|
   *                             record
   */
  it('a record that comes after the store was told keeps the views from being told', async () => {
    let told = false;
    const process = await afterAnEvent(plane, async (moment) => {
      if (moment !== 'after telling the store' || !told) return;
      told = false;
      await plane.append(0, tripStart('late', plane.clock.now()));
    });
    plane.clock.time += IDLE_AFTER;
    told = true;
    await fallIdle(process.context, [process.own(0)]);
    expect([(await storedProgress(plane, 0)).idle, process.own(0).toldIdle]).toEqual([false, false]);
    expect(await toldIdle(plane, 0)).toBe(false);
  });

  it('the store is told the fetch position, so that the marker of a transaction leaves nothing unread', async () => {
    const process = await afterAnEvent(plane);
    const transaction = plane.broker.transaction();
    transaction.append([record(plane.raw, 0, 'never seen')]);
    plane.clock.time += IDLE_AFTER;
    await process.poll();
    await fallIdle(process.context, [process.own(0)]);
    expect((await storedProgress(plane, 0)).idle).toBe(false); // An open transaction may become records.
    transaction.abort();
    await process.poll();
    await fallIdle(process.context, [process.own(0)]);
    const { idle, next } = await storedProgress(plane, 0);
    expect([idle, next]).toEqual([true, 3]);
    const { neighbours, consumer } = process.context;
    expect(await neighbours.unread(await neighbours.look(new Set(['trips'])), consumer)).toEqual([]);
  });

  it('the views hear of it at once, even where they heard of the partition a moment ago', async () => {
    const process = await afterAnEvent(plane);
    plane.clock.time += IDLE_AFTER - 10;
    process.own(0).announce = true;
    await flushMarkers(process.context);
    plane.clock.time += 10;
    await fallIdle(process.context, [process.own(0)]);
    expect(await toldIdle(plane, 0)).toBe(true);
  });

  it('a partition with an open replay, or with records in the queue, does not fall idle', async () => {
    const process = await afterAnEvent(plane);
    const [one, other] = [process.own(0), process.own(1)];
    one.progress = { ...one.progress, clockOpen: true };
    await plane.append(1, tripStart('queued', plane.clock.now()));
    await process.poll();
    plane.clock.time += IDLE_AFTER;
    await fallIdle(process.context, [one, other]);
    expect([one.progress.idle, other.progress.idle]).toEqual([false, false]);
  });

  it('each falling idle and each waking is a newer turn', async () => {
    const process = await afterAnEvent(plane);
    const turns = [process.own(0).progress.turn];
    for (let round = 0; round < 2; round += 1) {
      plane.clock.time += IDLE_AFTER;
      await fallIdle(process.context, process.quiet());
      turns.push(process.own(0).progress.turn);
      await wake(process.context, [process.own(0)]);
      turns.push(process.own(0).progress.turn);
    }
    expect(turns).toEqual([...turns].sort((a, b) => a - b));
    expect(new Set(turns).size).toBe(5);
    expect((await lastSections(plane, 0)).every(({ turn }) => turn === turns.at(-1))).toBe(true);
  });

  it('a partition that somebody else took is begun anew, and the views are not told', async () => {
    const process = await afterAnEvent(plane);
    await plane.store.remove([process.context.neighbours.of('trips')[0]?.key ?? '']);
    const before = process.own(0).progress.turn;
    plane.clock.time += IDLE_AFTER;
    await fallIdle(process.context, [process.own(0)]);
    expect(process.own(0).progress.idle).toBe(false);
    expect(process.own(0).progress.turn).toBeGreaterThan(before);
    expect(await toldIdle(plane, 0)).toBe(false);
  });
});

describe('waking', () => {
  async function idleProcess(hook?: (moment: string) => Promise<void>): Promise<IngestProcess> {
    const process = await afterAnEvent(plane, hook);
    plane.clock.time += IDLE_AFTER;
    await fallIdle(process.context, process.quiet());
    expect(await toldIdle(plane, 0)).toBe(true);
    return process;
  }

  it('tells every view partition first, and then the store', async () => {
    const moments: string[] = [];
    const process = await idleProcess(async (moment) => void moments.push(moment));
    moments.length = 0;
    await wake(process.context, [process.own(0)]);
    expect(moments).toEqual([
      'before sending',
      'after sending',
      'before telling the store',
      'after telling the store',
    ]);
    expect([await toldIdle(plane, 0), (await storedProgress(plane, 0)).idle]).toEqual([false, false]);
    expect(await toldIdle(plane, 1)).toBe(true);
    expect((await lastSections(plane, 0)).map(({ contributions }) => contributions)).toEqual(
      (await lastSections(plane, 0)).map(() => []),
    );
  });

  it('where the views cannot be told the store still says idle, so that nobody passes', async () => {
    const process = await idleProcess();
    plane.broker.failNextSend('before');
    await expect(wake(process.context, [process.own(0)])).rejects.toMatchObject({ code: 'send_failed' });
    expect((await storedProgress(plane, 0)).idle).toBe(true);
  });

  it('of nothing sends nothing', async () => {
    const process = await idleProcess();
    const before = (await plane.sections(plane.view('zone'), 0)).length;
    await wake(process.context, []);
    expect((await plane.sections(plane.view('zone'), 0)).length).toBe(before);
  });
});
