import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { blockOf, settle, startCut } from '../../../models/rollout/blocks.ts';

/** Ends and rows of the blocks that these times are cut into; settled after each stop. */
function blocksOf(times: readonly number[], stops: readonly number[], completeTo: number) {
  const cut = startCut(10, 3, 5);
  const blocks: [end: number, rows: number][] = [];
  const close = (block: { rows: number }, end: number) => void blocks.push([end, block.rows]);
  times.forEach((time, i) => {
    const block = blockOf(cut, time, 0, close);
    if (block !== null) block.rows++;
    // All below the next row's cell has come.
    if (stops.includes(i)) settle(cut, Math.floor((times[i + 1] ?? completeTo) / 10) * 10, close);
  });
  settle(cut, completeTo, close);
  return { blocks, late: cut.late };
}

describe('blocks of event time', () => {
  //  time    0    5        10         20    30   40         50
  //  rows      late 6 7 8  |11        |     |31  |41 42 43  |
  //  blocks        [  1    ][           2             ][ not full by 45, but ends at 50
  it('go on until they are full', () => {
    expect(blocksOf([1, 6, 7, 8, 11, 31, 33, 41, 42, 43], [], 45)).toEqual({
      blocks: [
        [10, 3],
        [40, 3],
      ],
      late: 1,
    });
    expect(blocksOf([1, 6, 7, 8, 11, 31, 33, 41, 42, 43], [], 50).blocks.at(-1)).toEqual([50, 3]);
  });

  it('leave a row out whose block was closed', () => {
    expect(blocksOf([6, 7, 8, 21, 9, 22, 23], [], 30)).toEqual({
      blocks: [
        [10, 3],
        [30, 3],
      ],
      late: 1,
    });
  });

  it('law: do not depend on when somebody asks for what is complete', () => {
    const times = fc
      .array(fc.integer({ min: 0, max: 300 }), { maxLength: 60 })
      .map((all) => all.sort((a, b) => a - b));
    fc.assert(
      fc.property(times, fc.array(fc.integer({ min: 0, max: 60 })), (all, stops) => {
        const once = blocksOf(all, [], 400);
        expect(blocksOf(all, stops, 400)).toEqual(once);
        const seen = once.blocks.reduce((sum, [, rows]) => sum + rows, 0);
        expect(seen + once.late).toBeLessThanOrEqual(all.length);
        expect(once.late).toBe(all.filter((time) => time < 5).length);
      }),
    );
  });
});
