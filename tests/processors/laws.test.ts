import fc from 'fast-check';
import { describe, it } from 'vitest';
import { AGGREGATIONS, COLUMN_KINDS } from '../../schemas/view.ts';
import { buildView } from './build-view.ts';
import { dice } from './harness.ts';
import { checkAggregator, checkMerge } from './laws.ts';
import { AROUND, contributionsOf, historyOf, INPUTS } from './random-views.ts';

const HOUR = 3_600_000;

describe.each(AGGREGATIONS)('%s', (aggregation) => {
  it.each([
    ['of signed amounts', 0, false, null],
    ['of amounts beyond 2^26', 2, true, null],
    ['by a second time', 0, false, 7 * HOUR],
  ] as const)('%s does not depend on order, batches or compaction', (_, input, limbs, maxDelay) => {
    const view = buildView({
      inputs: INPUTS,
      maxDelay,
      windows: [HOUR, 6 * HOUR, 24 * HOUR].map((length) => ({
        aggregation,
        input: aggregation === 'distinct' ? 3 : input,
        length,
        limbs,
        halfLife: length / 3,
        quantile: 0.7,
      })),
    });
    fc.assert(
      fc.property(fc.nat(80), fc.integer(), (count, seed) => {
        const history = historyOf(view, count, dice(seed), AROUND, AROUND);
        checkAggregator(view, contributionsOf(view, history), AROUND, seed);
      }),
      { numRuns: 40 },
    );
  });
});

describe('merging rows', () => {
  it.each(COLUMN_KINDS)('of %s is commutative and associative', (kind) => {
    checkMerge([{ kind, input: 0 }], kind.startsWith('square_') ? 2 ** 36 : 1000);
  });

  it('of all kinds over two inputs is too', () => {
    const kinds = COLUMN_KINDS.filter((kind) => !kind.startsWith('square_'));
    checkMerge(
      kinds.flatMap((kind) => [
        { kind, input: 1 },
        { kind, input: 0 },
      ]),
      1000,
    );
  });
});
