import { beforeEach, describe, expect, it } from 'vitest';
import type { KafkaRecord } from '../../../infrastructure/kafka/port.ts';
import { logInfo } from '../../../processors/log-layout.ts';
import { encodeMeta } from '../../../processors/meta.ts';
import { keys } from '../../../schemas/names.ts';
import type { Section } from '../../../schemas/records/block.ts';
import { HOUR, MINUTE, SECOND } from '../../../schemas/time.ts';
import { beginState, isBuilding } from '../../../streams/features/begin-state.ts';
import { compactGrown, type Grown } from '../../../streams/features/compaction.ts';
import type { FeaturesContext } from '../../../streams/features/context.ts';
import { foldRecords } from '../../../streams/features/fold.ts';
import type { OwnedView } from '../../../streams/features/view-partition.ts';
import { SnapshotReader } from '../../../streams/inference/snapshot.ts';
import { createPlane, type Plane } from '../plane.ts';
import { featuresContext, owned, sectionOf, setHints } from './context.ts';

let plane: Plane;
let context: FeaturesContext;
let state: OwnedView;
let T: number;

beforeEach(async () => {
  plane = await createPlane();
  context = await featuresContext(plane);
  state = owned(plane, plane.view('zone'));
  T = plane.clock.now();
  const { bytes, meta } = await beginState({ ...context }, state, null);
  [state.expected, state.meta] = [bytes, meta];
});

const section = (times: readonly number[], more: Parameters<typeof sectionOf>[3] = {}): Section =>
  sectionOf(plane, state.view, times, more);
const other = (runningMax: number, more: Partial<Section> = {}): Section =>
  section([], { partition: 1, to: -1, runningMax, ...more });

function block(offset: number, ...sections: Section[]): KafkaRecord {
  const value = plane.codecs.blocks.encode({ format: 1, sections });
  return { topic: state.topic, partition: 0, offset, key: null, value, headers: null, appendTime: T };
}

describe('the state that a view partition goes on from', () => {
  const stored = async () => (await plane.store.read([[keys.meta(state.key)]]))[0]?.[0] ?? null;
  const logKey = () => keys.log(state.key, 'w', 'north');

  async function putLog(): Promise<void> {
    const folded = foldRecords(context, state, [block(0, section([T]))]);
    await plane.store.commit([folded.commit]);
    [state.expected, state.meta] = [folded.commit.next, folded.meta];
    expect((await plane.store.read([[logKey()]]))[0]?.[0]).not.toBeNull();
  }

  it('is the one that the store has, where that is whole', async () => {
    const begun = await beginState(context, state, await stored());
    expect(begun.meta.life).toBe(state.meta.life);
  });

  it.each(['gone', 'torn', 'being cleared'] as const)(
    'where it is %s a new life begins, and every log of the old one is deleted',
    async (how) => {
      await putLog();
      const { life } = state.meta;
      const put = async (next: Uint8Array) =>
        plane.store.commit([
          {
            metaKey: keys.meta(state.key),
            expected: await stored(),
            next,
            sets: [],
            appends: [],
            deletes: [],
            logTtlMs: 1e9,
            metaTtlMs: 1e9,
          },
        ]);
      if (how === 'gone') await plane.store.remove([keys.meta(state.key)]);
      else if (how === 'torn') await put(Buffer.from('torn'));
      else await put(Buffer.from(JSON.stringify({ format: 3, ...state.meta, status: 'clearing' })));
      const begun = await beginState(context, state, await stored());
      expect([begun.meta.status, begun.meta.next, begun.meta.life === life]).toEqual(['ready', 0, false]);
      expect((await plane.store.read([[logKey()]]))[0]?.[0]).toBeNull();
      expect(Buffer.compare((await stored()) ?? new Uint8Array(), begun.bytes)).toBe(0);
    },
  );

  it('where its server has dropped keys a new life begins, and readers refuse the old one meanwhile', async () => {
    await putLog();
    const snapshots = new SnapshotReader(plane.store);
    const of = { view: state.view, partition: 0, key: state.key };
    const read = async (entity: string) =>
      (await snapshots.read([{ of, entities: [entity] }]))[0]?.unreadable;
    const frontier = { ...state.meta, frontier: T };
    await plane.store.commit([
      { ...foldRecords(context, state, []).commit, next: encodeMeta(frontier), appends: [] },
    ]);
    expect(await read('north')).toBeNull();
    // One that was never seen has no log either.
    expect(await read('nowhere')).toBeNull();
    plane.store.evict([logKey()]);
    expect(await read('north')).toBe('torn');
    const begun = await beginState(context, state, await stored());
    expect([begun.meta.status, begun.meta.next]).toEqual(['ready', 0]);
    expect(begun.meta.life).not.toBe(state.meta.life);
    expect(begun.meta.evictions).toEqual({ server: 'memory', keys: 1 });
    // The new life knows of what was dropped before it.
    const again = await beginState(context, state, begun.bytes);
    expect(again.meta.life).toBe(begun.meta.life);
  });

  it('of an older release takes what the server counts now', async () => {
    const { evictions: _, ...older } = state.meta;
    const begun = await beginState(context, state, Buffer.from(JSON.stringify({ format: 3, ...older })));
    expect(begun.meta).toEqual({ ...older, evictions: { server: 'memory', keys: 0 } });
  });

  it('of a log that was cut begins where the log begins, with a base to come', async () => {
    await putLog();
    const begun = await beginState(context, state, await stored(), { cutAt: 40 });
    expect([begun.meta.next, begun.meta.baseOpen, begun.meta.frontier]).toEqual([40, true, null]);
  });

  it('is not taken from under another owner', async () => {
    const old = await stored();
    await putLog();
    await expect(beginState(context, state, old, { cutAt: 1 })).rejects.toMatchObject({
      code: 'contended',
      retriable: true,
    });
    expect((await plane.store.read([[logKey()]]))[0]?.[0]).not.toBeNull();
  });

  it('of a backfill that writes is told apart', async () => {
    const building = Buffer.from(JSON.stringify({ format: 3, ...state.meta, status: 'building' }));
    expect([
      isBuilding(building),
      isBuilding(await stored()),
      isBuilding(null),
      isBuilding(Buffer.from('torn')),
    ]).toEqual([true, false, false, false]);
  });
});

