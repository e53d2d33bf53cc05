/** A point of the unit cube as parameters of a trainer. */
import type { SearchDimension, SearchSpace } from '../../schemas/search.ts';
import type { Parameters } from '../trainer.ts';
import { createSobol } from './sobol.ts';

/** @param u in [0, 1). */
export function valueAt(dimension: SearchDimension, u: number): number | string | readonly number[] {
  if (dimension.kind === 'choice') {
    const { values } = dimension;
    return values[Math.min(values.length - 1, Math.floor(u * values.length))] as number | string;
  }
  const { low, high, log, kind } = dimension;
  // Whole numbers: each gets a stretch as wide as its neighbours', on the scale that is searched.
  const [from, to] = kind === 'whole' ? [low - (log ? 0 : 0.5), high + (log ? 1 : 0.5)] : [low, high];
  const value = log ? Math.exp(Math.log(from) + u * (Math.log(to) - Math.log(from))) : from + u * (to - from);
  const own = kind === 'real' ? value : log ? Math.floor(value) : Math.round(value);
  return Math.min(high, Math.max(low, own));
}

/** The parameters of each trial, by its number from 0: a function of the space and its seed alone. */
export function trialsOf(space: SearchSpace): (trial: number) => Parameters {
  // By name, so that the order in the file does not matter.
  const dimensions = Object.entries(space.parameters).sort(([a], [b]) => (a < b ? -1 : 1));
  if (dimensions.length === 0) return () => ({});
  const sobol = createSobol(dimensions.length, space.seed);
  return (trial) => {
    const point = sobol.point(trial);
    return Object.fromEntries(
      dimensions.map(([name, dimension], d) => [name, valueAt(dimension, point[d] ?? 0)]),
    );
  };
}
