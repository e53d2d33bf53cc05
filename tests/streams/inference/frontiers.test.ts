import { beforeEach, describe, expect, it } from 'vitest';
import { encodeMeta, freshMeta, type ViewMeta } from '../../../processors/meta.ts';
import { keys } from '../../../schemas/names.ts';
import { Frontiers } from '../../../streams/inference/frontiers.ts';
import { HoldHints } from '../../../streams/inference/hold-hints.ts';
import { SnapshotReader } from '../../../streams/inference/snapshot.ts';
import { decodeHold } from '../../../streams/runtime/hold.ts';
import type { ViewPartition } from '../../../streams/runtime/partitions.ts';
import { createPlane, type Plane } from '../plane.ts';

let plane: Plane;
let T: number;

beforeEach(async () => {
  plane = await createPlane();
  T = plane.clock.now();
});

describe('the frontiers that requests wait for', () => {
  let of: ViewPartition;
  let frontiers: Frontiers;

  beforeEach(() => {
    const view = plane.view('zone');
    of = { view, partition: 0, key: keys.viewPartition(plane.project.prefix, view.id, 0) };
    frontiers = new Frontiers(new SnapshotReader(plane.store), [of], () => plane.clock.now());
  });

  async function put(meta: Partial<ViewMeta> | 'torn'): Promise<void> {
    const metaKey = keys.meta(of.key);
    await plane.store.remove([metaKey]);
    const next =
      meta === 'torn' ? Buffer.from('torn') : encodeMeta({ ...freshMeta('life', 0, false), ...meta });
    const nothing = { sets: [], appends: [], deletes: [], logTtlMs: 1e9, metaTtlMs: 1e9 };
    await plane.store.commit([{ metaKey, expected: null, next, ...nothing }]);
    await frontiers.look();
  }
  const wants = (head: number) => [{ of, entity: 'north', head }];

  it('is open once the frontier has come to the head, and for a request that reads nothing', async () => {
    expect([frontiers.reached(wants(T)), frontiers.reached([])]).toEqual([false, true]);
    await put({ frontier: T });
    expect([frontiers.reached(wants(T)), frontiers.reached(wants(T + 1))]).toEqual([true, false]);
    expect(frontiers.missing(wants(T + 1))).toContain(`frontier ${T}, head is ${T + 1}`);
  });

  it.each([
    'torn',
    { status: 'clearing', frontier: 9e15 },
    { status: 'building', frontier: 9e15 },
    { frontier: null },
  ] as const)('is shut where the state cannot be read: %j', async (meta) => {
    await put({ frontier: T });
    await put(meta);
    expect(frontiers.reached(wants(T))).toBe(false);
  });

  /*
   *  blocked      frontier moves      10 s          nothing moves: answered as live
   *     |---------------x--------------|
   */
  it('a frontier moves for ten seconds after it came further, and after the wait began', async () => {
    await put({ frontier: T });
    const since = plane.clock.now();
    plane.clock.time += 9_999;
    await frontiers.look();
    expect(frontiers.moves(wants(T + 1_000), since)).toBe(true);
    await put({ frontier: T + 1 });
    plane.clock.time += 9_999;
    await frontiers.look();
    expect(frontiers.moves(wants(T + 1_000), since)).toBe(true);
    plane.clock.time += 1;
    expect(frontiers.moves(wants(T + 1_000), since)).toBe(false);
    expect(frontiers.moves(wants(T + 1_000), plane.clock.now())).toBe(true);
    await put({ frontier: T - 500 }); // A rollback is no progress.
    expect(frontiers.moves(wants(T + 1_000), since)).toBe(false);
  });

  it('only frontiers that the request waits for count', async () => {
    await put({ frontier: T });
    expect(frontiers.moves(wants(T), T)).toBe(false);
  });
});

describe('hints of what may still be asked for', () => {
  const keyOf = (partition: number) => keys.hold(plane.project.prefix, plane.model.name, partition);
  const stored = async (partition = 0) => {
    const [[bytes = null] = []] = await plane.store.read([[keyOf(partition)]]);
    return bytes === null ? null : decodeHold(bytes);
  };

  it('are written where they changed, and not where nothing is known', async () => {
    const hints = new HoldHints(plane.store, keyOf);
    await hints.write(
      new Map([
        [0, T],
        [1, Number.NEGATIVE_INFINITY],
      ]),
    );
    expect([await stored(0), await stored(1)]).toEqual([T, null]);
    let commits = 0;
    const counting = new HoldHints(
      {
        read: (groups) => plane.store.read(groups),
        commit: (all) => {
          commits += 1;
          return plane.store.commit(all);
        },
      },
      keyOf,
    );
    await counting.write(new Map([[0, T + 1]]));
    await counting.write(new Map([[0, T + 1]]));
    expect([commits, await stored()]).toEqual([1, T + 1]);
  });

  it('a new owner goes on over what the one before wrote, and a lost race is made good the next time', async () => {
    const [a, b] = [new HoldHints(plane.store, keyOf), new HoldHints(plane.store, keyOf)];
    await a.write(new Map([[0, T]]));
    await b.write(new Map([[0, T + 5]]));
    await a.write(new Map([[0, T + 6]]));
    expect(await stored()).toBe(T + 5);
    await a.write(new Map([[0, T + 6]]));
    expect(await stored()).toBe(T + 6);
  });

  it('a store that is away or was emptied fails nobody', async () => {
    const hints = new HoldHints(plane.store, keyOf);
    await hints.write(new Map([[0, T]]));
    plane.store.setAvailable(false);
    await hints.write(new Map([[0, T + 1]]));
    plane.store.setAvailable(true);
    plane.store.clear();
    await hints.write(new Map([[0, T + 2]]));
    expect(await stored()).toBe(T + 2);
  });
});
