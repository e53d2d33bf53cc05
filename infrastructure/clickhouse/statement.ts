import { createHash } from 'node:crypto';
import type { SqlParameters } from './port.ts';

/**
 * Text of a statement as it goes into the body of a request. An HTTP server refuses long addresses (Node and nginx
 * above 16 and 8 kB, often without a word), so neither values, nor columns, nor rows ever travel in one.
 */

/** Quoted texts, quoted names and comments, in which nothing is replaced, or a placeholder `{name:Type}`. */
const PIECES =
  /'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.|``)*`|"(?:[^"\\]|\\.|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|\{\s*(\w+)\s*:([^{}]+)\}/g;

/** The statement with its `{name:Type}` placeholders filled in. Those without a parameter stay, for ClickHouse to complain of. */
export function bindParameters(sql: string, parameters: SqlParameters): string {
  if (Object.keys(parameters).length === 0) return sql;
  return sql.replace(PIECES, (piece, name?: string, type?: string) => {
    const value = name === undefined ? undefined : parameters[name];
    if (value === undefined || type === undefined) return piece;
    const text = literalOf(value);
    return type.trim() === 'String' && typeof value === 'string'
      ? text
      : `CAST(${text}, ${quoted(type.trim())})`;
  });
}

function literalOf(value: SqlParameters[string]): string {
  if (typeof value === 'string') return quoted(value);
  if (typeof value === 'number') return numberOf(value);
  if (typeof value === 'boolean') return String(value);
  return `[${value.map((one) => (typeof one === 'string' ? quoted(one) : numberOf(one))).join(', ')}]`;
}

function numberOf(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  return String(value);
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  "'": "\\'",
  '\0': '\\0',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

const quoted = (text: string) => `'${text.replace(/[\\'\0\n\r\t]/g, (one) => ESCAPES[one] ?? one)}'`;

/** Below ClickHouse's own limit of a statement's text (`max_query_size`, 256 kB); longer ones ask for more. */
const USUAL_BYTES = 200_000;

/** The settings a statement needs because of its length. */
export function sizeSettings(sql: string): { readonly max_query_size?: string } {
  const bytes = Buffer.byteLength(sql);
  return bytes <= USUAL_BYTES ? {} : { max_query_size: String(bytes * 2) };
}

const LONGEST_TOKEN = 200;

/** A deduplication token is a setting and travels in the address: a long one is told by its hash. */
export function shortToken(token: string): string {
  if (Buffer.byteLength(token) <= LONGEST_TOKEN) return token;
  return `${token.slice(0, 40)} ${createHash('sha256').update(token).digest('hex')}`;
}
