import type { FieldType, Scalar } from '../../schemas/event.ts';
import { Problem } from '../problem.ts';
import { parseTime } from '../schemas.ts';
import { mustBeUtf8 } from '../utf8.ts';
import { type ColumnKind, type OutputColumn, parquetOf, readParquet } from './parquet.ts';

/** A table that somebody sends: CSV with a header, a JSON object a line, or Parquet. */
export interface Table {
  readonly type: TableType;
  readonly columns: readonly string[];
  readonly rows: ReadonlyArray<Readonly<Record<string, unknown>>>;
  /** Of Parquet: the types of its columns. */
  readonly kinds?: ReadonlyMap<string, ColumnKind>;
}

const PARQUET = 'application/vnd.apache.parquet';
export type TableType = keyof typeof TABLE_TYPES;

export const TABLE_TYPES = {
  'text/csv': 'A header, then a row a line (RFC 4180).',
  'application/x-ndjson': 'A JSON object a line.',
  [PARQUET]: 'Columns of texts, numbers, truth values and times; a time without a zone counts as UTC.',
} as const;

export const MAX_ROWS = 200_000;

/** Throws Problem with the row that cannot be read. */
export async function readTable(type: string, bytes: Buffer): Promise<Table> {
  const table: Table =
    type === PARQUET
      ? { type, ...(await readParquet(bytes, MAX_ROWS, tooMany)) }
      : type === 'text/csv'
        ? readCsv(textOf(bytes))
        : readLines(textOf(bytes));
  if (table.rows.length === 0) throw new Problem(422, 'no_rows', 'The table has no rows.');
  return table;
}

/** Without the mark of its byte order, which spreadsheets write. */
function textOf(bytes: Buffer): string {
  mustBeUtf8(bytes);
  return bytes.toString('utf8').replace(/^\uFEFF/, '');
}

const tooMany = () =>
  new Problem(413, 'too_many_rows', `The table has more than ${MAX_ROWS} rows: send it in parts.`);

function readLines(text: string): Table {
  const rows: Array<Readonly<Record<string, unknown>>> = [];
  const columns = new Set<string>();
  let number = 0;
  for (const line of text.split('\n')) {
    number += 1;
    if (line.trim() === '') continue;
    if (rows.length === MAX_ROWS) throw tooMany();
    let row: unknown;
    try {
      row = JSON.parse(line);
    } catch {
      throw new Problem(422, 'bad_row', `Row ${number} is no JSON.`);
    }
    if (typeof row !== 'object' || row === null || Array.isArray(row))
      throw new Problem(422, 'bad_row', `Row ${number} is no JSON object.`);
    for (const name of Object.keys(row)) columns.add(name);
    rows.push(row as Readonly<Record<string, unknown>>);
  }
  return { type: 'application/x-ndjson', columns: [...columns], rows };
}

function readCsv(text: string): Table {
  const lines = csvLines(text);
  const header = lines.next().value;
  if (header === undefined)
    throw new Problem(422, 'no_rows', 'The table is empty: write a header, then rows.');
  if (new Set(header).size !== header.length || header.includes(''))
    throw new Problem(422, 'bad_header', 'A column of the header has no name, or that of another.');
  const rows: Array<Readonly<Record<string, unknown>>> = [];
  for (const fields of lines) {
    if (fields.length === 1 && fields[0] === '') continue;
    if (rows.length === MAX_ROWS) throw tooMany();
    if (fields.length !== header.length)
      throw new Problem(
        422,
        'bad_row',
        `Row ${rows.length + 1} has ${fields.length} fields; the header has ${header.length}.`,
      );
    rows.push(Object.fromEntries(header.map((name, i) => [name, fields[i] === '' ? null : fields[i]])));
  }
  return { type: 'text/csv', columns: header, rows };
}

