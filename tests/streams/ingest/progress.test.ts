import { beforeEach, describe, expect, it } from 'vitest';
import { FRESH_PROGRESS, PROMPT_AFTER } from '../../../processors/lateness.ts';
import { keys } from '../../../schemas/names.ts';
import {
  decodeProgress,
  encodeProgress,
  progressCommit,
  takeProgress,
} from '../../../streams/ingest/progress.ts';
import { createPlane, type Plane, tripStart } from '../plane.ts';
import { type IngestProcess, ingestProcess, storedProgress } from './process.ts';

describe('the progress of ingest', () => {
  let plane: Plane;
  let process: IngestProcess;

  beforeEach(async () => {
    plane = await createPlane();
    process = await ingestProcess(plane);
  });

  const place = (partition: number) => ({ topic: plane.raw, partition });
  const keyOf = (partition: number) => keys.ingestProgress(plane.project.prefix, 'trips', partition);
  const take = (...partitions: number[]) => takeProgress(plane, partitions.map(place));

  async function workOne(id: string): Promise<void> {
    await plane.append(0, tripStart(id, plane.clock.now()));
    await process.poll();
    await process.work();
  }

  async function put(bytes: Uint8Array): Promise<void> {
    await plane.store.remove([keyOf(0)]);
    await plane.store.commit([progressCommit(keyOf(0), null, bytes)]);
  }

  it('a new partition begins at 0, and each is answered in its place', async () => {
    const fresh = await createPlane();
    const known = await takeProgress(fresh, [place(1), place(0)]);
    expect(known.map(({ progress }) => progress.next)).toEqual([0, 0]);
    expect(known.every(({ progress }) => progress.turn > 0)).toBe(true);
  });

  /*
   *  owner before:  works ........ paused ............ flush -> conflict
   *  new owner:               takes: a new turn
   */
  it('a new turn fences the owner before: what it sets is a conflict', async () => {
    await workOne('first');
    const before = process.own(0).progress.turn;
    await plane.append(0, tripStart('second', plane.clock.now()));
    await process.poll();
    const [taken] = await take(0);
    expect([taken?.progress.next, (taken?.progress.turn ?? 0) > before]).toEqual([1, true]);
    await process.work();
    // It found itself fenced, and took the partition back with a newer turn still.
    expect(process.own(0).progress.turn).toBeGreaterThan(taken?.progress.turn ?? 0);
    expect((await storedProgress(plane, 0)).next).toBe(1);
  });

  it('two that take at once get different turns, and the store has that of one of them', async () => {
    await workOne('first');
    const [[a], [b]] = await Promise.all([take(0), take(0)]);
    expect(a?.progress.turn).not.toBe(b?.progress.turn);
    expect([a?.progress.turn, b?.progress.turn]).toContain((await storedProgress(plane, 0)).turn);
  });

  it('who never gets it is told that another is at work', async () => {
    const busy = { ...plane.store, commit: async () => [{ status: 'conflict' } as const] };
    await expect(takeProgress({ ...plane, store: busy }, [place(0)])).rejects.toMatchObject({
      code: 'contended',
      retriable: true,
    });
  });

  it('a store that was rolled back gives older progress and yet a newer turn', async () => {
    const snapshot = plane.store.snapshot();
    await workOne('first');
    const { turn } = process.own(0).progress;
    plane.clock.time += 1;
    plane.store.restore(snapshot);
    const [taken] = await take(0);
    expect([taken?.progress.next, (taken?.progress.turn ?? 0) > turn]).toEqual([0, true]);
  });

  it.each(['lost', 'torn'])(
    'progress that is %s is recovered from the views, and may be sent again from there',
    async (how) => {
      await workOne('first');
      await workOne('second');
      const before = process.own(0).progress;
      plane.clock.time += 1;
      if (how === 'lost') plane.store.clear();
      else await put(Buffer.from('torn'));
      const [taken] = await take(0);
      // The first event's view partition heard of the second, and all view partitions heard of the markers.
      expect(taken?.progress.next).toBeLessThanOrEqual(before.next);
      expect(taken?.progress.turn).toBeGreaterThan(before.turn);
      if ((taken?.progress.next ?? 0) > 0) expect(taken?.progress.tardy).toBe(PROMPT_AFTER); // Promptness is not in the log.
      await process.context.restart([process.own(0)]);
      await process.poll();
      await process.work();
      expect((await storedProgress(plane, 0)).next).toBe(2);
    },
  );

  it('recovered progress is where every view and the validated topic have come to', async () => {
    await workOne('first');
    process.own(0).announce = true;
    await workOne('second'); // All view partitions hear of it.
    plane.store.clear();
    const [taken] = await take(0);
    expect(taken?.progress).toMatchObject({ next: 2, runningMax: plane.clock.now(), idle: false });
  });

  it('what is nowhere to be found and no longer in the raw topic is an error, with what to do', async () => {
    await plane.append(1, tripStart('a', 0), tripStart('b', 0));
    plane.broker.truncate(plane.raw, 1, 1);
    plane.store.clear();
    const other = await createPlane();
    await expect(
      takeProgress({ ...plane, kafka: plane.kafka, store: other.store }, [place(1)]),
    ).rejects.toMatchObject({
      code: 'progress_lost',
      retriable: false,
      message: expect.stringContaining('backup'),
    });
  });

  it('comes back from its bytes as it was; format 2 knew no turns; another version is refused', () => {
    const progress = { ...FRESH_PROGRESS, next: 5, fed: { 'zone@1': 3 }, idle: true, turn: 9, backlogAt: 7 };
    expect(decodeProgress(encodeProgress(progress))).toEqual(progress);
    const old = { format: 2, next: 5, runningMax: 1, byClock: false, clockOpen: true, fed: {} };
    expect(decodeProgress(Buffer.from(JSON.stringify(old)))).toEqual({
      ...FRESH_PROGRESS,
      next: 5,
      runningMax: 1,
      clockOpen: true,
    });
    expect(() => decodeProgress(Buffer.from('{"format":9}'))).toThrow('format 9');
  });
});
