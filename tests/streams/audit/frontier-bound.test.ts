import { describe, expect, it } from 'vitest';
import { FrontierBound } from '../../../streams/audit/frontier-bound.ts';

/** Two partitions with out_of_orderness 5 s; times in seconds, `idleAfter` in ms. */
function bounds(idleAfter: number | null = null) {
  const bound = new FrontierBound([
    { outOfOrderness: 5_000, idleAfter },
    { outOfOrderness: 5_000, idleAfter },
  ]);
  let offset = 0;
  return {
    /** An event of `time` arrives at `at`. */
    arrive(of: number, time: number, at: number) {
      offset += 1;
      const tardy = at - time > 5;
      bound.take(
        at * 1_000 + 50,
        [
          {
            of,
            time: time * 1_000,
            capped: Math.min(time, at) * 1_000,
            firstAppend: at * 1_000,
            lastAppend: at * 1_000,
            events: 1,
            lastOffset: offset,
            lastTardy: tardy ? offset : -1,
          },
        ],
        [],
      );
    },
    clock(of: number, time: number, at: number, open: boolean) {
      bound.take(at * 1_000 + 50, [], [{ of, time: time * 1_000, appendTime: at * 1_000, open }]);
    },
    get frontier() {
      return bound.frontier / 1_000;
    },
  };
}

describe('the highest frontier that an undisturbed ingest can have had', () => {
  it('is held by the least watermark of those that are not silent', () => {
    const world = bounds();
    // Both an hour late, so that no clock of the broker moves anything: p0 at 100, p1 at 130.
    for (let at = 3_700; at <= 3_760; at += 2) {
      world.arrive(0, 100, at);
      world.arrive(1, 130, at + 1);
    }
    expect(world.frontier).toBe(95);
    world.arrive(1, 180, 3_762);
    expect(world.frontier).toBe(95);
  });

  it('goes on without a partition that had nothing for out_of_orderness, and no sooner', () => {
    const world = bounds();
    for (let at = 3_700; at <= 3_704; at += 2) {
      world.arrive(0, 100, at);
      world.arrive(1, 100, at + 1);
    }
    world.arrive(1, 140, 3_708);
    expect(world.frontier).toBe(95);
    world.arrive(1, 150, 3_709.5);
    expect(world.frontier, 'p0 had nothing for 5.5 s').toBe(145);
  });

  it('is the largest running maximum when all are silent', () => {
    const world = bounds();
    world.arrive(0, 100, 3_700);
    world.arrive(1, 200, 3_700.2);
    expect(world.frontier).toBe(95);
    world.arrive(0, 150, 3_710);
    expect(world.frontier).toBe(200);
  });

  it('follows the clock of the broker while a partition is prompt, and no further', () => {
    const world = bounds();
    for (let at = 1_000; at < 1_010; at += 2) {
      world.arrive(0, at - 1, at);
      world.arrive(1, at, at + 1);
    }
    world.arrive(0, 1_010, 1_011);
    expect(world.frontier).toBeGreaterThanOrEqual(1_004);
    expect(world.frontier).toBeLessThanOrEqual(1_006.1);
    const before = world.frontier;
    // One tardy event: for the next twenty the partition counts no clock.
    world.arrive(0, 1_011, 1_020);
    world.arrive(1, 1_021, 1_020.2);
    const after = world.frontier;
    expect(after).toBeGreaterThanOrEqual(before);
    for (let at = 1_021; at < 1_040; at += 2) {
      world.arrive(0, 1_011, at);
      world.arrive(1, at, at + 1);
    }
    expect(world.frontier, 'p0 is tardy and holds it').toBe(after);
  });

  it('waits for a partition as long as its source says, and no clock of the broker moves it before', () => {
    const world = bounds(60_000);
    for (let at = 1_000; at < 1_050; at += 2) {
      world.arrive(0, at, at);
      world.arrive(1, at, at + 1);
    }
    for (let at = 1_050; at < 1_108; at += 2) world.arrive(1, at, at);
    expect(world.frontier, 'p0 was prompt, and had nothing for 58 s').toBe(1_043);
    world.arrive(1, 1_109, 1_109);
    expect(world.frontier, 'p0 had nothing for 61 s').toBeGreaterThan(1_100);
  });

  it('takes an event that comes before its own time for no later than its arrival', () => {
    const world = bounds();
    world.arrive(0, 5_000, 1_000);
    world.arrive(1, 5_000, 1_000.2);
    expect(world.frontier).toBeLessThanOrEqual(1_000);
  });

  it('knows no silence while a replay is open, and takes its clocks at their word', () => {
    const world = bounds();
    for (const of of [0, 1]) world.clock(of, 100, 9_000 + of / 10, true);
    world.arrive(0, 110, 9_001);
    world.arrive(1, 300, 9_100);
    expect(world.frontier, 'p0 was silent for 99 s').toBe(105);
    for (const of of [0, 1]) world.clock(of, 400, 9_100.2 + of / 10, false);
    expect(world.frontier).toBe(395);
    world.arrive(0, 400, 9_200);
    expect(world.frontier, 'all were silent').toBe(400);
  });
});
