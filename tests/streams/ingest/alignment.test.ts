import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { FRESH_PROGRESS } from '../../../processors/lateness.ts';
import { keys } from '../../../schemas/names.ts';
import { MINUTE, SECOND } from '../../../schemas/time.ts';
import { limitsOf, spreads, tellBacklog } from '../../../streams/ingest/alignment.ts';
import type { IngestContext } from '../../../streams/ingest/context.ts';
import { Neighbours } from '../../../streams/ingest/neighbours.ts';
import { encodeProgress, progressCommit } from '../../../streams/ingest/progress.ts';
import { RawPartition } from '../../../streams/ingest/raw-partition.ts';
import { decoded } from '../decoded.ts';
import { createPlane, type Plane } from '../plane.ts';
import { type IngestProcess, ingestProcess, storedProgress } from './process.ts';

const PARTITIONS = 4;
const SPREAD = 2 * MINUTE; // Half of the views' slack.

let plane: Plane;
let process: IngestProcess;

beforeAll(async () => {
  plane = await createPlane({ partitions: PARTITIONS });
  process = await ingestProcess(plane);
});

/** A partition whose next record has this event time (null: nothing queued), appended so long ago. */
function partitionAt(partition: number, time: number | null, ageMs = 60 * SECOND): RawPartition {
  const known = { progress: FRESH_PROGRESS, bytes: encodeProgress(FRESH_PROGRESS) };
  const place = { topic: plane.raw, partition };
  const one = new RawPartition(process.own(0).plan, place, known, plane.clock.now());
  one.more = false;
  if (time !== null) one.queue.add([decoded(0, time, { appendTime: plane.clock.now() - ageMs })]);
  return one;
}

/** A process that owns some partitions, and knows of the others what the store says. */
async function owning(
  owned: readonly RawPartition[],
  told: ReadonlyMap<number, number>,
): Promise<IngestContext> {
  plane.store.clear();
  await plane.store.commit(
    [...told].map(([partition, backlogAt]) =>
      progressCommit(
        keys.ingestProgress(plane.project.prefix, 'trips', partition),
        null,
        encodeProgress({ ...FRESH_PROGRESS, backlogAt }),
      ),
    ),
  );
  const neighbours = new Neighbours(plane.project, plane);
  await neighbours.look(new Set(['trips']));
  return {
    ...process.context,
    neighbours,
    owned: new Map(owned.map((one) => [`${one.topic}:${one.partition}`, one])),
  };
}

