import { Environment } from '@marcbachmann/cel-js';
import type { FieldType, Scalar } from '../schemas/event.ts';
import type { EventScope } from '../schemas/project.ts';
import { type Closure, compileNode, type Resolve } from './closures.ts';
import { costOf, MAX_COST } from './cost.ts';
import { type ExpressionNode, UnsupportedExpression } from './expression-node.ts';
import { CONSTANTS, FUNCTIONS, NULL_FUNCTIONS } from './functions.ts';
import { mendOfUnknown } from './nearest.ts';

export type ExpressionType = 'number' | 'string' | 'bool';

/** What an expression may name: a value, or a group of values (`origin.late_1h`). */
export type ScopeTypes = Readonly<Record<string, ExpressionType | Readonly<Record<string, ExpressionType>>>>;

export interface CompiledExpression {
  readonly type: ExpressionType;
  /** Top-level names that the expression reads. */
  readonly names: readonly string[];
  /** Operations of one evaluation, at most; a name counts one for each time that it stands there. */
  readonly cost: number;
  /** How often each name stands in it. */
  readonly uses: ReadonlyMap<string, number>;
  readonly evaluate: (scope: EventScope) => Scalar;
}

/** What is wrong in an expression, and at which character of it. */
export interface ExpressionProblem {
  readonly offset: number;
  readonly message: string;
  readonly mend: string;
}

export type ExpressionResult =
  | { readonly ok: true; readonly expression: CompiledExpression }
  | { readonly ok: false; readonly problem: ExpressionProblem };

export interface ExpressionCompiler {
  /** Parses, checks types, and compiles. `expected` is the type that the place needs. */
  compile(text: string, expected: ExpressionType): ExpressionResult;
}

/**
 * CEL numbers are 64-bit integers or doubles, and never mix. An event's numbers are all doubles here,
 * so that `delay > 15` needs no `15.0`: integer literals become doubles before types are checked.
 */
const CEL_TYPE = { number: 'double', string: 'string', bool: 'bool' } as const;
const OUR_TYPE: Readonly<Record<string, ExpressionType>> = {
  double: 'number',
  string: 'string',
  bool: 'bool',
};

/** Declared names get a prefix inside CEL, which keeps `type`, `int`, `list` and more for itself. */
const MANGLE = 'f_';

const WORDS: Readonly<Record<string, string>> = {
  double: 'a number',
  int: 'a number',
  string: 'a text',
  bool: 'a condition',
  null: 'null',
};
const wordOf = (type: string) => WORDS[type] ?? (type.startsWith('$') ? 'a group of features' : `a ${type}`);

export function expressionTypeOf(type: FieldType): ExpressionType {
  if (type === 'string') return 'string';
  return type === 'bool' ? 'bool' : 'number';
}

interface MutableNode {
  op: string;
  args: unknown;
  setMeta(key: string, value: unknown): unknown;
}

function isNode(value: unknown): value is MutableNode {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value;
}

/** Integer literals to doubles, names mangled, `has(x)` of a plain name to a test for null. */
function prepare(value: unknown, names: Map<string, number>): void {
  if (Array.isArray(value)) {
    for (const one of value) prepare(one, names);
    return;
  }
  if (!isNode(value)) return;
  if (value.op === 'value') {
    if (typeof value.args === 'bigint') value.args = Number(value.args);
    return;
  }
  if (value.op === 'id') {
    const name = String(value.args);
    names.set(name, (names.get(name) ?? 0) + 1);
    value.args = MANGLE + String(value.args);
    return;
  }
  if (value.op === 'call' && Array.isArray(value.args) && value.args[0] === 'has') {
    value.args = ['has_value', value.args[1]];
    value.setMeta('macro', undefined);
  }
  prepare(value.args, names);
}

const SHORTER = 'Write a shorter one, or give its parts names of their own.';

const shown = (text: string) => (text.length > 200 ? `${text.slice(0, 200)}...` : text);

const unmangle = (text: string) => text.replaceAll(/\bf_(\w+)/g, '$1');

