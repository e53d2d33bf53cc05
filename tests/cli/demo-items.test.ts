import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inParts } from '../../cli/demo/items.ts';
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

describe('a replay in parts', () => {
  it('loses nothing, doubles nothing, and puts every event on its side, however batches fall', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.nat(50), { maxLength: 300 }), { maxLength: 8 }),
        fc.nat(60),
        fc.nat(60),
        async (batches, a, b) => {
          const [first, second] = [Math.min(a, b), Math.max(a, b)];
          const sorted = batches.flat().sort((x, y) => x - y);
          const rest = [...sorted];
          const part = inParts(stream(batches.map((batch) => rest.splice(0, batch.length))));
          expect(await times(part(({ time }) => time >= first))).toEqual(sorted.filter((t) => t < first));
          expect(await times(part(({ time }) => time >= second))).toEqual(
            sorted.filter((t) => t >= first && t < second),
          );
          expect(await times(part(() => false))).toEqual(sorted.filter((t) => t >= second));
        },
      ),
    );
  });

  it('ends a part soon after it was told to, not at the end of a batch', async () => {
    let told = false;
    const part = inParts(stream([Array.from({ length: 5_000 }, (_, i) => i)]));
    const taken: number[] = [];
    for await (const piece of part(() => told)) {
      taken.push(...piece.map(({ time }) => time));
      told = taken.length >= 500;
    }
    expect(taken.length).toBeLessThan(1_000);
    expect((await times(part(() => false)))[0]).toBe(taken.length);
  });
});
