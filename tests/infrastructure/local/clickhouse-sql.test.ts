import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { identifier, isRead, literal, scanStatement } from '../../../infrastructure/local/clickhouse-sql.ts';

const scan = (sql: string) => scanStatement(Buffer.from(sql));

describe('scanStatement', () => {
  it('finds the keyword behind blanks and comments', () => {
    expect(scan('  -- a; b\n/* INSERT ; */ # x\nSELECT 1').keyword).toBe('select');
    expect(scan('(SELECT 1)').keyword).toBe('select');
    expect(scan('').keyword).toBe('');
  });

  it('knows an INSERT, after WITH too, and a read that only speaks of one', () => {
    expect(scan('insert into t values (1)').insert).toBe(true);
    expect(scan('WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x').insert).toBe(true);
    expect(isRead(scan('WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x'))).toBe(false);
    for (const sql of [
      "SELECT 'INSERT'",
      'SELECT insert FROM t',
      'SHOW CREATE TABLE insert',
      'WITH 1 AS a SELECT a',
    ]) {
      expect([sql, scan(sql).insert, isRead(scan(sql))]).toEqual([sql, false, true]);
    }
    for (const sql of [
      'DROP TABLE t',
      'ALTER TABLE t DELETE WHERE 1',
      'CREATE TABLE t AS SELECT 1',
      'OPTIMIZE TABLE t',
      'KILL QUERY WHERE 1',
    ]) {
      expect([sql, isRead(scan(sql))]).toEqual([sql, false]);
    }
  });

  it('tells a second statement from a last semicolon, a text, a comment or data', () => {
    for (const sql of [
      "INSERT INTO t VALUES (1, ';'); DROP TABLE t",
      'SELECT 1; SELECT 2',
      'SELECT 1;/* */;DROP TABLE t',
      "SELECT ';';x",
    ])
      expect([sql, scan(sql).several]).toEqual([sql, true]);
    for (const sql of [
      'SELECT 1;',
      'SELECT 1; -- x\n ;',
      "SELECT ';', `;`, \";\", 'a\\';b', 'it''s;'",
      'SELECT $x$ ; $x$',
      '/* ; */ SELECT 1',
      'INSERT INTO t FORMAT CSV 1;2',
      "INSERT INTO t VALUES (';'); ",
    ]) {
      expect([sql, scan(sql).several]).toEqual([sql, false]);
    }
  });

  it('reads the format outside of brackets, and no further in an INSERT', () => {
    expect(scan('SELECT 1 FORMAT JSONEachRow SETTINGS max_threads = 1').format).toBe('JSONEachRow');
    expect(scan("SELECT format('x'), (SELECT 1 FORMAT CSV) FROM format").format).toBeUndefined();
    expect(scan('INSERT INTO t FORMAT CSV\n1, FORMAT JSON').format).toBe('CSV');
    expect(scan("INSERT INTO t SELECT * FROM input('a Int8') FORMAT CSV").readsInput).toBe(true);
    expect(scan('INSERT INTO t (input) SELECT input FROM x').readsInput).toBe(false);
  });

  it('never fails, and quoting is never left by what it quotes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        scanStatement(Buffer.from(bytes));
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const { several, insert, format } = scan(`SELECT ${literal(text)}, ${identifier(text)}`);
        expect([several, insert, format]).toEqual([false, false, undefined]);
      }),
    );
  });
});
