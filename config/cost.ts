import type { ExpressionNode } from './expression-node.ts';

/**
 * Bounds of what expressions may cost, in operations of some 5 to 20 ns. Expressions know no loops, so one takes at most the operations
 * that stand in it; computed features that use one another take those of all that they use, once for each time that they are named.
 */
export const MAX_COST = 1_000;
/** Of one computed feature, with all that it uses. */
export const MAX_COST_OF_FEATURE = 10_000;

const isNode = (value: unknown): value is ExpressionNode =>
  typeof value === 'object' && value !== null && 'op' in value && 'args' in value;

/** Operations, calls, names and constants of an expression. A list after `in` is looked up, not walked: it counts one. */
export function costOf(node: ExpressionNode): number {
  if (node.op === 'value' || node.op === 'id' || node.op === 'list') return 1;
  return 1 + costOfAll(node.args);
}

function costOfAll(value: unknown): number {
  if (Array.isArray(value)) return value.reduce((sum: number, one) => sum + costOfAll(one), 0);
  return isNode(value) ? costOf(value) : 0;
}
