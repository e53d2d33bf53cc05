import { parseAst } from 'vitest/node';
import { read } from './sources.ts';

/** A function of a source file. */
export interface SourceFunction {
  /** `name` of a function, `Class.name` of a method, `(anonymous)` of one without a name. */
  readonly name: string;
  /** First line, counted from 1. */
  readonly line: number;
  /** Number of lines from its first to its last, both counted. */
  readonly lines: number;
  /** Every call inside, callbacks included, in the order in which a straight run evaluates them. */
  readonly calls: readonly Call[];
}

export interface Call {
  /** The function or method called: `flush` of `context.checkpoint.flush(...)`. */
  readonly name: string;
  /** The first argument, where it is a plain name. */
  readonly firstArgument: string | null;
  readonly awaited: boolean;
}

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && 'type' in value && 'start' in value;

const nodesIn = (value: unknown): Node[] =>
  isNode(value) ? [value] : Array.isArray(value) ? value.filter(isNode) : [];

const childrenOf = (node: Node): Node[] =>
  Object.values(node)
    .flatMap(nodesIn)
    .sort((a, b) => a.start - b.start);

/** A private name begins with `#`. */
const textOf = (value: unknown): string | null =>
  isNode(value) && typeof value.name === 'string'
    ? `${value.type === 'PrivateIdentifier' ? '#' : ''}${value.name}`
    : null;

const isFunction = ({ type }: Node) =>
  /^(?:FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(type);

/** All functions of a file, nested ones too, in the order in which they begin. */
export function functionsOf(file: string, code = read(file)): SourceFunction[] {
  const lineEnds = [...code.matchAll(/\n/g)].map(({ index }) => index);
  const lineAt = (at: number) => lineEnds.filter((end) => end < at).length + 1;
  const found: SourceFunction[] = [];
  const walk = (node: Node, name: string | null, owner: string | null): void => {
    if (isFunction(node)) {
      const line = lineAt(node.start);
      const own = textOf(node.id) ?? name ?? '(anonymous)';
      found.push({
        name: owner === null ? own : `${owner}.${own}`,
        line,
        lines: lineAt(node.end) - line + 1,
        calls: callsIn(node),
      });
    }
    const named = textOf(node.key) ?? textOf(node.id);
    for (const child of childrenOf(node)) {
      // A name is handed only to the value that it names.
      const value = child === node.value || child === node.init;
      const inClass = node.type === 'ClassBody' ? name : null;
      if (node.type === 'ClassDeclaration') walk(child, textOf(node.id), null);
      else if (node.type === 'ClassBody') walk(child, null, inClass);
      else walk(child, value ? named : null, node.type === 'MethodDefinition' ? owner : null);
    }
  };
  for (const node of nodesIn(parseAst(code, { lang: 'ts' }).body)) walk(node, null, null);
  return found;
}

/** Arguments before their call, as they are evaluated. */
function callsIn(node: Node, awaited = false): Call[] {
  const inside = childrenOf(node).flatMap((child) => callsIn(child, node.type === 'AwaitExpression'));
  if (node.type !== 'CallExpression') return inside;
  const callee = node.callee;
  const name = textOf(callee) ?? (isNode(callee) ? textOf(callee.property) : null);
  if (name === null) return inside;
  const [first] = Array.isArray(node.arguments) ? node.arguments : [];
  return [...inside, { name, firstArgument: textOf(first), awaited }];
}
