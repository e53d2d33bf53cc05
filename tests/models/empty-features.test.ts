import { describe, expect, it } from 'vitest';
import { emptyFeatures, emptyFeaturesSentence } from '../../models/empty-features.ts';

describe('features that are null in every row', () => {
  it('are named, and told in a sentence', () => {
    const rows = Float64Array.from([1, Number.NaN, Number.NaN, 2, Number.NaN, 3]);
    expect(emptyFeatures(rows, ['a', 'b', 'c'])).toEqual(['b']);
    expect(emptyFeatures(new Float64Array(0), ['a'])).toEqual([]);
    expect(emptyFeaturesSentence([])).toBeNull();
    expect(emptyFeaturesSentence(['b'])).toContain('1 feature is null in every row');
    expect(emptyFeaturesSentence(Array.from({ length: 14 }, (_, i) => `f${i}`))).toContain('f11 and 2 more');
  });
});