describe('compaction of what has grown', () => {
  /** Commits an hour of events of one zone, ten seconds apart, in many segments. */
  async function grow(): Promise<Grown> {
    let grown: Grown | null = null;
    for (let i = 0; i < 30; i += 1) {
      const times = Array.from({ length: 12 }, (_, k) => T + (i * 12 + k) * 10 * SECOND);
      const records = [block(i, section(times, { from: i * 12 }), other(times.at(-1) ?? T))];
      const { commit, meta } = foldRecords(context, state, records);
      const [result] = await plane.store.commit([commit]);
      if (result?.status !== 'committed') throw new Error('it is committed');
      [state.expected, state.meta] = [commit.next, meta];
      state.kept.note(meta);
      grown = { state, commit, result };
    }
    if (grown === null) throw new Error('there was a commit');
    return grown;
  }
  const log = async () =>
    (await plane.store.read([[keys.log(state.key, 'w', 'north')]]))[0]?.[0] ?? new Uint8Array();

  it('keeps heads readable down to the slack, where readers have passed it', async () => {
    const grown = await grow();
    await setHints(plane, T + 2 * HOUR, T + 2 * HOUR);
    await context.readers.look();
    const before = (await log()).byteLength;
    expect(await compactGrown(context, [grown])).toEqual([]);
    expect((await log()).byteLength).toBeLessThan(before);
    const frontier = state.meta.frontier ?? 0;
    expect(logInfo(await log()).oldestExactHead).toBe(Math.floor((frontier - 4 * MINUTE) / 10_000) * 10_000);
  });

  it('keeps them down to what the slowest reader may ask for', async () => {
    const grown = await grow();
    await setHints(plane, T + 30 * MINUTE, T + 20 * MINUTE);
    await context.readers.look();
    await compactGrown(context, [grown]);
    expect(logInfo(await log()).oldestExactHead).toBe(
      Math.floor((T + 20 * MINUTE - state.view.readDelay) / 10_000) * 10_000,
    );
  });

  it('writes nothing over a state that somebody else has set, and says so', async () => {
    const grown = await grow();
    await setHints(plane, T + 2 * HOUR, T + 2 * HOUR);
    await context.readers.look();
    const before = await log();
    state.expected = Buffer.from('another');
    expect(await compactGrown(context, [grown])).toEqual([state]);
    expect(Buffer.compare(await log(), before)).toBe(0);
  });
});
