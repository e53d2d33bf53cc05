import type { ColumnSummary, Comparison } from './types.ts';

/** Compares one column of two windows. */
export function driftOf(reference: ColumnSummary, current: ColumnSummary, minRows = 1): Comparison {
  void [reference, current, minRows];
  throw new Error('not yet');
}
