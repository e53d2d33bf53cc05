import { describe, expect, it } from 'vitest';
import { decodeMeta, encodeMeta } from '../../processors/meta.ts';
import { keys } from '../../schemas/names.ts';
import { DAY } from '../../schemas/time.ts';
import { auditViews } from './audited.ts';
import { history } from './history.ts';

describe('contributions = applied + refused', () => {
  it('names the partition whose state took one too few', { timeout: 30_000 }, async () => {
    const { world } = await history({ seed: 5, trips: 60, faults: [], faultEveryMs: 1 });
    for (const one of await auditViews(world)) {
      expect(one).toMatchObject({ off: [], without: [], waiting: 0 });
      expect(one.contributions).toBeGreaterThan(0);
      expect(one.contributions).toBe(one.applied + one.refused);
    }
    const [view] = world.project.views;
    if (view === undefined) throw new Error('no view');
    const metaKey = keys.meta(keys.viewPartition(world.project.prefix, view.id, 1));
    const [[expected = null] = []] = await world.store.read([[metaKey]]);
    if (expected === null) throw new Error('no meta');
    const meta = decodeMeta(expected);
    const next = encodeMeta({ ...meta, applied: meta.applied - 1 });
    await world.store.commit([
      { metaKey, expected, next, sets: [], appends: [], deletes: [], logTtlMs: DAY, metaTtlMs: DAY },
    ]);
    expect((await auditViews(world)).map(({ off }) => off)).toEqual([[1], []]);
  });
});
