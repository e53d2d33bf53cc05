import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createForest, type Forest } from '../../../models/trees/forest.ts';
import { createForestShapley } from '../../../models/trees/shapley.ts';

const FEATURES = 4;

type Grown = { readonly leaf: number; readonly rows: number } | Asked;
interface Asked {
  readonly feature: number;
  readonly bound: number;
  readonly nullLeft: boolean;
  readonly left: Grown;
  readonly right: Grown;
}

const tree = fc.letrec<{ node: Grown }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.record({ leaf: fc.integer({ min: -20, max: 20 }), rows: fc.integer({ min: 1, max: 50 }) }),
    fc.record({
      feature: fc.nat({ max: FEATURES - 1 }),
      bound: fc.integer({ min: 0, max: 4 }),
      nullLeft: fc.boolean(),
      left: tie('node'),
      right: tie('node'),
    }),
  ),
})).node;

/** A null, or a value on either side of the bounds. */
const value = fc.oneof(fc.constant(Number.NaN), fc.integer({ min: -1, max: 5 }));

function flatten(trees: readonly Grown[]): Forest {
  const feature: number[] = [];
  const threshold: number[] = [];
  const left: number[] = [];
  const right: number[] = [];
  const nullLeft: number[] = [];
  const leaves: number[] = [];
  const leafRows: number[] = [];
  const place = (one: Grown): number => {
    if ('leaf' in one) {
      leafRows.push(one.rows);
      return ~(leaves.push(one.leaf) - 1);
    }
    const node = feature.push(one.feature) - 1;
    threshold.push(one.bound);
    nullLeft.push(one.nullLeft ? 1 : 0);
    left.push(0);
    right.push(0);
    left[node] = place(one.left);
    right[node] = place(one.right);
    return node;
  };
  const roots = trees.map(place);
  return {
    features: FEATURES,
    precision: 'double',
    bias: 3,
    roots: Int32Array.from(roots),
    feature: Int32Array.from(feature),
    threshold: Float64Array.from(threshold),
    left: Int32Array.from(left),
    right: Int32Array.from(right),
    nullLeft: Uint8Array.from(nullLeft),
    leaves: Float64Array.from(leaves),
    leafRows: Int32Array.from(leafRows),
  };
}

const rowsOf = (one: Grown): number => ('leaf' in one ? one.rows : rowsOf(one.left) + rowsOf(one.right));

/** Mean of a tree where only the features of `known` (a bit each) are known. */
function expected(one: Grown, row: readonly number[], known: number): number {
  if ('leaf' in one) return one.leaf;
  const { feature, bound, nullLeft, left, right } = one;
  if ((known >> feature) & 1) {
    const x = row[feature] as number;
    const goesLeft = Number.isNaN(x) ? nullLeft : x <= bound;
    return expected(goesLeft ? left : right, row, known);
  }
  const [l, r] = [rowsOf(left), rowsOf(right)];
  return (l * expected(left, row, known) + r * expected(right, row, known)) / (l + r);
}

const factorial = (n: number): number => (n <= 1 ? 1 : n * factorial(n - 1));

/** Shapley values by their definition, over all sets of features. */
function bruteForce(trees: readonly Grown[], row: readonly number[]): number[] {
  const worth = (known: number) => trees.reduce((sum, one) => sum + expected(one, row, known), 0);
  return Array.from({ length: FEATURES }, (_, feature) => {
    let sum = 0;
    for (let set = 0; set < 1 << FEATURES; set++) {
      if ((set >> feature) & 1) continue;
      const size = set.toString(2).replaceAll('0', '').length;
      const weight = (factorial(size) * factorial(FEATURES - size - 1)) / factorial(FEATURES);
      sum += weight * (worth(set | (1 << feature)) - worth(set));
    }
    return sum;
  });
}

describe('Shapley values of trees', () => {
  it('are those of the definition, over all sets of features', () => {
    fc.assert(
      fc.property(
        fc.array(tree, { minLength: 1, maxLength: 3 }),
        fc.tuple(value, value, value, value),
        (trees, row) => {
          const found = createForestShapley(flatten(trees))?.valuesOf(Float64Array.from(row));
          bruteForce(trees, row).forEach((wanted, feature) => {
            expect(found?.[feature]).toBeCloseTo(wanted, 9);
          });
        },
      ),
      { numRuns: 300 },
    );
  });

  it('and the mean of the training rows sum to the log odds of the row', () => {
    fc.assert(
      fc.property(fc.array(tree, { maxLength: 3 }), fc.tuple(value, value, value, value), (trees, row) => {
        const forest = flatten(trees);
        const vector = Float64Array.from(row);
        const shapley = createForestShapley(forest);
        const sum = shapley?.valuesOf(vector).reduce((total, one) => total + one, shapley.base);
        expect(sum).toBeCloseTo(createForest(forest).logit(vector, 0), 9);
      }),
      { numRuns: 100 },
    );
  });

  it('are not told of trees that came without rows, or are too deep', () => {
    const { leafRows: _, ...without } = flatten([{ leaf: 1, rows: 1 }]);
    expect(createForestShapley(without)).toBeNull();
    let deep: Grown = { leaf: 1, rows: 1 };
    for (let i = 0; i < 65; i++)
      deep = { feature: 0, bound: i, nullLeft: false, left: { leaf: 0, rows: 1 }, right: deep };
    expect(createForestShapley(flatten([deep]))).toBeNull();
  });
});
