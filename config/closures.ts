import type { Scalar } from '../schemas/event.ts';
import type { EventScope } from '../schemas/project.ts';
import { type ExpressionNode, UnsupportedExpression } from './expression-node.ts';
import { FUNCTIONS, TEXT_METHODS } from './functions.ts';
import { compilePattern } from './pattern.ts';
import { checkZone } from './zone-literals.ts';

/**
 * Compiles a type-checked expression to nested closures: some 5 ns a node, and no allocation.
 *
 * Null is handled as SQL does, so that generated SQL can agree: an operator or function with a null
 * operand is null, `false && null` is false, `true || null` is true, and only `== null`, `!= null`,
 * `has` and `coalesce` look at null itself.
 */
export type Closure = (scope: EventScope) => Scalar | undefined;

export type Resolve = (name: string) => Closure;

export interface Names {
  readonly resolve: Resolve;
  readonly resolveMember: (name: string, key: string) => Closure;
}

type Binary = (a: never, b: never) => Scalar;

const BINARY: Readonly<Record<string, Binary>> = {
  '+': (a: number, b: number) => a + b,
  '-': (a: number, b: number) => a - b,
  '*': (a: number, b: number) => a * b,
  '/': (a: number, b: number) => a / b,
  '%': (a: number, b: number) => a % b,
  '<': (a: number, b: number) => a < b,
  '<=': (a: number, b: number) => a <= b,
  '>': (a: number, b: number) => a > b,
  '>=': (a: number, b: number) => a >= b,
  '==': (a: Scalar, b: Scalar) => a === b,
  '!=': (a: Scalar, b: Scalar) => a !== b,
};

const isNull = (value: unknown): value is null | undefined => value === null || value === undefined;
const isLiteral = (node: ExpressionNode) => node.op === 'value' && typeof node.args !== 'object';
const isNullLiteral = (node: ExpressionNode) => node.op === 'value' && node.args === null;

export function compileNode(node: ExpressionNode, names: Names): Closure {
  const args = node.args as readonly ExpressionNode[];
  switch (node.op) {
    case 'value':
      return literal(node);
    case 'id':
      return names.resolve(String(node.args));
    case '.':
      return member(node, names);
    case '!_': {
      const of = compileNode(node.args as ExpressionNode, names);
      return (scope) => {
        const value = of(scope);
        return isNull(value) ? null : !value;
      };
    }
    case '-_': {
      const inner = node.args as ExpressionNode;
      if (isLiteral(inner)) {
        const negative = -Number(inner.args);
        return () => negative;
      }
      const of = compileNode(inner, names);
      return (scope) => {
        const value = of(scope);
        return isNull(value) ? null : -(value as number);
      };
    }
    case '&&':
      return and(compileNode(at(args, 0), names), compileNode(at(args, 1), names));
    case '||':
      return or(compileNode(at(args, 0), names), compileNode(at(args, 1), names));
    case '?:':
      return choose(args, names);
    case 'in':
      return membership(node, args, names);
    case 'call':
      return call(node, names);
    case 'rcall':
      return method(node, names);
    default: {
      const operator = BINARY[node.op];
      if (operator !== undefined) return binary(node.op, operator, at(args, 0), at(args, 1), names);
      throw unsupported(node);
    }
  }
}

function at(args: readonly ExpressionNode[], index: number): ExpressionNode {
  const node = args[index];
  if (node === undefined) throw new RangeError(`an expression node has no operand ${index}`);
  return node;
}

function unsupported(node: ExpressionNode): UnsupportedExpression {
  return new UnsupportedExpression(
    node.start,
    `\`${node.op}\` cannot be used in an expression here.`,
    'Use fields, numbers, texts, operators and the functions of the reference.',
  );
}

function literal(node: ExpressionNode): Closure {
  const value = node.args;
  if (value !== null && typeof value === 'object') throw unsupported(node);
  const constant = value as Scalar;
  return () => constant;
}

function member(node: ExpressionNode, names: Names): Closure {
  const [group, key] = node.args as [ExpressionNode, string];
  if (group.op !== 'id') throw unsupported(node);
  return names.resolveMember(String(group.args), key);
}

function and(left: Closure, right: Closure): Closure {
  return (scope) => {
    const a = left(scope);
    if (a === false) return false;
    const b = right(scope);
    if (b === false) return false;
    return isNull(a) || isNull(b) ? null : true;
  };
}

function or(left: Closure, right: Closure): Closure {
  return (scope) => {
    const a = left(scope);
    if (a === true) return true;
    const b = right(scope);
    if (b === true) return true;
    return isNull(a) || isNull(b) ? null : false;
  };
}

function choose(args: readonly ExpressionNode[], names: Names): Closure {
  const condition = compileNode(at(args, 0), names);
  const yes = compileNode(at(args, 1), names);
  const no = compileNode(at(args, 2), names);
  return (scope) => {
    const value = condition(scope);
    if (isNull(value)) return null;
    return value === true ? yes(scope) : no(scope);
  };
}

