import {
  type Document,
  isMap,
  isNode,
  isScalar,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  visit,
  type YAMLError,
  type YAMLMap,
} from 'yaml';
import type { Problem } from './problems.ts';

const MAX_ALIASES = 10_000;

export type Path = ReadonlyArray<string | number>;

/** Where in a file something is declared: the file and the keys that lead there. */
export interface Place {
  readonly document: ConfigDocument;
  readonly path: Path;
}

/** One YAML file, with the means to say where in it a thing stands. */
export interface ConfigDocument {
  readonly file: string;
  readonly value: unknown;
  /** Problem at a path; `offset` counts characters into a text value, `key` points at the key instead of the value. */
  problemAt(path: Path, message: string, mend: string, where?: { offset?: number; key?: boolean }): Problem;
}

function pairAt(map: YAMLMap, key: string | number): Pair | undefined {
  return map.items.find((pair) => (isScalar(pair.key) ? pair.key.value : pair.key) === key);
}

/** Character offset in the file of character `offset` of a scalar's value. */
function offsetInScalar(source: string, node: unknown, offset: number): number {
  if (!isNode(node) || !node.range) return 0;
  const [start, end] = node.range;
  if (!isScalar(node) || typeof node.value !== 'string' || offset === 0) {
    const quoted = source[start] === '"' || source[start] === "'";
    return quoted && offset === 0 && isScalar(node) ? start + 1 : start;
  }
  const opening = source[start] === '"' || source[start] === "'" ? 1 : 0;
  if (source.startsWith(node.value, start + opening)) return start + opening + offset;
  // A block, folded or escaped text: find the words around the place, in order.
  const before = node.value
    .slice(0, offset)
    .split(/\s+/)
    .filter((word) => word !== '');
  let at = source[start] === '|' || source[start] === '>' ? source.indexOf('\n', start) : start;
  for (const word of before) {
    const found = source.indexOf(word, at);
    if (found < 0 || found > end) return start;
    at = found + word.length;
  }
  while (at < end && /\s/.test(source[at] ?? '') && !/\s/.test(node.value[offset] ?? 'x')) at += 1;
  return Math.min(at, end);
}

/** What the parser says of a text, for a person. */
function told({ code, message }: YAMLError): Pick<Problem, 'message' | 'mend'> {
  if (code === 'MULTIPLE_DOCS')
    return {
      message: 'The file holds a second document.',
      mend: "Put it into a file of its own, or remove '---'.",
    };
  if (message.startsWith('Maximum call stack'))
    return {
      message: 'This is nested too deep.',
      mend: 'Write it with fewer lists and blocks inside each other.',
    };
  return {
    message: `This is not YAML: ${message.replace(/\s+/g, ' ').replace(/\.$/, '')}.`,
    mend: code === 'DUPLICATE_KEY' ? 'Remove one of the two.' : 'Correct the line.',
  };
}

interface Fault extends Pick<Problem, 'message' | 'mend'> {
  readonly node: Node;
}

/** What is YAML, and yet no declaration: aliases that repeat nothing, or themselves, and a key that would get lost on the way. */
function faultsOf(parsed: Document): Fault[] {
  const faults: Fault[] = [];
  visit(parsed, {
    Alias(_, node, above) {
      const target = node.resolve(parsed);
      if (target === undefined)
        faults.push({
          node,
          message: `The alias '*${node.source}' repeats nothing.`,
          mend: `Write '&${node.source}' before the value that it should repeat.`,
        });
      else if (above.includes(target))
        faults.push({
          node,
          message: `The alias '*${node.source}' stands inside the value that it repeats.`,
          mend: 'Write the value out.',
        });
    },
    Pair(_, { key }) {
      if (isScalar(key) && key.value === '__proto__')
        faults.push({ node: key, message: "'__proto__' is not a name.", mend: 'Choose another one.' });
    },
  });
  return faults;
}

/** Undefined, and a fault more, where values that repeat values that repeat values would fill the memory. */
function readValue(parsed: Document, faults: Fault[]): unknown {
  try {
    return parsed.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    const message = `Its aliases repeat more than ${MAX_ALIASES} values.`;
    faults.push({ node: parsed.contents as Node, message, mend: 'Write fewer of them inside each other.' });
    return undefined;
  }
}

export function parseConfig(file: string, source: string): { document: ConfigDocument; problems: Problem[] } {
  const lines = new LineCounter();
  const parsed = parseDocument(source, { lineCounter: lines, prettyErrors: false, strict: true });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const faults = parsed.errors.length > 0 ? [] : faultsOf(parsed);
  const value = parsed.errors.length + faults.length > 0 ? undefined : readValue(parsed, faults);
  const document: ConfigDocument = {
    file,
    value,
    problemAt(path, message, mend, where = {}) {
      let node: unknown = parsed.contents;
      let offset = isNode(node) && node.range ? node.range[0] : 0;
      for (const [index, key] of path.entries()) {
        if (!isNode(node)) break;
        const last = index === path.length - 1;
        const pair = isMap(node) ? pairAt(node, key) : undefined;
        if (last && where.key === true && pair !== undefined && isNode(pair.key) && pair.key.range) {
          return { file, ...at(pair.key.range[0]), message, mend };
        }
        const next: unknown = isMap(node) ? pair?.value : parsed.getIn(path.slice(0, index + 1), true);
        if (!isNode(next)) break;
        node = next;
        if (next.range) offset = next.range[0];
        if (last) offset = offsetInScalar(source, next, where.offset ?? 0);
      }
      return { file, ...at(offset), message, mend };
    },
  };
  // After a line that is no YAML the rest is guessed at: only the first such error tells the truth.
  const first = parsed.errors.findIndex((error) => error.code !== 'DUPLICATE_KEY');
  const errors = first < 0 ? parsed.errors : parsed.errors.slice(0, first + 1);
  const problems = [
    ...errors.map((error) => ({ file, ...at(error.pos[0]), ...told(error) })),
    ...faults.map(({ node, message, mend }) => ({ file, ...at(node.range?.[0] ?? 0), message, mend })),
  ];
  return { document, problems };
}
