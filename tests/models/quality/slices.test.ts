import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boundSlices, OTHER } from '../../../models/quality/slices.ts';

describe('slices of a field with many values', () => {
  it('keeps the largest and puts the rest together', () => {
    const rows = ['a', 'b', 'b', 'c', 'c', 'c', 'd', null, 'd'];
    const bounded = boundSlices(rows, 2);
    expect(bounded.values).toBe(4);
    // b and d have two rows each: the first by name is kept.
    expect(['a', 'b', 'c', 'd'].map(bounded.of)).toEqual([OTHER, 'b', 'c', OTHER]);
  });

  it('leaves few values as they are, an `other` of the field included', () => {
    const bounded = boundSlices(['other', 'a'], 2);
    expect(['other', 'a'].map(bounded.of)).toEqual(['other', 'a']);
  });

  it('loses no row and never makes more slices than one beside the largest, whatever the order', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'other')),
        fc.integer({ min: 1, max: 7 }),
        (rows, atMost) => {
          const bounded = boundSlices(rows, atMost);
          const slices = new Set(rows.map(bounded.of));
          expect(slices.size).toBeLessThanOrEqual(atMost + 1);
          const backwards = boundSlices([...rows].reverse(), atMost);
          expect(rows.map(backwards.of)).toEqual(rows.map(bounded.of));
        },
      ),
    );
  });
});