function binary(
  op: string,
  operator: Binary,
  left: ExpressionNode,
  right: ExpressionNode,
  names: Names,
): Closure {
  if (op === '==' || op === '!=') {
    const tested = isNullLiteral(right) ? left : isNullLiteral(left) ? right : null;
    if (tested !== null) {
      const of = compileNode(tested, names);
      return op === '==' ? (scope) => isNull(of(scope)) : (scope) => !isNull(of(scope));
    }
  }
  const apply = operator as (a: Scalar, b: Scalar) => Scalar;
  const a = compileNode(left, names);
  if (isLiteral(right)) {
    const constant = right.args as Scalar;
    return (scope) => {
      const x = a(scope);
      return isNull(x) ? null : apply(x, constant);
    };
  }
  const b = compileNode(right, names);
  return (scope) => {
    const x = a(scope);
    if (isNull(x)) return null;
    const y = b(scope);
    return isNull(y) ? null : apply(x, y);
  };
}

function membership(node: ExpressionNode, args: readonly ExpressionNode[], names: Names): Closure {
  const list = at(args, 1);
  if (list.op !== 'list') throw unsupported(node);
  const values = new Set<unknown>();
  for (const one of list.args as readonly ExpressionNode[]) {
    if (one.op === '-_' && isLiteral(one.args as ExpressionNode))
      values.add(-Number((one.args as ExpressionNode).args));
    else if (isLiteral(one)) values.add(one.args);
    else
      throw new UnsupportedExpression(
        one.start,
        'A list after `in` holds plain texts and numbers only.',
        'Use `==` and `||` instead.',
      );
  }
  const of = compileNode(at(args, 0), names);
  return (scope) => {
    const value = of(scope);
    return isNull(value) ? null : values.has(value);
  };
}

const byName = new Map<string, Map<number, (...args: readonly Scalar[]) => Scalar>>();
for (const { signature, evaluate } of FUNCTIONS) {
  const name = signature.slice(0, signature.indexOf('('));
  const arity = signature.slice(signature.indexOf('(') + 1, signature.indexOf(')')).split(',').length;
  byName.set(name, (byName.get(name) ?? new Map()).set(arity, evaluate));
}

function call(node: ExpressionNode, names: Names): Closure {
  const [name, argNodes] = node.args as [string, readonly ExpressionNode[]];
  if (name === 'has_value') {
    const of = compileNode(at(argNodes, 0), names);
    return (scope) => !isNull(of(scope));
  }
  if (name === 'coalesce') {
    const first = compileNode(at(argNodes, 0), names);
    const second = compileNode(at(argNodes, 1), names);
    return (scope) => {
      const value = first(scope);
      return isNull(value) || Number.isNaN(value) ? second(scope) : value;
    };
  }
  const fn = byName.get(name)?.get(argNodes.length);
  if (fn === undefined)
    throw new UnsupportedExpression(
      node.start,
      `The function '${name}' cannot be used here.`,
      'The reference lists all functions.',
    );
  checkZone(name, argNodes);
  return applied(
    fn,
    argNodes.map((one) => compileNode(one, names)),
  );
}

function applied(fn: (...args: readonly Scalar[]) => Scalar, args: readonly Closure[]): Closure {
  const [a, b, c] = args;
  if (a !== undefined && b === undefined)
    return (scope) => {
      const x = a(scope);
      return isNull(x) ? null : fn(x);
    };
  if (a !== undefined && b !== undefined && c === undefined)
    return (scope) => {
      const x = a(scope);
      const y = b(scope);
      return isNull(x) || isNull(y) ? null : fn(x, y);
    };
  return (scope) => {
    const values: Scalar[] = [];
    for (const arg of args) {
      const value = arg(scope);
      if (isNull(value)) return null;
      values.push(value);
    }
    return fn(...values);
  };
}

function method(node: ExpressionNode, names: Names): Closure {
  const [name, receiver, argNodes] = node.args as [string, ExpressionNode, readonly ExpressionNode[]];
  if (name === 'matches') {
    const pattern = argNodes[0];
    if (pattern?.op !== 'value' || typeof pattern.args !== 'string')
      throw new UnsupportedExpression(
        node.start,
        '`matches` needs a pattern written as a text.',
        'Write the pattern in quotes.',
      );
    const test = compilePattern(pattern.args, pattern.start);
    return applied((text) => test(text as string), [compileNode(receiver, names)]);
  }
  const of = TEXT_METHODS[name];
  if (of === undefined)
    throw new UnsupportedExpression(
      node.start,
      `The method '${name}' cannot be used here.`,
      'The reference lists all methods of a text.',
    );
  return applied(of as (...args: readonly Scalar[]) => Scalar, [
    compileNode(receiver, names),
    ...argNodes.map((one) => compileNode(one, names)),
  ]);
}
