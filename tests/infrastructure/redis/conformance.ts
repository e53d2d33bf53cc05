import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Commit, OnlineStore } from '../../../infrastructure/redis/port.ts';

const bytes = (...values: number[]) => Uint8Array.from(values);
const plain = (value: Uint8Array | null | undefined) => (value == null ? null : [...value]);
let places = 0;
const newPlace = () => `mr:{test.${process.pid}.${Math.random().toString(36).slice(2)}:${places++}}`;

function commitTo(place: string, parts: Partial<Commit>): Commit {
  return {
    metaKey: `${place}:meta`,
    expected: null,
    next: bytes(1),
    sets: [],
    appends: [],
    deletes: [],
    logTtlMs: 60_000,
    metaTtlMs: 60_000,
    ...parts,
  };
}

export interface TestedStore {
  readonly store: OnlineStore;
  /** Drops all keys, as a server does whose memory is full and whose policy allows it. */
  evictAll(): Promise<void>;
}

/** What every online store must do: the twin and the real one pass the same. */
export function checkStore(name: string, open: () => Promise<TestedStore>): void {
  describe(`online store: ${name}`, () => {
    let store: OnlineStore;
    let evictAll: TestedStore['evictAll'];
    beforeAll(async () => {
      ({ store, evictAll } = await open());
    });
    afterAll(() => store.close());

    it('appends, sets, deletes and writes the meta in one commit', async () => {
      const place = newPlace();
      const [a, b, c, meta] = [`${place}:w:a`, `${place}:w:b|é`, `${place}:w:c`, `${place}:meta`];
      const first = commitTo(place, {
        appends: [
          [a, bytes(1, 2)],
          [b, bytes(0, 255, 13, 10)],
          [c, bytes(9)],
        ],
      });
      expect(await store.commit([first])).toEqual([{ status: 'committed', lengths: [2, 4, 1] }]);
      const second = commitTo(place, {
        expected: bytes(1),
        next: bytes(2, 0),
        deletes: [c],
        sets: [[b, bytes(7)]],
        appends: [
          [a, bytes(3)],
          [b, bytes(8, 8)],
          [c, bytes(5)],
        ],
      });
      expect(await store.commit([second])).toEqual([{ status: 'committed', lengths: [3, 3, 1] }]);
      const [values] = await store.read([[meta, a, b, c, `${place}:w:none`]]);
      expect(values?.map(plain)).toEqual([[2, 0], [1, 2, 3], [7, 8, 8], [5], null]);
    });

    it('writes nothing where the meta is not what was read', async () => {
      const place = newPlace();
      const key = `${place}:w:a`;
      await store.commit([commitTo(place, { next: bytes(1, 2, 3), appends: [[key, bytes(1)]] })]);
      for (const expected of [null, bytes(1, 2), bytes(1, 2, 4), bytes(), bytes(1, 2, 3, 0)]) {
        const late = commitTo(place, {
          expected,
          next: bytes(9),
          appends: [[key, bytes(9)]],
          deletes: [key],
        });
        expect(await store.commit([late])).toEqual([{ status: 'conflict' }]);
      }
      const [values] = await store.read([[`${place}:meta`, key]]);
      expect(values?.map(plain)).toEqual([[1, 2, 3], [1]]);
      const stranger = commitTo(newPlace(), { expected: bytes(1) });
      expect(await store.commit([stranger])).toEqual([{ status: 'conflict' }]);
    });

    it('takes keys of entities with any character', async () => {
      const place = newPlace();
      const names = [
        '',
        ' ',
        ':',
        '|',
        '{',
        '}',
        '}{',
        '\n',
        '\r\n',
        '\0',
        'a\0b',
        '*',
        '?',
        '[a]',
        '\\',
        'ü',
        '\u{1f680}',
        'x'.repeat(1_024),
      ];
      const keys = names.map((name) => `${place}:w:${name}`);
      await store.commit([
        commitTo(place, { next: bytes(1), appends: keys.map((key, i) => [key, bytes(i)] as const) }),
      ]);
      const [values] = await store.read([keys]);
      expect(values?.map(plain)).toEqual(names.map((_, i) => [i]));
    });

    it('tells an empty meta from none', async () => {
      const place = newPlace();
      await store.commit([commitTo(place, { next: bytes() })]);
      expect(await store.commit([commitTo(place, { expected: null })])).toEqual([{ status: 'conflict' }]);
      const answer = await store.commit([commitTo(place, { expected: bytes() })]);
      expect(answer).toEqual([{ status: 'committed', lengths: [] }]);
    });

    it('answers commits of several slots in order, each by itself', async () => {
      const places = [newPlace(), newPlace(), newPlace()] as const;
      await store.commit([commitTo(places[1], { next: bytes(5) })]);
      const answers = await store.commit(
        places.map((place, i) => commitTo(place, { appends: [[`${place}:w:x`, new Uint8Array(i + 1)]] })),
      );
      expect(answers).toEqual([
        { status: 'committed', lengths: [1] },
        { status: 'conflict' },
        { status: 'committed', lengths: [3] },
      ]);
      const groups = await store.read(places.map((place) => [`${place}:meta`, `${place}:w:x`]));
      expect(groups.map((group) => group.map(plain))).toEqual([
        [[1], [0]],
        [[5], null],
        [[1], [0, 0, 0]],
      ]);
      expect(await store.commit([])).toEqual([]);
      expect(await store.read([])).toEqual([]);
      expect(await store.read([[], [`${places[1]}:meta`]])).toHaveLength(2);
    });

    it('lets one of two commits from the same reading through', async () => {
      const place = newPlace();
      const key = `${place}:w:a`;
      const rivals = await Promise.all(
        [1, 2, 3, 4].map((n) =>
          store.commit([commitTo(place, { next: bytes(n), appends: [[key, bytes(n)]] })]),
        ),
      );
      expect(rivals.flat().filter((answer) => answer.status === 'committed')).toHaveLength(1);
      const [values] = await store.read([[`${place}:meta`, key]]);
      expect(plain(values?.[0])).toEqual(plain(values?.[1]));
    });

    it('lets logs and meta expire, and a touch lives on', async () => {
      const place = newPlace();
      const [a, b] = [`${place}:w:a`, `${place}:w:b`];
      await store.commit([
        commitTo(place, { appends: [[a, bytes(1)]], sets: [[b, bytes(1)]], logTtlMs: 300 }),
      ]);
      const second = {
        expected: bytes(1),
        next: bytes(2),
        appends: [[a, bytes(2)]],
        metaTtlMs: 900,
      } as const;
      await store.commit([commitTo(place, second)]);
      await sleep(450);
      const read = async () => (await store.read([[`${place}:meta`, a, b]]))[0]?.map(plain);
      expect(await read()).toEqual([[2], [1, 2], null]);
      await sleep(600);
      expect(await read()).toEqual([null, [1, 2], null]);
    });

    it('keeps what was read as it was when the log grows', async () => {
      const place = newPlace();
      const key = `${place}:w:a`;
      await store.commit([commitTo(place, { appends: [[key, bytes(1, 2)]] })]);
      const [before] = await store.read([[key]]);
      await store.commit([commitTo(place, { expected: bytes(1), appends: [[key, bytes(3)]] })]);
      await store.commit([commitTo(place, { expected: bytes(1), sets: [[key, bytes(4, 5)]] })]);
      expect(plain(before?.[0])).toEqual([1, 2]);
    });

    it('refuses keys of several slots, keys of none, and too much at once', async () => {
      const place = newPlace();
      const other = newPlace();
      const bad: Partial<Commit>[] = [
        { appends: [[`${other}:w:a`, bytes(1)]] },
        { sets: [[`${other}:w:a`, bytes(1)]] },
        { deletes: [`${other}:w:a`] },
        { metaKey: 'no-slot' },
        { appends: Array.from({ length: 501 }, (_, i) => [`${place}:w:${i}`, bytes(1)] as const) },
        { appends: [[`${place}:w:a`, new Uint8Array(600 * 1024)]] },
        { logTtlMs: 0 },
      ];
      for (const parts of bad) {
        await expect(store.commit([commitTo(place, parts)])).rejects.toMatchObject({
          code: 'bad_request',
          retriable: false,
        });
      }
      await expect(store.read([[`${place}:meta`, `${other}:meta`]])).rejects.toMatchObject({
        code: 'bad_request',
      });
      expect(await store.read([[`${place}:meta`]])).toEqual([[null]]);
    });

    it('takes 500 keys at once', async () => {
      const place = newPlace();
      const appends = Array.from(
        { length: 500 },
        (_, i) => [`${place}:w:${i}`, new Uint8Array(i + 1)] as const,
      );
      const [answer] = await store.commit([commitTo(place, { appends })]);
      expect(answer).toEqual({ status: 'committed', lengths: appends.map(([, value]) => value.length) });
      const [values] = await store.read([appends.map(([key]) => key)]);
      expect(values?.map((value) => value?.length)).toEqual(appends.map(([, value]) => value.length));
    });

    it('finds, weighs and removes the keys of a prefix, and only those', async () => {
      const place = newPlace();
      const near = `${place.slice(0, -1)}0}`;
      const odd = `mr:{[a*?\\${places}}`;
      const keys = [`${place}:w:a`, `${place}:w:b`];
      await store.commit([
        commitTo(place, { appends: keys.map((key) => [key, new Uint8Array(100)] as const) }),
      ]);
      await store.commit([commitTo(near, {}), commitTo(odd, {})]);
      const found = async (prefix: string) => {
        const keys: string[] = [];
        for await (const key of store.scan(prefix)) keys.push(key);
        return keys.sort();
      };
      expect(await found(place)).toEqual([`${place}:meta`, ...keys].sort());
      expect(await found(odd)).toEqual([`${odd}:meta`]);
      const usage = await store.usage(place);
      expect(usage.keys).toBe(3);
      expect(usage.bytes).toBeGreaterThan(200);
      await store.remove(keys);
      await store.remove([]);
      expect(await found(place)).toEqual([`${place}:meta`]);
      expect(await found(near)).toEqual([`${near}:meta`]);
    });

    it('counts dropped keys, and tears a state whose log must be begun after that', async () => {
      const place = newPlace();
      const meta = `${place}:meta`;
      const [a, b] = [`${place}:w:a`, `${place}:w:b`];
      const [before] = await store.evictions([meta]);
      if (before === undefined) throw new Error('the store counts no evictions');
      const begin = { evictions: before, appends: [[a, bytes(1)]] } as const;
      expect(await store.commit([commitTo(place, begin)])).toMatchObject([{ status: 'committed' }]);
      expect(await store.evictions([meta, a])).toEqual([before, before]);
      await evictAll();
      const [after] = await store.evictions([meta]);
      expect(after?.server).toBe(before.server);
      expect(after?.keys).toBeGreaterThan(before.keys);
      const again = { evictions: before, appends: [[b, bytes(1)]] } as const;
      expect(await store.commit([commitTo(place, again)])).toEqual([
        { status: 'torn', detail: expect.stringContaining('evicted keys') },
      ]);
      expect((await store.read([[meta]]))[0]?.map(plain)).toEqual([[...Buffer.from('torn')]]);
      // A life that began afterwards is whole; so is one whose logs are all there.
      const anew = { expected: Buffer.from('torn'), evictions: after ?? null, deletes: [b] };
      expect(await store.commit([commitTo(place, { ...anew, appends: [[b, bytes(7)]] })])).toMatchObject([
        { status: 'committed' },
      ]);
      const grown = { expected: bytes(1), evictions: before, appends: [[b, bytes(8)]] } as const;
      expect(await store.commit([commitTo(place, grown)])).toEqual([{ status: 'committed', lengths: [2] }]);
      const stranger = { ...before, server: 'another', keys: 1_000_000 };
      expect(
        await store.commit([
          commitTo(place, { expected: bytes(1), evictions: stranger, appends: [[a, bytes(1)]] }),
        ]),
      ).toMatchObject([{ status: 'torn' }]);
    });

    it('agrees with a plain model over random histories', async () => {
      const entity = fc.constantFrom('a', 'b', 'c');
      const value = fc.uint8Array({ minLength: 0, maxLength: 6 });
      const step = fc.record({
        stale: fc.boolean(),
        next: fc.uint8Array({ minLength: 1, maxLength: 3 }),
        sets: fc.uniqueArray(fc.tuple(entity, value), { selector: ([key]) => key, maxLength: 3 }),
        appends: fc.uniqueArray(fc.tuple(entity, value), { selector: ([key]) => key, maxLength: 3 }),
        deletes: fc.uniqueArray(entity, { maxLength: 2 }),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
          const place = newPlace();
          const model = new Map<string, number[]>();
          let meta: Uint8Array | null = null;
          for (const { stale, next, sets, appends, deletes } of steps) {
            const named = (list: ReadonlyArray<readonly [string, Uint8Array]>) =>
              list.map(([key, bytes]) => [`${place}:w:${key}`, bytes] as const);
            const [answer] = await store.commit([
              commitTo(place, {
                expected: stale ? bytes(255, 255, 255, 255) : meta,
                next,
                sets: named(sets),
                appends: named(appends),
                deletes: deletes.map((key) => `${place}:w:${key}`),
              }),
            ]);
            if (stale) {
              expect(answer).toEqual({ status: 'conflict' });
              continue;
            }
            meta = next;
            for (const key of deletes) model.delete(key);
            for (const [key, bytes] of sets) model.set(key, [...bytes]);
            const lengths = appends.map(([key, bytes]) => {
              const grown: number[] = [...(model.get(key) ?? []), ...bytes];
              model.set(key, grown);
              return grown.length;
            });
            expect(answer).toEqual({ status: 'committed', lengths });
          }
          const [values] = await store.read([
            [`${place}:meta`, ...['a', 'b', 'c'].map((key) => `${place}:w:${key}`)],
          ]);
          const expected = ['a', 'b', 'c'].map((key) => model.get(key) ?? null);
          expect(values?.map(plain)).toEqual([plain(meta), ...expected]);
        }),
        { numRuns: 40 },
      );
    });
  });
}
