import { describe, expect, it } from 'vitest';
import { discreteBinning, LEVELS, quantileBinning } from '../../../models/drift/binning.ts';
import { sharesOf } from '../../../models/drift/shares.ts';
import { summariseNumbers, summariseWords } from '../../../models/drift/summary.ts';

describe('two windows side by side', () => {
  it('of numbers in ten cells by the quantiles of the reference, and what is missing', () => {
    const binning = quantileBinning(LEVELS.map((level) => level * 100));
    const before = summariseNumbers(
      Array.from({ length: 1_000 }, (_, i) => i / 10),
      binning,
    );
    const now = summariseNumbers([5, 5, 95, Number.NaN], binning);
    const shares = sharesOf(before, now);
    expect(shares?.cells).toHaveLength(11);
    expect([shares?.cells[0], shares?.cells[1], shares?.cells[9], shares?.cells[10]]).toEqual([
      '< 10',
      '10 – 20',
      '≥ 90',
      'missing',
    ]);
    for (const share of shares?.reference.slice(0, 10) ?? []) expect(share).toBeCloseTo(0.1, 2);
    expect(shares?.current).toEqual([0.5, 0, 0, 0, 0, 0, 0, 0, 0, 0.25, 0.25]);
  });

  it('of few values one by one; what falls between them is told apart', () => {
    const binning = discreteBinning([0, 1]);
    const shares = sharesOf(summariseNumbers([0, 0, 0, 1], binning), summariseNumbers([1, 0.5], binning));
    expect(shares).toEqual({
      cells: ['0', '1', 'others'],
      reference: [0.75, 0.25, 0],
      current: [0, 0.5, 0.5],
    });
  });

  it('of words the most frequent ones, the rest together', () => {
    const known = Array.from({ length: 12 }, (_, i) => `w${i}`);
    const before = summariseWords(known, known);
    const now = summariseWords(['w11', 'w11', 'new', null], known);
    const shares = sharesOf(before, now);
    expect(shares?.cells).toHaveLength(12);
    expect(shares?.cells[0]).toBe('w11');
    expect(shares?.cells.slice(-2)).toEqual(['others', 'missing']);
    expect(shares?.current).toEqual([0.5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.25, 0.25]);
    expect(shares?.reference.reduce((sum, one) => sum + one, 0)).toBeCloseTo(1, 2);
  });

  it('are nothing where one has no rows, or they are of two kinds', () => {
    const none = summariseNumbers([], discreteBinning([0, 1]));
    const some = summariseNumbers([1], discreteBinning([0, 1]));
    expect(sharesOf(none, some)).toBeNull();
    expect(sharesOf(some, summariseWords(['a'], ['a']))).toBeNull();
  });
});
