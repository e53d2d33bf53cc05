/**
 * As much of ClickHouse's lexer as an HTTP server needs: what kind of statement it is, and whether there is
 * a second one behind it. Works on bytes, since the data of an INSERT may follow in the same body.
 */
export type Statement = {
  /** First keyword in lower case; '' where there is none. */
  keyword: string;
  /** An INSERT, after WITH too: it carries data and answers no rows. */
  insert: boolean;
  /** Something other than blanks and comments follows a `;`. */
  several: boolean;
  /** The name after FORMAT, outside of any bracket. */
  format: string | undefined;
  /** An INSERT that reads its data through the `input()` table function. */
  readsInput: boolean;
  /** It names a file of the server's machine to read rows from or to write them to. */
  namesFile: boolean;
  /** Of `INSERT … [SETTINGS …] FORMAT name data`: where SETTINGS or FORMAT begins, and the end of the name. */
  clausesAt: number;
  formatEnd: number;
};

const reads = new Set([
  'select',
  'with',
  'show',
  'describe',
  'desc',
  'exists',
  'explain',
  'check',
  'from',
  'values',
  '',
]);

/** Whether the statement changes nothing, by its keyword. */
export function isRead(statement: Statement): boolean {
  return reads.has(statement.keyword) && !statement.insert;
}

const blank = (c: number) => c === 32 || (c >= 9 && c <= 13);
const wordStart = (c: number) => (c >= 97 && c <= 122) || (c >= 65 && c <= 90) || c === 95;
const wordPart = (c: number) => wordStart(c) || (c >= 48 && c <= 57);

export function scanStatement(sql: Buffer): Statement {
  const found: Statement = {
    keyword: '',
    insert: false,
    several: false,
    format: undefined,
    readsInput: false,
    namesFile: false,
    clausesAt: -1,
    formatEnd: -1,
  };
  let at = 0;
  let depth = 0;
  let previous = '';
  while (at < sql.length) {
    const c = sql[at] ?? 0;
    const next = sql[at + 1] ?? 0;
    if (blank(c)) at++;
    else if ((c === 45 && next === 45) || c === 35) at = after(sql, '\n', at);
    else if (c === 47 && next === 42) at = after(sql, '*/', at + 2);
    else if (c === 39 || c === 34 || c === 96) at = quoted(sql, at);
    else if (c === 36) at = heredoc(sql, at);
    else if (c === 59) {
      found.several = scanRest(sql, at + 1);
      return found;
    } else if (wordStart(c)) {
      let end = at + 1;
      while (end < sql.length && wordPart(sql[end] ?? 0)) end++;
      const text = sql.toString('latin1', at, end);
      const word = text.toLowerCase();
      if (found.keyword === '') found.keyword = word;
      if (depth === 0 && word === 'insert' && (found.keyword === 'insert' || found.keyword === 'with'))
        found.insert = true;
      if (found.insert && word === 'input' && sql[end] === 40) found.readsInput = true;
      if (depth === 0 && (word === 'infile' || word === 'outfile')) found.namesFile = true;
      if (depth === 0 && (word === 'settings' || word === 'format') && found.clausesAt < 0)
        found.clausesAt = at;
      if (depth === 0 && previous === 'format') {
        found.format = text;
        // What follows is data, in whatever bytes.
        if (found.insert) {
          found.formatEnd = end;
          return found;
        }
      }
      previous = word;
      at = end;
    } else {
      if (c === 40) depth++;
      else if (c === 41) depth--;
      previous = '';
      at++;
    }
  }
  return found;
}

function after(sql: Buffer, what: string, from: number): number {
  const end = sql.indexOf(what, from, 'latin1');
  return end < 0 ? sql.length : end + what.length;
}

/** Past a quoted text: a backslash escapes, a doubled quote is read as two texts side by side. */
function quoted(sql: Buffer, from: number): number {
  const quote = sql[from];
  for (let at = from + 1; at < sql.length; at++) {
    if (sql[at] === 92) at++;
    else if (sql[at] === quote) return at + 1;
  }
  return sql.length;
}

function heredoc(sql: Buffer, from: number): number {
  let end = from + 1;
  while (end < sql.length && wordPart(sql[end] ?? 0)) end++;
  return sql[end] === 36 ? after(sql, sql.toString('latin1', from, end + 1), end + 1) : from + 1;
}

function scanRest(sql: Buffer, from: number): boolean {
  let at = from;
  while (at < sql.length) {
    const c = sql[at] ?? 0;
    if (blank(c) || c === 59) at++;
    else if (c === 45 && sql[at + 1] === 45) at = after(sql, '\n', at);
    else if (c === 47 && sql[at + 1] === 42) at = after(sql, '*/', at + 2);
    else return true;
  }
  return false;
}

/** A SQL string literal. */
export function literal(value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

export function identifier(name: string): string {
  return `\`${name.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``;
}
