/** Values beyond a slicing's `atMost` are one slice of this name. */
export const OTHER = 'other';

export interface BoundedSlices {
  /** Values before any were put together. */
  readonly values: number;
  /** The slice of a value: itself where it is one of the largest, else OTHER. */
  of(value: string): string;
}

/**
 * Keeps the `atMost` values with the most rows and puts the rest together, so that a field with a value for each customer
 * makes no figure for each. Of two equally large ones the first by name is kept: the same rows always give the same slices.
 */
export function boundSlices(values: Iterable<string | null>, atMost: number): BoundedSlices {
  const counts = new Map<string, number>();
  for (const value of values) if (value !== null) counts.set(value, (counts.get(value) ?? 0) + 1);
  if (counts.size <= atMost) return { values: counts.size, of: (value) => value };
  const largest = [...counts]
    .sort(([a, rows], [b, others]) => others - rows || (a < b ? -1 : 1))
    .slice(0, atMost);
  const kept = new Set(largest.map(([value]) => value));
  return { values: counts.size, of: (value) => (kept.has(value) ? value : OTHER) };
}
