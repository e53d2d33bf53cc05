import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { splitItems } from '../../cli/demo/items.ts';
import type { ReplayItem } from '../../streams/replay/replay.ts';

const item = (time: number): ReplayItem => ({ place: time, time, key: 'k', event: null, bytes: null });

async function* stream(batches: readonly (readonly number[])[]) {
  for (const batch of batches) yield batch.map(item);
}

async function times(items: AsyncIterable<readonly ReplayItem[]>): Promise<number[]> {
  const all: number[] = [];
  for await (const batch of items) all.push(...batch.map(({ time }) => time));
  return all;
}

describe('a replay cut in two', () => {
  it('loses nothing, doubles nothing, and puts every event on its side, however batches fall', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.nat(50), { maxLength: 5 }), { maxLength: 8 }),
        fc.nat(60),
        async (batches, at) => {
          const sorted = batches.flat().sort((a, b) => a - b);
          const rest = [...sorted];
          const cut = batches.map((batch) => rest.splice(0, batch.length));
          const { before, after } = splitItems(stream(cut), at);
          expect(await times(before)).toEqual(sorted.filter((time) => time < at));
          expect(await times(after)).toEqual(sorted.filter((time) => time >= at));
        },
      ),
    );
  });
});
