import type { Project } from './types.ts';

/** Where a value stands among those that a version learnt from. */
export interface Standing {
  /** Share of the rows below it, 0 to 1. */
  readonly rank: number;
  /** For a person. */
  readonly said: string;
  /** It lies outside all that was learnt from. */
  readonly strange: boolean;
}

/** @param quantiles least value, deciles, largest value. Null where nothing can be said. */
export function standingOf(value: number | null, quantiles: readonly number[] | null): Standing | null {
  const [least] = quantiles ?? [];
  const largest = quantiles?.at(-1);
  if (value === null || quantiles === null || least === undefined || largest === undefined) return null;
  if (value < least) return { rank: 0, said: 'below all that it learnt from', strange: true };
  if (value > largest) return { rank: 1, said: 'above all that it learnt from', strange: true };
  const steps = quantiles.length - 1;
  // A value that many rows share stands in the middle of them.
  const above = quantiles.findIndex((one) => one > value);
  const upper = above < 0 ? steps : above;
  const first = quantiles.indexOf(value);
  const rank =
    first >= 0 ? middle(first, quantiles.lastIndexOf(value), steps) : between(value, quantiles, upper, steps);
  return { rank, said: `above ${Math.round(rank * 100)} % of what it learnt from`, strange: false };
}

const middle = (first: number, last: number, steps: number): number => (first + last) / 2 / steps;

function between(value: number, quantiles: readonly number[], upper: number, steps: number): number {
  const [low, high] = [quantiles[upper - 1] ?? value, quantiles[upper] ?? value];
  return (upper - 1 + (value - low) / (high - low)) / steps;
}

type Reader = Pick<Project['models'][number], 'model' | 'reads' | 'features'>;

/**
 * The read that shows how the values of a view are spread: of the first model that has features of one. A model may read a view under
 * other names, and more than once; the read that brings most features tells most.
 */
export function readOf(
  models: readonly Reader[],
  view: string,
): { readonly model: string; readonly read: string } | null {
  for (const { model, reads, features } of models) {
    const counted = reads
      .filter((read) => read.view.split('@')[0] === view)
      .map(({ name }) => ({ name, count: features.filter(({ read }) => read === name).length }))
      .toSorted((a, b) => b.count - a.count);
    const [most] = counted;
    if (most !== undefined && most.count > 0) return { model, read: most.name };
  }
  return null;
}
