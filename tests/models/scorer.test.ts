import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createScorer } from '../../models/scorer.ts';
import { NAMES, randomArtefact, syntheticDataset } from './fixtures.ts';

describe('scorer', () => {
  it('law: scoring a batch is scoring each row, bit for bit, however it is cut', () => {
    const { rows } = syntheticDataset(60, 9);
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.integer({ min: 1, max: 25 }), { minLength: 1, maxLength: 10 }),
        fc.constantFrom('none', 'platt', 'isotonic'),
        (seed, cuts, kind) => {
          const artefact = randomArtefact(
            seed,
            kind === 'platt'
              ? { kind, slope: 1.1, intercept: 0.2 }
              : kind === 'isotonic'
                ? { kind, logits: [-2, 0, 1], rates: [0.1, 0.4, 0.8] }
                : { kind: 'none' },
          );
          const scorer = createScorer(artefact);
          const whole = new Float64Array(60);
          scorer.scoreBatch(rows, 60, whole);
          let from = 0;
          for (let cut = 0; from < 60; cut++) {
            const n = Math.min(60 - from, cuts[cut % cuts.length] ?? 1);
            const part = new Float64Array(n);
            scorer.scoreBatch(rows.subarray(from * NAMES.length), n, part);
            expect(part).toEqual(whole.subarray(from, from + n));
            from += n;
          }
          const single = createScorer(artefact);
          for (let row = 59; row >= 0; row--) {
            const vector = rows.slice(row * NAMES.length, (row + 1) * NAMES.length);
            expect(single.score(vector)).toBe(whole[row]);
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it('leaves its input unchanged, and gives a probability for any vector', () => {
    const scorer = createScorer(randomArtefact(2));
    fc.assert(
      fc.property(fc.array(fc.double(), { minLength: NAMES.length, maxLength: NAMES.length }), (values) => {
        const vector = Float64Array.from(values);
        const score = scorer.score(vector);
        expect(vector).toEqual(Float64Array.from(values));
        expect(score).toBeGreaterThanOrEqual(0);
        expect(score).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('refuses vectors of another width', () => {
    const scorer = createScorer(randomArtefact(3));
    expect(() => scorer.score(new Float64Array(NAMES.length - 1))).toThrow('4 values');
    expect(() => scorer.scoreBatch(new Float64Array(NAMES.length), 2, new Float64Array(2))).toThrow(
      'do not fit',
    );
  });
});