describe('alignment in backlog', () => {
  it('partitions may be half of the least slack apart', () => {
    expect([...spreads(plane.project)]).toEqual([['trips', SPREAD]]);
  });

  it('a partition waits above the slowest other in backlog and the spread, its own process or another', async () => {
    const [a, b] = [partitionAt(0, 1_000_000), partitionAt(1, 9_000_000)];
    const here = await owning([a, b], new Map());
    const limits = async (context: IngestContext) =>
      (await limitsOf(context, spreads(plane.project))).map(({ limit }) => limit);
    expect(await limits(here)).toEqual([9_000_000 + SPREAD, 1_000_000 + SPREAD]);
    const there = await owning([b], new Map([[2, 500_000]]));
    expect(await limits(there)).toEqual([500_000 + SPREAD]);
  });

  it('live partitions, and those with nothing queued, hold nobody', async () => {
    const context = await owning(
      [partitionAt(0, 5), partitionAt(1, 1, 2_000), partitionAt(2, null)],
      new Map(),
    );
    const [first, live] = await limitsOf(context, spreads(plane.project));
    expect(first?.limit).toBe(Number.POSITIVE_INFINITY);
    expect(live?.limit).toBe(5 + SPREAD);
  });

  it('without the guard nobody waits', async () => {
    const context = await owning([partitionAt(0, 5), partitionAt(1, 9e9)], new Map());
    const off = { ...context, guards: { ...context.guards, align: false } };
    expect((await limitsOf(off, spreads(plane.project))).map(({ limit }) => limit)).toEqual([
      Number.POSITIVE_INFINITY,
      Number.POSITIVE_INFINITY,
    ]);
  });

  it('the slowest of all partitions never waits, however they are shared: processes cannot block each other', async () => {
    const partition = fc.record({
      time: fc.option(fc.integer({ min: 0, max: 20 * MINUTE }), { freq: 4 }),
      owner: fc.integer({ min: 0, max: 2 }),
      backlog: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(partition, { minLength: PARTITIONS, maxLength: PARTITIONS }),
        async (drawn) => {
          const all = drawn.map(({ time, backlog }, i) => partitionAt(i, time, backlog ? 60_000 : 0));
          const told = new Map<number, number>();
          for (const [i, one] of all.entries()) {
            const at = one.backlogAt(plane.clock.now());
            if (at !== null) told.set(i, at);
          }
          const heads = drawn.map(({ time }) => time ?? Number.POSITIVE_INFINITY);
          const least = Math.min(...heads);
          if (!Number.isFinite(least)) return;
          const free: number[] = [];
          for (const owner of [0, 1, 2]) {
            const context = await owning(
              all.filter((_, i) => drawn[i]?.owner === owner),
              told,
            );
            for (const { of, limit } of await limitsOf(context, spreads(plane.project)))
              if ((heads[of.partition] ?? 0) <= limit) free.push(of.partition);
          }
          for (const [i, head] of heads.entries()) if (head === least) expect(free).toContain(i);
          // And what goes is no further ahead of the slowest in backlog than the spread.
          const slowest = Math.min(...told.values());
          for (const i of free) expect(heads[i]).toBeLessThanOrEqual(slowest + SPREAD);
        },
      ),
      { numRuns: 200 },
    );
  });

  /*
   *  backlog begins   told       100 ms: told again      caught up: told once more
   *       |------------|----x-------|--------------------------|
   */
  it('tells the store where it is while it waits, ten times a second at most, and that it has caught up', async () => {
    plane = await createPlane();
    process = await ingestProcess(plane);
    const { context } = process;
    const one = process.own(0);
    const appendTime = plane.clock.now() - 60 * SECOND;
    one.queue.add([decoded(0, 100, { appendTime }), decoded(1, 200, { appendTime })]);
    const told = async () => (await storedProgress(plane, 0)).backlogAt;
    await tellBacklog(context);
    expect(await told()).toBe(100);
    one.queue.drop(1);
    plane.clock.time += 99;
    await tellBacklog(context);
    expect(await told()).toBe(100);
    plane.clock.time += 1;
    await tellBacklog(context);
    expect(await told()).toBe(200);
    one.queue.drop(1);
    plane.clock.time += 100;
    await tellBacklog(context);
    expect(await told()).toBeNull();
    expect((await storedProgress(plane, 1)).backlogAt).toBeNull();
  });
});

describe('where a partition is in backlog', () => {
  const now = Date.UTC(2026, 0, 1);

  it('is the event time of its next record, appended more than two seconds ago', () => {
    const at = (ageMs: number) => {
      const one = partitionAt(0, null);
      one.queue.add([decoded(0, 500, { appendTime: now - ageMs })]);
      return one.backlogAt(now);
    };
    expect([at(2_000), at(2_001)]).toEqual([null, 500]);
  });

  it('is nowhere in a replay: its pace is that of its clocks', () => {
    const one = partitionAt(0, 500);
    expect(one.backlogAt(plane.clock.now(), { ...FRESH_PROGRESS, clockOpen: true })).toBeNull();
  });

  it('is its running maximum while the next record is not fetched yet, or is no event', () => {
    const one = partitionAt(0, null);
    const progress = { ...FRESH_PROGRESS, appendTime: now - 60_000, runningMax: 700 };
    expect(one.backlogAt(now, progress)).toBeNull();
    one.more = true;
    expect(one.backlogAt(now, progress)).toBe(700);
    one.queue.add([decoded(0, null, { appendTime: now - 60_000 })]);
    expect(one.backlogAt(now, progress)).toBe(700);
  });
});
