import { isMap, isNode, isScalar, LineCounter, type Pair, parseDocument, type YAMLMap } from 'yaml';
import type { Problem } from './problems.ts';

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

export function parseConfig(file: string, source: string): { document: ConfigDocument; problems: Problem[] } {
  const lines = new LineCounter();
  const parsed = parseDocument(source, { lineCounter: lines, prettyErrors: false, strict: true });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const document: ConfigDocument = {
    file,
    value: parsed.errors.length > 0 ? undefined : parsed.toJS(),
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
  const broken = parsed.errors.findIndex((error) => error.code !== 'DUPLICATE_KEY');
  const errors = broken < 0 ? parsed.errors : parsed.errors.slice(0, broken + 1);
  const problems = errors.map((error) => ({
    file,
    ...at(error.pos[0]),
    message: `This is not YAML: ${error.message.replace(/\s+/g, ' ').replace(/\.$/, '')}.`,
    mend: error.code === 'DUPLICATE_KEY' ? 'Remove one of the two.' : 'Correct the line.',
  }));
  return { document, problems };
}
