/**
 * Lets at most `limit` different values through and folds every later one into `other`, so that no
 * input can grow the number of time series without end.
 */
export function labelBound(limit: number): (value: string) => string {
  const seen = new Set<string>();
  return (value) => {
    if (seen.has(value)) return value;
    if (seen.size >= limit) return 'other';
    seen.add(value);
    return value;
  };
}
