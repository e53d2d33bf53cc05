/** A parsed and checked node: an operator and its operands. */
export interface ExpressionNode {
  readonly op: string;
  readonly args: unknown;
  readonly start: number;
  /** Set by the type checker. */
  readonly checkedType?: { readonly name: string };
}

/** CEL that is well-typed but has no place in a feature: maps, lists as values, comprehensions, patterns that could take for ever. */
export class UnsupportedExpression extends Error {
  readonly offset: number;
  readonly mend: string;
  constructor(offset: number, message: string, mend: string) {
    super(message);
    this.name = 'UnsupportedExpression';
    this.offset = offset;
    this.mend = mend;
  }
}
