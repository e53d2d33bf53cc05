import { describe, expect, it } from 'vitest';
import { mustRead } from '../../api/sql.ts';

const FILE = "file('/etc/passwd')";

describe('a statement of SQL is not sent', () => {
  // The engine would answer each of them with the file: `readonly` forbids tables from elsewhere, but not functions.
  it.each([
    ['plainly', `SELECT ${FILE}`],
    ['with a comment before the bracket', "SELECT file/**/('/etc/passwd')"],
    ['with a space that JavaScript takes for none', "SELECT file\u200b('/etc/passwd')"],
    ['by a name in backticks', "SELECT `file`('/etc/passwd')"],
    ['by a name in quotes', 'SELECT "file" (\'/etc/passwd\')'],
    ['by a name in quotes with an escape', "SELECT `\\x66ile`('/etc/passwd')"],
    ['behind a comment of #', `SELECT 1 # '\n, ${FILE} # '`],
    ['behind a text of $', `SELECT $a$'$a$, ${FILE}, $b$'$b$`],
    ['behind quotes of another script', `SELECT ‘'’, ${FILE}, ‘'’`],
    ['behind a comment in a comment', `SELECT /* /* */ ' */ 1 */, ${FILE} /* ' -- */`],
    ['behind a text of digits with an escape', `SELECT x'\\'', ${FILE}, '' --'`],
    ['behind an escaped line end', `SELECT '\\\n', ${FILE}, ''`],
    ['behind a quote that does not end', `SELECT ${FILE}, '`],
    ['as SQL in a text', `SELECT * FROM eval('SELECT 1')`],
    ['by a model of the machine', "SELECT catboostEvaluate('/m.bin', 1)"],
    ['by a server that answers prompts', "SELECT aiGenerate('x')"],
    ['by another store of objects', "SELECT * FROM oss('http://x/y/z')"],
  ])('that reads from elsewhere %s', (_, sql) => {
    expect(() => mustRead(sql)).toThrow(/not taken here|only within/);
  });

  it.each([
    "SELECT 'file(', 'it''s', '\\'', `url`, \"s3\" AS \"a (b)\" FROM t -- file(\n WHERE a IN ('x') /* url( */",
    'WITH "x" AS (SELECT \'Lünen $5 #1\') SELECT count(*) FROM x',
    "SELECT airports (1), x'61', b'01', a.b[1], m['k'], {p:String}, a->b, 1 / 2 -- é '",
    '(SELECT 1) UNION ALL (SELECT 2);',
  ])('but %s is', (sql) => {
    expect(() => mustRead(sql)).not.toThrow();
  });
});
