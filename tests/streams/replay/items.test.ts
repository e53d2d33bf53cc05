import { describe, expect, it } from 'vitest';
import { MergedItems, type ReplayItem } from '../../../streams/replay/items.ts';

const item = (time: number, place: number): ReplayItem => ({
  place,
  time,
  key: 'k',
  event: null,
  bytes: null,
});

async function* batches(times: readonly number[], size: number): AsyncGenerator<readonly ReplayItem[]> {
  for (let at = 0; at < times.length; at += size) {
    yield [];
    yield times.slice(at, at + size).map((time, i) => item(time, at + i));
  }
}

async function merged(inputs: Readonly<Record<string, readonly number[]>>, size: number) {
  const open = await MergedItems.open(
    Object.entries(inputs).map(([source, times]) => ({ source, items: batches(times, size) })),
  );
  const order: string[] = [];
  for await (const { source, items } of open.read())
    for (const { time } of items) order.push(`${source}${time}`);
  return order;
}

describe('the items of several sources', () => {
  for (const size of [1, 2, 3, 100])
    it(`are merged by event time, batches of ${size}`, async () => {
      expect(await merged({ a: [1, 4, 5, 9], b: [2, 3, 6, 7, 8] }, size)).toEqual(
        'a1 b2 b3 a4 a5 b6 b7 b8 a9'.split(' '),
      );
    });

  it('keep their order inside a source, so that what was late is late again', async () => {
    expect(await merged({ a: [1, 8, 2, 9], b: [3, 7, 10] }, 2)).toEqual('a1 b3 b7 a8 a2 a9 b10'.split(' '));
  });

  it('say where each source begins before anything is read', async () => {
    const open = await MergedItems.open([
      { source: 'a', items: batches([5, 1], 1) },
      { source: 'b', items: batches([7], 1) },
      { source: 'none', items: batches([], 1) },
    ]);
    expect([...open.firstTimes()]).toEqual([
      ['a', 5],
      ['b', 7],
    ]);
  });

  it('let go of their readers when nobody reads on', async () => {
    let closed = 0;
    async function* endless(): AsyncGenerator<readonly ReplayItem[]> {
      try {
        for (let n = 0; ; n += 1) yield [item(n, n)];
      } finally {
        closed += 1;
      }
    }
    const open = await MergedItems.open([
      { source: 'a', items: endless() },
      { source: 'b', items: endless() },
    ]);
    await open.close();
    expect(closed).toBe(2);
  });
});
