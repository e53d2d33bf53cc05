import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import {
  type ClickHouseClient,
  type ClickHouseClientConfigOptions,
  ClickHouseError,
  ClickHouseLogLevel,
  createClient as connect,
} from '@clickhouse/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type ClickHouseServer,
  startClickHouseServer,
} from '../../../infrastructure/local/clickhouse-server.ts';

/** The address of a real ClickHouse server, which must pass the same tests but for what is ours alone. */
const real = process.env.MILLRACE_CLICKHOUSE_URL;
const prefix = `test_${randomUUID().slice(0, 8)}`;
const dataDir = mkdtempSync(join(tmpdir(), 'millrace-clickhouse-'));
let server: ClickHouseServer;
let client: ClickHouseClient;
let tables = 0;

/** Quiet: errors are what some tests are about. */
const createClient = (options: ClickHouseClientConfigOptions) =>
  connect({ ...options, log: { level: ClickHouseLogLevel.OFF } });

/** A new table of three columns; its name. */
async function table(settings = ''): Promise<string> {
  const name = `${prefix}_${++tables}`;
  await client.command({
    query: `CREATE TABLE ${name} (id UInt32, name String, at DateTime64(3)) ENGINE = MergeTree ORDER BY id ${settings}`,
  });
  return name;
}

async function rows<T>(query: string, params: Record<string, unknown> = {}): Promise<T[]> {
  const result = await client.query({ query, query_params: params, format: 'JSONEachRow' });
  return result.json<T>();
}

const count = async (name: string) => (await rows<{ n: number }>(`SELECT count() AS n FROM ${name}`))[0]?.n;

const post = (
  query: string,
  body?: string | Buffer<ArrayBuffer> | ArrayBuffer,
  headers: Record<string, string> = {},
) => fetch(`${server.url}/?${query}`, { method: 'POST', ...(body === undefined ? {} : { body }), headers });

beforeAll(async () => {
  server = real
    ? { url: real, version: '', close: async () => undefined }
    : await startClickHouseServer({ dataDir, port: 0 });
  client = createClient({ url: server.url });
});

afterAll(async () => {
  for (let i = 1; i <= tables; i++) await client.command({ query: `DROP TABLE IF EXISTS ${prefix}_${i}` });
  await client.close();
  await server.close();
  for (const path of [dataDir, `${dataDir}-other`]) rmSync(path, { recursive: true, force: true });
});