/** Fields of each line; a quoted field may hold commas, quotes (doubled) and line ends. */
function* csvLines(text: string): Generator<string[], undefined> {
  let fields: string[] = [];
  let at = 0;
  while (at < text.length) {
    let field = '';
    if (text[at] === '"') {
      at += 1;
      for (;;) {
        const end = text.indexOf('"', at);
        if (end < 0) throw new Problem(422, 'bad_row', 'A quoted field of the table does not end.');
        field += text.slice(at, end);
        at = end + 1;
        if (text[at] !== '"') break;
        field += '"';
        at += 1;
      }
      if (at < text.length && !/[,\r\n]/.test(text[at] ?? ''))
        throw new Problem(
          422,
          'bad_row',
          `Something follows the quoted field ${JSON.stringify(field.slice(0, 40))}.`,
        );
    } else {
      const end = nextOf(text, at);
      field = text.slice(at, end);
      at = end;
    }
    fields.push(field);
    if (text[at] === ',') {
      at += 1;
      if (at === text.length) fields.push('');
      else continue;
    }
    if (text[at] === '\r') at += 1;
    if (text[at] === '\n') at += 1;
    yield fields;
    fields = [];
  }
  return undefined;
}

function nextOf(text: string, from: number): number {
  for (let at = from; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 44 || code === 10 || code === 13) return at;
  }
  return text.length;
}

/** A time in a cell: ms, digits of them, or ISO 8601 with a zone. */
export function cellTime(value: unknown): number | null {
  return typeof value === 'string' && /^-?\d{1,16}$/.test(value)
    ? parseTime(Number(value))
    : parseTime(value);
}

/** A part of a key, as the text that a view knows it by. */
export function cellKey(value: unknown): string | null {
  if (value === null || value === undefined || typeof value === 'object') return null;
  return String(value);
}

/** `True` is what pandas writes, `TRUE` what spreadsheets do. */
const BOOLS = new Map([
  ['true', true],
  ['false', false],
]);

/** What a cell of CSV means for a field; JSON says its types itself. */
export function cellOf(value: unknown, type: FieldType): unknown {
  if (typeof value !== 'string') return value;
  if (type === 'int' || type === 'double') {
    if (/^\s*$/.test(value)) return null;
    const number = Number(value);
    // The text itself is what a refusal should show.
    return Number.isNaN(number) ? value : number;
  }
  if (type === 'bool') return BOOLS.get(value.toLowerCase()) ?? value;
  return type === 'timestamp' && /^-?\d{1,16}$/.test(value) ? Number(value) : value;
}

/** A column that an answer adds to a table. */
export interface AddedColumn {
  readonly name: string;
  readonly kind: ColumnKind;
}

const WRITE_EVERY = 1_000;

/** Writes a table in the form in which it came, with more columns. */
export async function writeTable(
  table: Table,
  more: readonly AddedColumn[],
  valuesOf: (row: number) => readonly Scalar[],
  write: (part: string | Uint8Array) => Promise<void>,
): Promise<void> {
  if (table.type === PARQUET) return write(parquetOf(columnsOf(table, more, valuesOf)));
  const { columns, rows } = table;
  const names = more.map(({ name }) => name);
  const isCsv = table.type === 'text/csv';
  let text = isCsv ? `${[...columns, ...names].map(quoted).join(',')}\n` : '';
  for (const [i, row] of rows.entries()) {
    const values = valuesOf(i);
    text += isCsv
      ? `${[...columns.map((name) => row[name]), ...values].map(quoted).join(',')}\n`
      : `${JSON.stringify({ ...row, ...Object.fromEntries(names.map((name, at) => [name, values[at] ?? null])) })}\n`;
    if (i % WRITE_EVERY !== WRITE_EVERY - 1) continue;
    await write(text);
    text = '';
  }
  await write(text);
}

function columnsOf(
  { columns, rows, kinds }: Table,
  more: readonly AddedColumn[],
  valuesOf: (row: number) => readonly Scalar[],
): OutputColumn[] {
  const added = more.map(({ name, kind }) => ({ name, kind, values: new Array<Scalar>(rows.length) }));
  for (let i = 0; i < rows.length; i += 1) {
    const values = valuesOf(i);
    for (const [at, column] of added.entries()) column.values[i] = values[at] ?? null;
  }
  const own = columns.map((name) => ({
    name,
    kind: kinds?.get(name) ?? 'STRING',
    values: rows.map((row) => row[name]),
  }));
  return [...own, ...added];
}

function quoted(value: unknown): string {
  if (value === null || value === undefined) return '';
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
