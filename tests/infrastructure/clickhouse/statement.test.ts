import { describe, expect, it } from 'vitest';
import { answeredError, jsonRows } from '../../../infrastructure/clickhouse/answer.ts';
import { warehouseErrorOf } from '../../../infrastructure/clickhouse/errors.ts';
import { bindParameters, shortToken, sizeSettings } from '../../../infrastructure/clickhouse/statement.ts';

describe('parameters of a statement', () => {
  it.each([
    ['{a:String}', { a: "it's" }, "'it\\'s'"],
    ['{a:String}', { a: 'a\\b\0\n' }, "'a\\\\b\\0\\n'"],
    ['{a:Int64}', { a: -(2 ** 40) }, "CAST(-1099511627776, 'Int64')"],
    ['{ a : Int64 }', { a: 1 }, "CAST(1, 'Int64')"],
    ['{a:Float64}', { a: Number.NaN }, "CAST(nan, 'Float64')"],
    ['{a:Float64}', { a: Number.NEGATIVE_INFINITY }, "CAST(-inf, 'Float64')"],
    ['{a:Bool}', { a: true }, "CAST(true, 'Bool')"],
    ['{a:Array(String)}', { a: ['x', "y'"] }, "CAST(['x', 'y\\''], 'Array(String)')"],
    ['{a:Array(String)}', { a: [] }, "CAST([], 'Array(String)')"],
    ['{a:Array(Float64)}', { a: [1.5] }, "CAST([1.5], 'Array(Float64)')"],
    ['{a:DateTime64(3)}', { a: 'x' }, "CAST('x', 'DateTime64(3)')"],
    ['{a:Int8} {a:Int8}', { a: 1 }, "CAST(1, 'Int8') CAST(1, 'Int8')"],
  ] as const)('%s', (sql, parameters, bound) => {
    expect(bindParameters(sql, parameters)).toBe(bound);
  });

  it.each([
    ["a text: '{a:String}'", { a: 'x' }],
    ["a text with a quote: 'it''s {a:String}', 'it\\'s {a:String}'", { a: 'x' }],
    ['a name: `{a:String}` "{a:String}"', { a: 'x' }],
    ['a comment -- {a:String}', { a: 'x' }],
    ['a comment /* {a:String} */', { a: 'x' }],
    ['nobody gave it: {b:String}', { a: 'x' }],
    ["a map: {'a': 1}", { a: 'x' }],
  ])('stays as it is in %s', (sql, parameters) => {
    expect(bindParameters(sql, parameters)).toBe(sql);
  });

  it('a value that looks like a placeholder is not one', () => {
    expect(bindParameters('{a:String} {b:String}', { a: '{b:String}', b: 'x' })).toBe("'{b:String}' 'x'");
  });
});

it('a long statement asks for room, a long token is told by its hash', () => {
  expect(sizeSettings('SELECT 1')).toEqual({});
  expect(Number(sizeSettings('x'.repeat(300_000)).max_query_size)).toBeGreaterThan(300_000);
  expect(shortToken('tick 5')).toBe('tick 5');
  const [one, other] = [`tick 5 ${'a'.repeat(30_000)}`, `tick 5 ${'a'.repeat(29_999)}b`];
  expect(shortToken(one)).toBe(shortToken(one));
  expect(shortToken(one)).not.toBe(shortToken(other));
  expect(shortToken(one).length).toBeLessThan(200);
});

describe('the reason of a failure is never empty', () => {
  const told = (error: unknown) => warehouseErrorOf(error, 'db:8123', '`SELECT 1`');
  it.each([
    ['nothing at all', new Error('')],
    ['a code alone', Object.assign(new AggregateError([], ''), { code: 'ECONNREFUSED' })],
    ['its cause', new Error('', { cause: new Error('the cause') })],
    ['a text', 'text'],
    ['an answer of HTTP without a word', answeredError(431, '')],
    ['a page of a proxy', answeredError(413, '<html><h1>413 Request Entity Too Large</h1></html>')],
    [
      'an exception of ClickHouse',
      answeredError(500, 'Code: 60. DB::Exception: Unknown table. (UNKNOWN_TABLE)'),
    ],
  ])('%s', (_, error) => {
    expect(told(error).message).toMatch(/db:8123.*(: |\()\w+/);
    expect(told(error).message).not.toMatch(/: ?$|\(\)/);
  });

  it('what passes by itself is tried again, what does not is told with advice', () => {
    expect(told(answeredError(503, ''))).toMatchObject({ code: 'overloaded', retriable: true });
    expect(told(answeredError(429, 'slow down'))).toMatchObject({ code: 'overloaded' });
    expect(told(answeredError(401, ''))).toMatchObject({ code: 'not_allowed', retriable: false });
    expect(told(answeredError(431, '')).message).toBe(
      'ClickHouse at db:8123 did not take `SELECT 1`: HTTP status 431, without a reason. Something between here and ClickHouse limits the length of an address: raise that limit.',
    );
    expect(told(Object.assign(new AggregateError([], ''), { code: 'ECONNREFUSED' })).message).toContain(
      'cannot be reached (ECONNREFUSED)',
    );
  });
});

describe('rows of an answer', () => {
  it('reads them line by line', () => {
    expect(jsonRows('')).toEqual([]);
    expect(jsonRows('{"a":1}\n{"a":"b\\n"}\n')).toEqual([{ a: 1 }, { a: 'b\n' }]);
  });

  it('throws what ClickHouse met after it had begun to answer', () => {
    const broken = '{"a":1}\nCode: 241. DB::Exception: Memory limit exceeded. (MEMORY_LIMIT_EXCEEDED)\n';
    expect(() => jsonRows(broken)).toThrow('Memory limit exceeded');
    expect(
      warehouseErrorOf(
        catching(() => jsonRows(broken)),
        'db',
        'it',
      ),
    ).toMatchObject({ code: 'overloaded' });
  });
});

function catching(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return null;
}
