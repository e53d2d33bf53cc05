import { describe, expect, it } from 'vitest';
import { startClickHouseServer } from '../../../infrastructure/local/clickhouse-server.ts';
import { clickhouseForTests, createClient, real } from './clickhouse-harness.ts';

const { client, count, dataDir, post, rows, table, url } = clickhouseForTests();

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
        await client().command({ query: `TRUNCATE TABLE ${name}` });
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
    expect(await (await fetch(`${url()}/ping`)).text()).toBe('Ok.\n');
    expect(await (await fetch(`${url()}/`)).text()).toBe('Ok.\n');
    expect((await fetch(`${url()}/nowhere`)).status).toBe(404);
    const get = (query: string) =>
      fetch(`${url()}/?query=${encodeURIComponent(query)}&param_x=4&max_threads=1`);
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
      client().insert({
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
    const many = createClient({ url: url(), max_open_connections: 20 });
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
    const port = Number(new URL(url()).port);
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