describe('the official client', () => {
  it('pings, and reads in every format', async () => {
    expect(await client.ping()).toMatchObject({ success: true });
    expect(await client.ping({ select: true })).toMatchObject({ success: true });
    for (const format of ['JSON', 'JSONCompact', 'JSONStrings', 'JSONObjectEachRow'] as const) {
      const result = await client.query({ query: 'SELECT number FROM numbers(3)', format });
      expect(result.response_headers['content-type']).toContain('application/json');
      expect(JSON.stringify(await result.json())).toContain('2');
    }
    for (const format of ['CSV', 'TabSeparated', 'CSVWithNames', 'CustomSeparated'] as const) {
      expect(
        (await (await client.query({ query: 'SELECT 1 AS one', format })).text()).trim().split('\n').at(-1),
      ).toBe('1');
    }
    const parquet = await client.exec({ query: 'SELECT number FROM numbers(3) FORMAT Parquet' });
    const chunks = (await parquet.stream.toArray()) as Buffer[];
    expect(Buffer.concat(chunks).subarray(0, 4).toString()).toBe('PAR1');
  });

  it('streams rows to the reader', async () => {
    const result = await client.query({ query: 'SELECT number FROM numbers(100000)', format: 'JSONEachRow' });
    let seen = 0;
    for await (const some of result.stream()) seen += some.length;
    expect(seen).toBe(100_000);
  });

  it('inserts objects, streams and text, and says how many rows were written', async () => {
    const name = await table();
    const one = await client.insert({
      table: name,
      values: [{ id: 1, name: 'a\'b"\\\n;ü', at: 1 }],
      format: 'JSONEachRow',
    });
    expect(one.summary?.written_rows).toBe('1');
    await client.insert({
      table: name,
      values: Readable.from([{ id: 2, name: 'two', at: 2 }], { objectMode: true }),
      format: 'JSONEachRow',
    });
    await client.insert({ table: name, values: [[3, 'three', 3]], format: 'JSONCompactEachRow' });
    await client.insert({
      table: name,
      values: Readable.from(['4,four,4\n'], { objectMode: false }),
      format: 'CSV',
    });
    await client.insert({
      table: name,
      values: [{ id: 5, name: 'five' }],
      columns: ['id', 'name'],
      format: 'JSONEachRow',
    });
    await client.insert({ table: name, values: [], format: 'JSONEachRow' });
    await client.command({ query: `INSERT INTO ${name} VALUES (6, 'six;', 0), (7, 'FORMAT CSV', 0)` });
    await client.command({ query: `INSERT INTO ${name} SELECT number + 8, 'more', 0 FROM numbers(3)` });
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
    const set = await client.query({
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
    const own = createClient({ url: server.url, session_id: 'mine' });
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
      client.query({ query }).then(
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
    const bad = client.insert({ table: name, values: [{ id: 'x' }], format: 'JSONEachRow' });
    await expect(bad).rejects.toMatchObject({
      code: '27',
      type: 'CANNOT_PARSE_INPUT_ASSERTION_FAILED',
      message: expect.stringMatching(/^Cannot parse input.*\(at row 1\)/s),
    });
    await expect(bad).rejects.not.toThrow(/incoming|DB::Exception/);
    await expect(
      client.insert({
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
    await client.command({ query: 'CREATE DATABASE IF NOT EXISTS `od``d`' });
    const there = createClient({ url: server.url, database: 'od`d' });
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
    const packed = createClient({ url: server.url, compression: { request: true, response: true } });
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

describe('bytes', () => {
  it('takes RowBinary, Parquet, Native and Arrow, zeros and line breaks at either end included', async () => {
    const name = await table();
    const row = Buffer.alloc(4 + 1 + 3 + 8);
    row.writeUInt32LE(10, 0);
    row.set([3, 0, 10, 65], 4);
    row.writeBigInt64LE(1234n, 8);
    const inUrl = await post(`query=${encodeURIComponent(`INSERT INTO ${name} FORMAT RowBinary\n`)}`, row);
    expect([
      inUrl.status,
      JSON.parse(inUrl.headers.get('x-clickhouse-summary') ?? '{}').written_rows,
    ]).toEqual([200, '1']);
    row.writeUInt32LE(32, 0);
    const inBody = await post(
      '',
      Buffer.concat([Buffer.from(`INSERT INTO ${name} (id, name, at) FORMAT RowBinary\n`), row]),
    );
    expect(inBody.status).toBe(200);
    expect(
      await rows(`SELECT id, hex(name) AS h, toUnixTimestamp64Milli(at) AS at FROM ${name} ORDER BY id`),
    ).toEqual([
      { id: 10, h: '000A41', at: 1234 },
      { id: 32, h: '000A41', at: 1234 },
    ]);
    for (const format of [
      'Parquet',
      'Native',
      'ArrowStream',
      'RowBinaryWithNamesAndTypes',
      'ORC',
      'MsgPack',
    ]) {
      const copy = await table();
      const data = await (await post('', `SELECT * FROM ${name} ORDER BY id FORMAT ${format}`)).arrayBuffer();
      const sent = await post(`query=${encodeURIComponent(`INSERT INTO ${copy} FORMAT ${format}`)}`, data);
      expect([format, sent.status, await sent.text()]).toEqual([format, 200, '']);
      expect(await rows(`SELECT * FROM ${copy} ORDER BY id`)).toEqual(
        await rows(`SELECT * FROM ${name} ORDER BY id`),
      );
    }
  });

  it('takes data with empty lines whole, and never for a statement', async () => {
    const name = await table();
    const binary = Buffer.alloc(3 * 14);
    for (let i = 0; i < 3; i++) {
      binary.writeUInt32LE(0x0a0a, i * 14);
      binary.set([1, 10], i * 14 + 4);
      binary.writeBigInt64LE(0x0a0a0a0an, i * 14 + 6);
    }
    const into = (format: string, data: string | Buffer<ArrayBuffer>) =>
      post(`query=${encodeURIComponent(`INSERT INTO ${name} FORMAT ${format}`)}`, data);
    const inBody = (format: string, data: string | Buffer) =>
      post('', Buffer.concat([Buffer.from(`INSERT INTO ${name} FORMAT ${format}\n`), Buffer.from(data)]));
    for (const send of [into, inBody]) {
      for (const [format, data] of [
        ['RowBinary', binary],
        ['JSONEachRow', '{"id":1,"name":"a"}\n\n\n{"id":2}\n\n{"id":3}\n\n'],
        ['CSV', '1,"a\n\nb;",2001-01-01 00:00:00\n2,c,2001-01-01 00:00:00\n3,"DROP",2001-01-01 00:00:00'],
        ['TSV', '1\ta\t4\n2\tb\t4\n3\tc\t4\n'],
        ['Values', "(1,'x\n\n;y',0),\n\n(2,'z',0) , (3,'',0)"],
      ] as [string, string | Buffer<ArrayBuffer>][]) {
        const sent = await send(format, data);
        expect([format, sent.status, await sent.text()]).toEqual([format, 200, '']);
        expect([format, await count(name)]).toEqual([format, 3]);
        await client.command({ query: `TRUNCATE TABLE ${name}` });
      }
    }
    const evil = `{"id":1}\n\nDROP TABLE ${name}`;
    expect((await into('JSONEachRow', evil)).status).not.toBe(200);
    expect((await post('', `INSERT INTO ${name} VALUES (1,'',0); DROP TABLE ${name}`)).status).toBe(400);
    expect(await count(name)).toBe(0);
  });

  it('keeps hands off the files of the machine', async () => {
    const name = await table();
    const read = await post('', `INSERT INTO ${name} (name) FROM INFILE '/etc/passwd' FORMAT CSV`);
    const write = await post('', "SELECT 1 INTO OUTFILE '/tmp/millrace-no'");
    for (const refused of [read, write]) expect(refused.status).toBeGreaterThanOrEqual(400);
  });

  it.skipIf(real)('refuses to drop what it cannot insert', async () => {
    const name = await table();
    const input = await post(
      `query=${encodeURIComponent(`INSERT INTO ${name} (id) SELECT id FROM input('id UInt32') FORMAT CSV`)}`,
      '1\n',
    );
    expect([input.status, input.headers.get('x-clickhouse-exception-code')]).toEqual([501, '48']);
    expect((await post('decompress=1', 'x')).status).toBe(501);
  });
});

describe('curl', () => {
  it('reads by GET, and changes nothing by GET', async () => {
    expect(await (await fetch(`${server.url}/ping`)).text()).toBe('Ok.\n');
    expect(await (await fetch(`${server.url}/`)).text()).toBe('Ok.\n');
    expect((await fetch(`${server.url}/nowhere`)).status).toBe(404);
    const get = (query: string) =>
      fetch(`${server.url}/?query=${encodeURIComponent(query)}&param_x=4&max_threads=1`);
    expect(await (await get('SELECT {x:UInt8} + 1')).text()).toBe('5\n');
    expect(await (await get('-- why\nWITH 2 AS y SELECT y FORMAT CSV')).text()).toBe('2\n');
    const name = await table();
    for (const query of [
      `INSERT INTO ${name} (id) VALUES (1)`,
      `DROP TABLE ${name}`,
      `/* SELECT */ TRUNCATE TABLE ${name}`,
    ]) {
      const refused = await get(query);
      expect([refused.status, refused.headers.get('x-clickhouse-exception-code')]).toEqual([500, '164']);
    }
    expect(await count(name)).toBe(0);
    expect((await post('readonly=1', `DROP TABLE ${name}`)).headers.get('x-clickhouse-exception-code')).toBe(
      '164',
    );
  });

  it('joins a query in the address with the rest in the body', async () => {
    expect(await (await post('query=SELECT%201', '+ 1')).text()).toBe('2\n');
  });
});

describe('delivery', () => {
  it('drops a repeat of the same token, keeps another', async () => {
    const name = await table('SETTINGS non_replicated_deduplication_window = 100');
    const insert = (token: string, values: object[]) =>
      client.insert({
        table: name,
        values,
        format: 'JSONEachRow',
        clickhouse_settings: { insert_deduplication_token: token, async_insert: 0 },
      });
    await insert('0-1', [{ id: 1 }, { id: 2 }]);
    await insert('0-1', [{ id: 1 }, { id: 2 }]);
    expect(await count(name)).toBe(2);
    await insert('2-3', [{ id: 1 }, { id: 2 }]);
    expect(await count(name)).toBe(4);
  });

  it('serves many connections at once', async () => {
    const name = await table();
    const many = createClient({ url: server.url, max_open_connections: 20 });
    await Promise.all(
      Array.from({ length: 60 }, async (_, i) => {
        await many.insert({
          table: name,
          values: [{ id: i, name: String(i) }],
          format: 'JSONEachRow',
          clickhouse_settings: { async_insert: 0 },
        });
        const back = await many.query({
          query: `SELECT id, {p:UInt32} AS p FROM ${name} WHERE id = {p:UInt32}`,
          query_params: { p: i },
          format: 'JSONEachRow',
        });
        expect(await back.json()).toEqual([{ id: i, p: i }]);
      }),
    );
    expect(await count(name)).toBe(60);
    await many.close();
  });
});

describe.skipIf(real)('one directory, one process', () => {
  it('refuses a second directory in this process', async () => {
    await expect(startClickHouseServer({ dataDir: `${dataDir}-other`, port: 0 })).rejects.toThrow(
      /already holds another ClickHouse data directory/,
    );
  });

  it('refuses a port that is taken, and leaves the engine usable', async () => {
    const port = Number(new URL(server.url).port);
    await expect(startClickHouseServer({ dataDir, port })).rejects.toThrow(/is taken/);
    expect(await rows('SELECT 1 AS x')).toEqual([{ x: 1 }]);
  });

  it('lets in who knows the password', async () => {
    const guarded = await startClickHouseServer({ dataDir, port: 0, user: 'ada', password: 'secret' });
    const status = (headers: Record<string, string>, query = '') =>
      fetch(`${guarded.url}/?query=SELECT%201${query}`, { headers }).then((r) => r.status);
    const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` });
    expect(await status({})).toBe(403);
    expect(await status(basic('ada:wrong'))).toBe(403);
    expect(await status(basic('ada:secret'))).toBe(200);
    expect(await status({ 'x-clickhouse-user': 'ada', 'x-clickhouse-key': 'secret' })).toBe(200);
    expect(await status({}, '&user=ada&password=secret')).toBe(200);
    const ada = createClient({ url: guarded.url, username: 'ada', password: 'secret' });
    expect(await (await ada.query({ query: 'SELECT 1 AS x', format: 'JSONEachRow' })).json()).toEqual([
      { x: 1 },
    ]);
    await ada.close();
    await guarded.close();
  });
});
