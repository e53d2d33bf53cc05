import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { ClickHouseError } from '@clickhouse/client';
import { describe, expect, it } from 'vitest';
import { clickhouseForTests, createClient } from './clickhouse-harness.ts';

const { client, count, post, rows, table, url } = clickhouseForTests();

describe('the official client', () => {
  it('pings, and reads in every format', async () => {
    expect(await client().ping()).toMatchObject({ success: true });
    expect(await client().ping({ select: true })).toMatchObject({ success: true });
    for (const format of ['JSON', 'JSONCompact', 'JSONStrings', 'JSONObjectEachRow'] as const) {
      const result = await client().query({ query: 'SELECT number FROM numbers(3)', format });
      expect(result.response_headers['content-type']).toContain('application/json');
      expect(JSON.stringify(await result.json())).toContain('2');
    }
    for (const format of ['CSV', 'TabSeparated', 'CSVWithNames', 'CustomSeparated'] as const) {
      expect(
        (await (await client().query({ query: 'SELECT 1 AS one', format })).text()).trim().split('\n').at(-1),
      ).toBe('1');
    }
    const parquet = await client().exec({ query: 'SELECT number FROM numbers(3) FORMAT Parquet' });
    const chunks = (await parquet.stream.toArray()) as Buffer[];
    expect(Buffer.concat(chunks).subarray(0, 4).toString()).toBe('PAR1');
  });

  it('streams rows to the reader', async () => {
    const result = await client().query({
      query: 'SELECT number FROM numbers(100000)',
      format: 'JSONEachRow',
    });
    let seen = 0;
    for await (const some of result.stream()) seen += some.length;
    expect(seen).toBe(100_000);
  });

  it('inserts objects, streams and text, and says how many rows were written', async () => {
    const name = await table();
    const one = await client().insert({
      table: name,
      values: [{ id: 1, name: 'a\'b"\\\n;ü', at: 1 }],
      format: 'JSONEachRow',
    });
    expect(one.summary?.written_rows).toBe('1');
    await client().insert({
      table: name,
      values: Readable.from([{ id: 2, name: 'two', at: 2 }], { objectMode: true }),
      format: 'JSONEachRow',
    });
    await client().insert({ table: name, values: [[3, 'three', 3]], format: 'JSONCompactEachRow' });
    await client().insert({
      table: name,
      values: Readable.from(['4,four,4\n'], { objectMode: false }),
      format: 'CSV',
    });
    await client().insert({
      table: name,
      values: [{ id: 5, name: 'five' }],
      columns: ['id', 'name'],
      format: 'JSONEachRow',
    });
    await client().insert({ table: name, values: [], format: 'JSONEachRow' });
    await client().command({ query: `INSERT INTO ${name} VALUES (6, 'six;', 0), (7, 'FORMAT CSV', 0)` });
    await client().command({ query: `INSERT INTO ${name} SELECT number + 8, 'more', 0 FROM numbers(3)` });
    expect(await rows(`SELECT id, name FROM ${name} ORDER BY id`)).toEqual([
      { id: 1, name: 'a\'b"\\\n;ü' },
      { id: 2, name: 'two' },
      { id: 3, name: 'three' },
      { id: 4, name: 'four' },
      { id: 5, name: 'five' },
      { id: 6, name: 'six;' },
      { id: 7, name: 'FORMAT CSV' },
      { id: 8, name: 'more' },
      { id: 9, name: 'more' },
      { id: 10, name: 'more' },
    ]);
  });

  it('binds parameters of any text, number, list, null and identifier', async () => {
    const texts = [
      '',
      "it's",
      'back\\slash',
      'tab\tline\nend',
      '"; DROP TABLE x; --',
      '{x:String}',
      'ü€😀',
      '\\N',
      "\\'",
    ];
    for (const text of texts)
      expect(await rows('SELECT {x:String} AS x', { x: text })).toEqual([{ x: text }]);
    expect(
      await rows(
        'SELECT {n:Int64} AS n, {f:Float64} AS f, {l:Array(String)} AS l, {z:Nullable(String)} AS z, {b:Bool} AS b',
        {
          n: -5,
          f: 0.1,
          l: ["a'", 'b,\\'],
          z: null,
          b: true,
        },
      ),
    ).toEqual([{ n: -5, f: 0.1, l: ["a'", 'b,\\'], z: null, b: true }]);
    const name = await table();
    expect(await rows('SELECT count() AS n FROM {t:Identifier}', { t: name })).toEqual([{ n: 0 }]);
    expect(await rows('SELECT {at:DateTime64(3)} AS at', { at: new Date(1_500) })).toEqual([
      { at: '1970-01-01 00:00:01.500' },
    ]);
  });

  it('keeps the settings and parameters of a request to that request', async () => {
    const wide = { max_threads: 3, session_timezone: 'America/New_York' };
    const query = "SELECT getSetting('max_threads') AS n, toString(toDateTime(0)) AS t";
    const set = await client().query({
      query,
      clickhouse_settings: wide,
      query_params: { left: 1 },
      format: 'JSONEachRow',
    });
    expect(await set.json()).toEqual([{ n: 3, t: '1969-12-31 19:00:00' }]);
    for (const one of await Promise.all(
      Array.from({ length: 8 }, () => rows<{ n: number; t: string }>(query)),
    )) {
      expect(one[0]?.n).not.toBe(3);
      expect(one[0]?.t).toBe('1970-01-01 00:00:00');
    }
    await expect(rows('SELECT {left:Int32}')).rejects.toMatchObject({ code: '456' });
  });

  it('keeps a session: its settings, its database, its temporary tables', async () => {
    const own = createClient({ url: url(), session_id: 'mine' });
    await own.command({ query: 'CREATE TEMPORARY TABLE mine (id UInt8)' });
    await own.insert({ table: 'mine', values: [{ id: 1 }], format: 'JSONEachRow' });
    await own.command({ query: 'SET max_threads = 7' });
    const of = async (settings = {}) => {
      const query = "SELECT getSetting('max_threads') AS n, (SELECT count() FROM mine) AS rows";
      return (await own.query({ query, format: 'JSONEachRow', clickhouse_settings: settings })).json();
    };
    expect(await of({ max_threads: 2 })).toEqual([{ n: 2, rows: 1 }]);
    expect(await of()).toEqual([{ n: 7, rows: 1 }]);
    await own.close();
    await expect(rows('SELECT count() FROM mine')).rejects.toMatchObject({ type: 'UNKNOWN_TABLE' });
    const busy = post('session_id=busy', 'SELECT sleep(0.5)');
    await new Promise((done) => setTimeout(done, 150));
    expect((await post('session_id=busy', 'SELECT 1')).headers.get('x-clickhouse-exception-code')).toBe(
      '373',
    );
    await busy;
    expect(
      (await post('session_id=none&session_check=1', 'SELECT 1')).headers.get('x-clickhouse-exception-code'),
    ).toBe('372');
  });

  it('tells errors with code, type and status', async () => {
    const failing = async (query: string) =>
      client()
        .query({ query })
        .then(
          () => undefined,
          (error: unknown) => error,
        );
    const syntax = await failing('SELEC 1');
    expect(syntax).toBeInstanceOf(ClickHouseError);
    expect(syntax).toMatchObject({ code: '62', type: 'SYNTAX_ERROR' });
    expect(await failing('SELECT * FROM nowhere')).toMatchObject({ code: '60', type: 'UNKNOWN_TABLE' });
    expect(await failing('SELECT throwIf(number = 50000) FROM numbers(100000)')).toMatchObject({
      code: '395',
    });
    expect(await failing('SELECT 1; SELECT 2')).toMatchObject({ code: '62' });
    const name = await table();
    const bad = client().insert({ table: name, values: [{ id: 'x' }], format: 'JSONEachRow' });
    await expect(bad).rejects.toMatchObject({
      code: '27',
      type: 'CANNOT_PARSE_INPUT_ASSERTION_FAILED',
      message: expect.stringMatching(/^Cannot parse input.*\(at row 1\)/s),
    });
    await expect(bad).rejects.not.toThrow(/incoming|DB::Exception/);
    await expect(
      client().insert({
        table: name,
        values: [{ id: 1, oops: 1 }],
        format: 'JSONEachRow',
        clickhouse_settings: { input_format_skip_unknown_fields: 0 },
      }),
    ).rejects.toMatchObject({ code: '117' });
    expect(await count(name)).toBe(0);
    const unknown = await post('no_such_setting=1', 'SELECT 1');
    expect([unknown.status, unknown.headers.get('x-clickhouse-exception-code')]).toEqual([404, '115']);
    expect((await post('query_id=abc', 'SELECT 1')).headers.get('x-clickhouse-query-id')).toBe('abc');
  });

  it('uses the database of the address', async () => {
    await client().command({ query: 'CREATE DATABASE IF NOT EXISTS `od``d`' });
    const there = createClient({ url: url(), database: 'od`d' });
    await there.command({ query: 'CREATE OR REPLACE TABLE x (id UInt8) ENGINE = MergeTree ORDER BY id' });
    await there.insert({ table: 'x', values: [{ id: 1 }], format: 'JSONEachRow' });
    expect(
      await (
        await there.query({
          query: 'SELECT currentDatabase() AS d, count() AS n FROM x',
          format: 'JSONEachRow',
        })
      ).json(),
    ).toEqual([{ d: 'od`d', n: 1 }]);
    await there.command({ query: 'DROP TABLE x' });
    await there.close();
    expect(await rows('SELECT currentDatabase() AS d')).toEqual([{ d: 'default' }]);
    expect((await post('database=nowhere', 'SELECT 1')).status).toBe(404);
  });

  it('packs both ways', async () => {
    const name = await table();
    const packed = createClient({ url: url(), compression: { request: true, response: true } });
    const values = Array.from({ length: 5_000 }, (_, id) => ({ id, name: `n${id}`, at: id }));
    await packed.insert({ table: name, values, format: 'JSONEachRow' });
    const read = await packed.query({
      query: `SELECT id, name FROM ${name} ORDER BY id`,
      format: 'JSONEachRow',
    });
    expect((await read.json<{ id: number }>()).length).toBe(5_000);
    await expect(packed.query({ query: 'SELECT * FROM nowhere' })).rejects.toMatchObject({ code: '60' });
    await packed.close();
    const raw = await post('', gzipSync('SELECT 1 AS x FORMAT JSONEachRow'), { 'content-encoding': 'gzip' });
    expect(await raw.text()).toBe('{"x":1}\n');
    const bomb = await post('', gzipSync(Buffer.from('x')).subarray(0, 10), { 'content-encoding': 'gzip' });
    expect(bomb.headers.get('x-clickhouse-exception-code')).toBe('354');
  });
});