function newEnvironment(scope: ScopeTypes): Environment {
  const environment = new Environment();
  for (const fn of FUNCTIONS) environment.registerFunction(fn.signature, () => null);
  for (const { signatures } of NULL_FUNCTIONS)
    for (const signature of signatures)
      environment.registerFunction(signature.replace(/^has\(/, 'has_value('), () => null);
  for (const type of ['double', 'string', 'bool'])
    environment.registerOperator(`${type} == null`, () => false);
  environment.registerOperator('double % double', () => 0);
  for (const name of Object.keys(CONSTANTS))
    if (scope[name] === undefined) environment.registerVariable(MANGLE + name, 'double');
  for (const [name, type] of Object.entries(scope)) {
    if (typeof type === 'string') environment.registerVariable(MANGLE + name, CEL_TYPE[type]);
    else {
      const schema = Object.fromEntries(Object.entries(type).map(([key, one]) => [key, CEL_TYPE[one]]));
      environment.registerVariable({ name: MANGLE + name, schema });
    }
  }
  return environment;
}

/** A compiler for expressions over one scope. `derived` names stand for expressions compiled elsewhere. */
export function createExpressionCompiler(
  scope: ScopeTypes,
  derived: Readonly<Record<string, Closure>> = {},
): ExpressionCompiler {
  const environment = newEnvironment(scope);
  const functionNames = new Set(
    [...FUNCTIONS.map((fn) => fn.signature), ...NULL_FUNCTIONS.flatMap((fn) => fn.signatures)].map(
      (signature) => signature.split('(')[0] ?? '',
    ),
  );
  const resolve: Resolve = (mangled) => {
    const name = mangled.slice(MANGLE.length);
    const constant = scope[name] === undefined ? CONSTANTS[name] : undefined;
    if (constant !== undefined) return () => constant;
    return Object.hasOwn(derived, name) ? (derived[name] ?? fieldOf(name)) : fieldOf(name);
  };
  const resolveMember = (mangled: string, key: string): Closure => {
    const name = mangled.slice(MANGLE.length);
    return (values) => {
      const group = values[name];
      return typeof group === 'object' && group !== null ? (group[key] ?? null) : null;
    };
  };

  return {
    compile(text, expected) {
      try {
        return compile(text, expected);
      } catch (error) {
        // The stack is full.
        if (!(error instanceof RangeError)) throw error;
        const message = 'The expression is too long, or nested too deep.';
        return { ok: false, problem: { offset: 0, message, mend: SHORTER } };
      }
    },
  };

  function compile(text: string, expected: ExpressionType): ExpressionResult {
    const names = new Map<string, number>();
    const fail = (offset: number, message: string, mend: string): ExpressionResult => ({
      ok: false,
      problem: { offset, message, mend },
    });
    let parsed: ReturnType<Environment['parse']>;
    try {
      parsed = environment.parse(text);
    } catch (error) {
      const { range, summary } = error as { range?: { start: number }; summary?: string };
      if (summary === undefined) throw error;
      const what = summary
        .replace('Unexpected token: EOF', 'it ends too early')
        .replace(/^Unexpected/, 'unexpected');
      return fail(
        range?.start ?? 0,
        `The expression \`${shown(text)}\` cannot be read: ${what}.`,
        'Correct it here.',
      );
    }
    prepare(parsed.ast, names);
    const root = parsed.ast as unknown as ExpressionNode;
    const checked = parsed.check();
    if (!checked.valid) return { ok: false, problem: explain(checked.error, scope, functionNames, text) };
    const type = OUR_TYPE[checked.type ?? ''];
    if (type !== expected) {
      const mend =
        expected === 'bool'
          ? 'Compare it with something.'
          : expected === 'number' && type === 'bool'
            ? 'Use number(…) to count it as 1 or 0.'
            : `Write an expression that gives ${wordOf(CEL_TYPE[expected])}.`;
      return fail(
        0,
        `\`${shown(text)}\` is ${wordOf(checked.type ?? '')}, but ${wordOf(CEL_TYPE[expected])} is needed here.`,
        mend,
      );
    }
    const cost = costOf(root);
    if (cost > MAX_COST)
      return fail(0, `The expression takes ${cost} operations; ${MAX_COST} are allowed.`, SHORTER);
    try {
      const closure = compileNode(root, { resolve, resolveMember });
      return {
        ok: true,
        expression: {
          type: expected,
          names: [...names.keys()],
          uses: names,
          cost,
          evaluate: finish(closure, expected),
        },
      };
    } catch (error) {
      if (error instanceof UnsupportedExpression) return fail(error.offset, error.message, error.mend);
      throw error;
    }
  }
}

const accessors = new Map<string, Closure>();

/**
 * Reads one field. Each name has a function of its own, made from source, since V8 remembers the place of
 * a property by the code that reads it: a closure over the name is 5 times slower, at every operand.
 */
function fieldOf(name: string): Closure {
  let accessor = accessors.get(name);
  if (accessor === undefined) {
    if (!/^[a-z][a-z0-9_]*$/.test(name)) return (values) => values[name] as Scalar;
    accessor = new Function('scope', `return scope.${name};`) as Closure;
    accessors.set(name, accessor);
  }
  return accessor;
}

/** The value that leaves an expression: undefined and numbers that are none become null. */
function finish(closure: Closure, type: ExpressionType): (scope: EventScope) => Scalar {
  if (type === 'number')
    return (scope) => {
      const value = closure(scope);
      return typeof value === 'number' && Number.isFinite(value) ? value : null;
    };
  return (scope) => closure(scope) ?? null;
}

function explain(
  error: unknown,
  scope: ScopeTypes,
  functions: ReadonlySet<string>,
  text: string,
): ExpressionProblem {
  const { code, summary, node } = error as {
    code: string;
    summary: string;
    node?: { start?: number; op: string; args: unknown };
  };
  const offset = node?.start ?? 0;
  const said = unmangle(summary ?? String(error)).replaceAll('has_value', 'has');
  if (code === 'unknown_variable') {
    const name = said.replace(/^Unknown variable: /, '');
    return {
      offset,
      message: `The expression names '${name}', which is not known here.`,
      mend: mendOfUnknown(name, Object.keys(scope)),
    };
  }
  if (said.startsWith('Cannot index type'))
    return {
      offset,
      message: `\`${shown(text)}\` takes a field for a group of features.`,
      mend: "A feature is written <read>.<feature>; declare the read under 'reads:'.",
    };
  if (code === 'no_such_key' && Array.isArray(node?.args)) {
    const [group, key] = node.args as [{ op: string; args: unknown; end?: number }, string];
    const name = unmangle(String(group.args));
    const members = scope[name];
    const known = typeof members === 'object' ? Object.keys(members) : [];
    return { offset, message: `'${name}' has no feature '${key}'.`, mend: mendOfUnknown(key, known) };
  }
  const binary = /^no such overload: (\S+) (\S+) (\S+)$/.exec(said);
  if (binary !== null) {
    const [, left = '', operator = '', right = ''] = binary;
    return {
      offset,
      message: `\`${operator}\` does not work between ${wordOf(left)} and ${wordOf(right)}.`,
      mend: 'Compare and combine values of one type.',
    };
  }
  const unary = /^no such overload: (.)(\S+)$/.exec(said);
  if (unary !== null)
    return {
      offset,
      message: `\`${unary[1]}\` does not work on ${wordOf(unary[2] ?? '')}.`,
      mend: unary[1] === '!' ? 'Use it on a condition.' : 'Use it on a number.',
    };
  const call = /^found no matching overload for '(?:.*\.)?(\w+)\((.*)\)'$/.exec(said);
  if (call !== null) {
    const [, name = '', args = ''] = call;
    if (!functions.has(name))
      return { offset, message: `There is no function '${name}'.`, mend: mendOfUnknown(name, functions) };
    const given = args === '' ? 'nothing' : args.split(', ').map(wordOf).join(', ');
    const forms = [...FUNCTIONS.map((fn) => fn.signature), ...NULL_FUNCTIONS.flatMap((fn) => fn.signatures)]
      .filter((signature) => signature.startsWith(`${name}(`))
      .map((signature) =>
        signature
          .replace(/: \w+$/, '')
          .replaceAll('double', 'number')
          .replaceAll('string', 'text')
          .replaceAll('bool', 'condition'),
      );
    return {
      offset,
      message: `'${name}' cannot take ${given}.`,
      mend: `It is called as ${forms.join(' or ')}.`,
    };
  }
  if (code === 'invalid_logical_operand')
    return {
      offset,
      message: '`&&` and `||` need a condition on both sides.',
      mend: 'Compare the value with something.',
    };
  return { offset, message: `The expression \`${shown(text)}\` is wrong: ${said}.`, mend: 'Correct it.' };
}
