import type { StoredFeature } from '../schemas/view.ts';
import { LIMB, type RowLayout } from './columns.ts';

/**
 * The number a feature is, from the aggregate of its window: NaN is null. `rows` holds it at `base`; `time` is the
 * request's. Every division of exact integers happens here, once.
 */
export type Finalizer = (rows: Float64Array, base: number, time: number) => number;

export function finalizerOf(feature: StoredFeature, layout: RowLayout): Finalizer {
  const slot = (k: number): number => {
    const column = feature.columns[k];
    const found = column === undefined ? undefined : layout.slots[column];
    if (found === undefined)
      throw new RangeError(`feature '${feature.name}' (${feature.aggregation}) lacks column ${k}`);
    return found;
  };
  const { scale } = feature;
  const a = slot(0);
  const present = layout.counts[feature.columns[0] as number] as number;
  switch (feature.aggregation) {
    case 'count':
      return (rows, base) => rows[base + a] as number;
    case 'sum':
      return (rows, base) => (rows[base + a] as number) / scale;
    case 'mean':
    case 'share': {
      const n = slot(1);
      return (rows, base) => {
        const count = rows[base + n] as number;
        return count === 0 ? Number.NaN : (rows[base + a] as number) / (count * scale);
      };
    }
    case 'min':
    case 'max':
      return (rows, base) => (rows[base + present] === 0 ? Number.NaN : (rows[base + a] as number) / scale);
    case 'variance':
    case 'stddev': {
      const n = slot(1);
      const square = slot(2);
      const limbs = feature.columns.length > 3;
      const low = limbs ? slot(3) : 0;
      const root = feature.aggregation === 'stddev';
      return (rows, base) => {
        const count = rows[base + n] as number;
        if (count === 0) return Number.NaN;
        const sum = rows[base + a] as number;
        const squares = rows[base + square] as number;
        const top = limbs
          ? spreadOfLimbs(count, sum, squares, rows[base + low] as number)
          : spread(count, sum, squares);
        const variance = top / (count * count * (scale * scale));
        return root ? Math.sqrt(variance) : variance;
      };
    }
    case 'last': {
      const value = slot(1);
      return (rows, base) =>
        rows[base + present] === 0 ? Number.NaN : (rows[base + value] as number) / scale;
    }
    case 'seconds_since_last':
      return (rows, base, time) =>
        rows[base + present] === 0 ? Number.NaN : (time - (rows[base + a] as number)) / 1000;
    default:
      throw new RangeError(`feature '${feature.name}': ${feature.aggregation} is not read from one row`);
  }
}

/** n * squares - sum^2, the exact integer rounded once to a double. */
export function spread(n: number, sum: number, squares: number): number {
  const left = n * squares;
  const right = sum * sum;
  if (left <= Number.MAX_SAFE_INTEGER && right <= Number.MAX_SAFE_INTEGER) return left - right;
  return Number(BigInt(n) * BigInt(squares) - BigInt(sum) * BigInt(sum));
}

/** The same where the sum of squares stands in two limbs. */
function spreadOfLimbs(n: number, sum: number, high: number, low: number): number {
  const squares = BigInt(high) * BigInt(LIMB) + BigInt(low);
  return Number(BigInt(n) * squares - BigInt(sum) * BigInt(sum));
}
