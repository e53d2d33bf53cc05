import { fileURLToPath } from 'node:url';
import { parquetReadObjects } from 'hyparquet';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureTables } from '../../infrastructure/clickhouse/ensure-tables.ts';
import { createMemoryArtefacts } from '../../infrastructure/memory/artefacts.ts';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../infrastructure/memory/warehouse.ts';
import { createModelRegistry } from '../../infrastructure/registry/models.ts';
import { writeReference } from '../../monitoring/drift/references.ts';
import { measure, writeMeasures } from '../../monitoring/measures.ts';
import { writeTick } from '../../monitoring/progress.ts';
import { registerVersion } from '../../pipelines/rollout/moves.ts';
import { tables } from '../../schemas/names.ts';
import { MINUTE, SECOND } from '../../schemas/time.ts';
import { createArchive } from '../../streams/archive/archive.ts';
import { pauseSource } from '../../streams/ingest/pause.ts';
import { SILENT } from '../../streams/runtime/telemetry.ts';
import { artefactFor } from '../simulation/versions.ts';
import { tripStart } from '../streams/plane.ts';
import { declarationsIn } from './declarations.ts';
import { type ApiWorld, createApiWorld } from './world.ts';

const headers = { host: 'localhost' };

const until = async <T>(what: string, look: () => Promise<T | undefined>): Promise<T> => {
  for (const end = Date.now() + 30_000; Date.now() < end; ) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`${what} did not come`);
};

describe('what the archive tells over HTTP', () => {
  let warehouse: MemoryWarehouse;
  let world: ApiWorld;
  const artefacts = createMemoryArtefacts();
  const stop = new AbortController();
  let archiving: Promise<void>;
  // A whole number of minutes, so that heads are easy to name.
  const start = Math.floor((Date.now() - 20 * MINUTE) / MINUTE) * MINUTE;

  const post = (url: string, payload: object | string, type = 'application/json') =>
    world.app.inject({ method: 'POST', url, headers: { ...headers, 'content-type': type }, payload });
  const get = async (url: string) => (await world.app.inject({ url, headers })).json();

  beforeAll(async () => {
    warehouse = await createMemoryWarehouse();
    const directory = fileURLToPath(new URL('../simulation/project', import.meta.url));
    world = await createApiWorld({ warehouse, artefacts, declarations: declarationsIn(directory) });
    const { project, deps } = world;
    await ensureTables(warehouse, project);
    world.run();
    const { kafka, codecs, clock } = deps;
    archiving = createArchive({ project, kafka, codecs, clock, warehouse, telemetry: SILENT }).run(
      stop.signal,
    );
    const events = Array.from({ length: 60 }, (_, i) => ({
      ...tripStart(`e${i}`, start + i * 12 * SECOND, ['north', 'south'][i % 2]),
      ...(i % 3 === 2
        ? { type: 'trip.ended', price: 10 + i, started_at: start + (i - 1) * 12 * SECOND }
        : {}),
    }));
    const lines = events.map((one) => JSON.stringify(one)).join('\n');
    expect((await post('/v1/events/trips', lines, 'application/x-ndjson')).statusCode).toBe(202);
    await until('the events', async () => {
      const [row] = await warehouse.query<{ n: number }>(
        `SELECT count() AS n FROM ${tables.events(project.prefix, 'trips')} FINAL`,
      );
      return row?.n === 60 ? true : undefined;
    });
  });
  afterAll(async () => {
    stop.abort();
    await archiving;
    await world.close();
    await warehouse.close();
  });

  it('answers that were asked over HTTP are archived once, found and explained', async () => {
    const request = { ...tripStart('asked-1', start + 8 * MINUTE), id: 'asked-1' };
    const answer = (await post('/v1/models/cost/predict', { request })).json();
    const rows = await until('the row', async () => {
      const { predictions } = await get(`/v1/models/cost/predictions?request=asked-1`);
      return predictions.length > 0 ? predictions : undefined;
    });
    expect(rows).toEqual([
      expect.objectContaining({
        id: 'asked-1:cost',
        asked: true,
        score: answer.score,
        partition: answer.record.partition,
        offset: answer.record.offset,
        reason: null,
      }),
    ]);
    // The scorer of this world is no artefact, so nothing can be computed again.
    const explained = await get('/v1/models/cost/predictions/asked-1');
    expect(explained).toMatchObject({ status: 503, code: 'bad_address' });
    const byEntity = await get('/v1/models/cost/predictions?entity=north&limit=5');
    expect(byEntity.predictions.length).toBe(5);
  });

  it('the books of the stream do not count what was asked', async () => {
    const begun = (await post('/v1/audit', '')).json();
    const job = await until('the audit', async () => {
      const status = await get(`/v1/jobs/${begun.id}`);
      return status.finishedAt === null ? undefined : status;
    });
    expect(job).toMatchObject({ state: 'done', error: null });
    const audit = await get('/v1/audit');
    expect(audit.findings).toEqual([]);
    expect(audit.models[0]).toMatchObject({ requests: 40, predictions: 40, rows: 40 });
  });

  const history = async (type: string, table: string | Buffer, query = 'views=zone,line') => {
    const begun = await post(`/v1/history?${query}`, table, type);
    if (begun.statusCode !== 202) return begun;
    const { id } = begun.json();
    await until('the job', async () => {
      const status = await get(`/v1/jobs/${id}`);
      return status.finishedAt === null ? undefined : status;
    });
    return world.app.inject({ url: `/v1/jobs/${id}/result`, headers });
  };

  it("a table's features are those that live reads gave at the same time, bit for bit", async () => {
    const times = [3, 5, 7, 9].map((minutes) => start + minutes * MINUTE + 7 * SECOND);
    const rows = times.flatMap((time, i) => [
      { row: `a${i}`, zone: 'north', to: 'station', time },
      { row: `b${i}`, zone: 'south', to: 'station', time: new Date(time).toISOString() },
    ]);
    // Not in the order of time.
    const lines = rows.toReversed().map((row) => JSON.stringify(row));
    const answer = await history('application/x-ndjson', lines.join('\n'));
    expect(answer.headers['content-type']).toContain('application/x-ndjson');
    const joined = answer.body
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(joined.map(({ row }) => row)).toEqual(rows.toReversed().map(({ row }) => row));
    for (const one of joined) {
      const at = typeof one.time === 'number' ? one.time : Date.parse(String(one.time));
      for (const [view, entity] of [
        ['zone', one.zone],
        ['line', `${one.zone}|${one.to}`],
      ]) {
        const live = await get(`/v1/features/${view}?entity=${encodeURIComponent(String(entity))}&at=${at}`);
        for (const [name, value] of Object.entries(live.features))
          expect([view, entity, name, one[`${view}.${name}`]]).toEqual([view, entity, name, value]);
      }
    }
    expect(joined.some((one) => Number(one['zone.starts_10m']) > 3)).toBe(true);
  });

  it('takes and gives Parquet: the same features as for lines of JSON, and each column with its type', async () => {
    const time = start + 7 * MINUTE;
    const rows = ['north', 'south', null].map((zone, i) => ({
      zone,
      to: 'station',
      time,
      note: i,
      big: i + 2 ** 40,
    }));
    const columnData = [
      { name: 'zone', data: rows.map(({ zone }) => zone), type: 'STRING' as const },
      { name: 'to', data: rows.map(({ to }) => to), type: 'STRING' as const },
      { name: 'time', data: rows.map(() => new Date(time)), type: 'TIMESTAMP' as const },
      { name: 'note', data: rows.map(({ note }) => note), type: 'INT32' as const },
      { name: 'big', data: rows.map(({ big }) => BigInt(big)), type: 'INT64' as const },
    ];
    const table = Buffer.from(parquetWriteBuffer({ columnData }));
    const answer = await history('application/vnd.apache.parquet', table);
    expect([answer.statusCode, answer.headers['content-type']]).toEqual([
      200,
      'application/vnd.apache.parquet',
    ]);
    const joined = await parquetReadObjects({ file: new Uint8Array(answer.rawPayload).buffer });
    const lines = await history('application/x-ndjson', rows.map((row) => JSON.stringify(row)).join('\n'));
    const expected = lines.body
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(joined).toEqual(
      expected.map((row) => ({ ...row, time: new Date(time), big: BigInt(row.big as number) })),
    );
    expect(joined[0]?.['zone.starts_10m']).toBeGreaterThan(0);
    expect(joined[2]?.['zone.starts_10m']).toBeNull();
  });

  it.each([
    ['no Parquet', Buffer.from('PAR1 or not'), 'bad_table'],
    [
      'bytes',
      Buffer.from(parquetWriteBuffer({ columnData: [{ name: 'time', data: [{ a: 1 }], type: 'JSON' }] })),
      'bad_table',
    ],
    [
      '2^60',
      Buffer.from(parquetWriteBuffer({ columnData: [{ name: 'time', data: [2n ** 60n], type: 'INT64' }] })),
      'bad_table',
    ],
    [
      'no column for the key',
      Buffer.from(parquetWriteBuffer({ columnData: [{ name: 'time', data: [1n], type: 'INT64' }] })),
      'missing_column',
    ],
  ])('refuses Parquet with %s', async (_, table, code) => {
    const answer = await history('application/vnd.apache.parquet', table);
    expect([answer.statusCode, answer.json().code]).toEqual([422, code]);
  });

  it('takes and gives CSV, quotes and all; a row that lacks a key stays empty', async () => {
    const time = start + 7 * MINUTE;
    const csv = `note,zone,to,when\r\n"a, ""b""\n",north,station,${time}\r\nempty,,station,${new Date(time).toISOString()}\r\n`;
    const answer = await history('text/csv', csv, 'views=zone&time=when');
    const [head, first, , second] = answer.body.split('\n');
    expect(head).toMatch(/^note,zone,to,when,zone\.price_sum_1m,/);
    expect(`${first}\n`).toBe('"a, ""b""\n');
    expect(second).toMatch(/^empty,,station,[^,]+,,+$/);
  });

  it.each([
    ['no view', 'views=zones', 'zone,time\na,1\n', 404, 'unknown_view'],
    ['no column of a key', 'views=line', 'zone,time\na,1\n', 422, 'missing_column'],
    ['no column of the time', 'views=zone', 'zone,at\na,1\n', 422, 'missing_column'],
    ['no time', 'views=zone', 'zone,time\na,yesterday\n', 422, 'bad_time'],
    ['no rows', 'views=zone', 'zone,time\n', 422, 'no_rows'],
    ['nothing', 'views=zone', '', 422, 'no_rows'],
    ['a short row', 'views=zone', 'zone,time\na\n', 422, 'bad_row'],
    ['an open quote', 'views=zone', 'zone,time\n"a,1\n', 422, 'bad_row'],
    ['a column twice', 'views=zone', 'zone,zone\na,1\n', 422, 'bad_header'],
    ['a column that the join adds', 'views=zone', 'zone,time,zone.starts_1m\na,1,2\n', 422, 'taken_column'],
  ])('refuses a table with %s', async (_, query, csv, status, code) => {
    const answer = await post(`/v1/history?${query}`, csv, 'text/csv');
    expect([answer.statusCode, answer.json().code]).toEqual([status, code]);
  });

  it('scores a table only where there is a champion in the registry, and says so', async () => {
    const begun = await post(
      '/v1/models/cost/score',
      `zone,to,car,time\nnorth,station,c,${start}\n`,
      'text/csv',
    );
    const job = await until('the job', async () => {
      const status = await get(`/v1/jobs/${begun.json().id}`);
      return status.finishedAt === null ? undefined : status;
    });
    expect(job).toMatchObject({ state: 'failed', error: { code: 'no_model' } });
    const result = await world.app.inject({ url: `/v1/jobs/${job.id}/result`, headers });
    expect([result.statusCode, result.json().code]).toEqual([409, 'not_done']);
  });

  it('dead letters are counted and shown', async () => {
    const late = { ...tripStart('late-1', start - 5 * MINUTE) };
    expect((await post('/v1/events/trips', late)).statusCode).toBe(202);
    const { reasons } = await until('the letter', async () => {
      const counted = await get('/v1/dead-letters');
      return counted.reasons.length > 0 ? counted : undefined;
    });
    expect(reasons).toEqual([expect.objectContaining({ source: 'trips', code: 'late', records: 1 })]);
    const { letters } = await get('/v1/dead-letters/trips?code=late');
    expect(letters).toEqual([expect.objectContaining({ eventId: 'late-1', stage: 'lateness' })]);
    expect(Buffer.from(letters[0].value, 'base64').length).toBeGreaterThan(10);
  });

  it('dead letters come back, once, or are told what would become of them', async () => {
    const replay = async (body: object) => (await post('/v1/dead-letters/replay', body)).json();
    const late = { source: 'trips', reason: 'late', code: null, letters: 1, example: 'late-1' };
    const asked = { source: 'trips', code: 'late', reason: '  it is wanted for training ' };
    expect(await replay({ ...asked, dry_run: true })).toEqual({
      applied: false,
      sent: 0,
      history: 0,
      letters: [{ ...late, outcome: 'late' }],
      effect: null,
    });
    const { effect } = await replay({ ...asked, dry_run: true, effect: true });
    expect(effect.features).toEqual([]);
    expect(effect.decisions).toEqual([
      expect.objectContaining({ model: 'cost', asked: 0, decisions: null, looked: expect.any(Number) }),
    ]);
    expect(effect.decisions[0].vectors).toBeGreaterThan(0);
    expect(await replay({ ...asked, dry_run: false })).toMatchObject({ applied: true, sent: 0, history: 1 });
    expect(await replay({ ...asked, dry_run: false })).toMatchObject({
      history: 0,
      letters: [{ ...late, outcome: 'done' }],
    });
    const rows = await warehouse.query(
      `SELECT event_id, state, reason, who FROM ${tables.letterReplays(world.project.prefix)} FINAL`,
    );
    const why = { reason: 'it is wanted for training', who: 'local, by HTTP' };
    expect(rows).toEqual([{ event_id: 'late-1', state: 'history', ...why }]);
    const fix = { fix: 'a', set: { nothing: '1' } };
    expect(await replay({ ...asked, dry_run: true, fix })).toMatchObject({ status: 422, code: 'bad_fix' });
    expect(await replay({ dry_run: true, reason: 'x', source: 'trip' })).toMatchObject({ status: 404 });
  });

  it('a source that is paused is shown, and read on', async () => {
    const { deps, project } = world;
    const pause = { since: 1, rejects: 5, within: 60_000, code: 'rule_failed', detail: 'No.' };
    await pauseSource(deps, 'trips', { ...pause, declared: project.hash });
    const { sources } = await get('/v1/sources');
    expect(sources).toEqual([
      { source: 'trips', paused: expect.objectContaining({ since: 1, code: 'rule_failed' }) },
    ]);
    expect(sources[0].paused.sentence).toContain('The source trips is paused: 5 of its records');
    const resume = async () => (await post('/v1/sources/trips/resume', { reason: 'it is mended' })).json();
    expect(await resume()).toEqual({ source: 'trips', resumed: true });
    expect(await resume()).toEqual({ source: 'trips', resumed: false });
    const { alerts } = await until('the alert', async () => {
      const found = await get('/v1/alerts');
      return found.alerts.length > 0 ? found : undefined;
    });
    expect(alerts[0]).toMatchObject({ rule: 'source_paused', state: 'resolved', subject: 'trips' });
    expect(alerts[0].summary).toContain('it is mended (local, by HTTP)');
  });

  it('silences hold, name who made them and why, and end', async () => {
    const silence = (
      await post('/v1/silences', { model: 'cost', for: '2h', reason: '  known storm ' })
    ).json();
    expect(silence).toMatchObject({ model: 'cost', rule: '', by: 'local, by HTTP', reason: 'known storm' });
    expect((await get('/v1/silences')).silences).toEqual([silence]);
    for (const [body, code] of [
      [{ for: '2h', reason: 'x' }, 'nothing_named'],
      [{ model: 'costs', for: '2h', reason: 'x' }, 'unknown_model'],
      [{ rule: 'none', for: '2h', reason: 'x' }, 'unknown_rule'],
    ] as const)
      expect((await post('/v1/silences', body)).json().code).toBe(code);
    for (const body of [
      { model: 'cost', for: '2h' },
      { model: 'cost', for: '2h', reason: ' ' },
      { model: 'cost', for: 'soon', reason: 'x' },
      { model: 'cost', for: '0s', reason: 'x' },
    ])
      expect((await post('/v1/silences', body)).statusCode).toBeOneOf([400, 422]);
    await post(`/v1/silences/${silence.id}/end`, { reason: 'over' });
    expect((await get('/v1/silences')).silences).toEqual([]);
  });

  it('events of an entity are told, the newest first, with their fields', async () => {
    const all = await get('/v1/features/zone/events?entity=north');
    expect(all.events.length).toBeGreaterThanOrEqual(30);
    const times = all.events.map(({ time }: { time: number }) => time);
    expect(times).toEqual(times.toSorted((a: number, b: number) => b - a));
    expect(all.events.every(({ fields }: { fields: { zone: string } }) => fields.zone === 'north')).toBe(
      true,
    );
    const some = await get(`/v1/features/line/events?entity=north%7Cstation&limit=3&to=${start + MINUTE}`);
    expect(some.events.map(({ id }: { id: string }) => id)).toEqual(['e4', 'e2', 'e0']);
    expect(some.events[0]).toMatchObject({ source: 'trips', type: 'trip.started', imported: false });
    expect((await get('/v1/features/zone/events?entity=nobody')).events).toEqual([]);
    expect((await get('/v1/features/line/events?entity=north')).code).toBe('bad_entity');
    expect((await get('/v1/features/zones/events?entity=north')).code).toBe('unknown_view');
  });

  it('entities that had events lately are told, those with most first', async () => {
    const { entities } = await get('/v1/features/zone/entities');
    const keys = entities.map(({ entity }: { entity: string }) => entity);
    expect(keys).toEqual(expect.arrayContaining(['north', 'south']));
    const counts = entities.map(({ events }: { events: number }) => events);
    expect(counts).toEqual(counts.toSorted((a: number, b: number) => b - a));
    const events = (await get('/v1/features/zone/events?entity=north&limit=1000')).events;
    const north = entities.find(({ entity }: { entity: string }) => entity === 'north');
    expect(north).toEqual({ entity: 'north', events: events.length, last: events[0].time });
    const [line] = (await get('/v1/features/line/entities?limit=1')).entities;
    // The key is the one that features and events of the entity are asked by.
    const of = encodeURIComponent(line.entity);
    expect((await get(`/v1/features/line/events?entity=${of}&limit=1000`)).events).toHaveLength(line.events);
    expect((await get('/v1/features/zones/entities')).code).toBe('unknown_view');
  });

  it('the record behind a prediction is told as it was sent, while its topic keeps it', async () => {
    const sent = tripStart('as it was sent', start + 9 * MINUTE, 'north');
    const { topic, partition, offset } = (await post('/v1/events/trips', sent)).json();
    const at = `/v1/sources/trips/records/${partition}`;
    const record = await get(`${at}/${offset}`);
    expect(record).toMatchObject({ topic, partition, offset });
    const producer = await world.deps.kafka.producer();
    const value = Buffer.from('{"no": "event"');
    const [place] = await producer.place([{ topic, partition, key: null, value }]);
    await producer.close();
    expect(Buffer.from(record.value, 'base64').toString()).toContain('as it was sent');
    expect(await get(`${at}/${place}`)).toMatchObject({ key: null, value: value.toString('base64') });
    expect((await get(`${at}/999999`)).code).toBe('unknown_record');
    expect((await get(`/v1/sources/trips/records/99/0`)).code).toBe('unknown_record');
    expect((await get(`${at}/x`)).code).toBe('bad_request');
    expect((await get(`/v1/sources/trip/records/0/0`)).code).toBe('unknown_source');
    // The log is cut behind its first record.
    const admin = await world.deps.kafka.admin();
    await admin.deleteRecords(topic, [{ partition, offset: 1 }]);
    await admin.close();
    expect((await get(`${at}/0`)).code).toBe('unknown_record');
  });

  it('a version tells how the values were spread where it learnt', async () => {
    const { project, deps } = world;
    const [model] = project.models;
    if (model === undefined) throw new Error('the project has a model');
    const registry = createModelRegistry({
      kafka: deps.kafka,
      codec: deps.codecs.models,
      prefix: project.prefix,
      now: Date.now,
    });
    const made = { model: 'cost', artefact: '0'.repeat(64), location: '', layout: model.layoutHash };
    await registerVersion(
      registry,
      { ...made, as: 'candidate' },
      { by: 'test', reason: 'tried', effectiveFrom: null },
    );
    const width = model.features.length;
    const rows = Float64Array.from({ length: 101 * width }, (_, i) =>
      i % width === 0 ? Math.floor(i / width) : Number.NaN,
    );
    await writeReference(warehouse, project, model, {
      version: 1,
      artefact: made.artefact,
      ids: Array.from({ length: 101 }, (_, i) => `r${i}`),
      times: new Float64Array(101).fill(start),
      rows,
      scoreOf: () => 0.5,
      labels: new Uint8Array(101),
    });
    const inputs = await get('/v1/models/cost/versions/1/inputs');
    expect(inputs.rows).toBe(101);
    expect(inputs.features).toHaveLength(width);
    expect(inputs.features[0]).toEqual({
      name: model.features[0]?.name,
      nulls: 0,
      quantiles: [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100],
    });
    expect(inputs.features[1]).toMatchObject({ nulls: 1, quantiles: null });
    expect((await get('/v1/models/cost/versions/7/inputs')).code).toBe('unknown_version');
    expect((await get('/v1/models/cost/versions/7/shadow')).code).toBe('unknown_version');
    expect(await get('/v1/models/cost/versions/1/shadow')).toMatchObject({ looks: [], champion: null });
  });

  it('a statement of SQL reads, within its rows, and changes nothing', async () => {
    const table = tables.events(world.project.prefix, 'trips');
    const ask = async (sql: string, limit?: number) => (await post('/v1/sql', { sql, limit })).json();
    const answer = await ask(
      `SELECT id, toInt32(3) AS three, NULL AS none FROM ${table} ORDER BY id LIMIT 2;`,
    );
    expect(answer).toMatchObject({
      columns: [{ name: 'id', type: 'String' }, { name: 'three' }, { name: 'none' }],
      rows: [
        ['e0', 3, null],
        ['e1', 3, null],
      ],
      cut: false,
    });
    const many = await ask('SELECT number FROM numbers(100000000) -- and more', 5);
    expect([many.rows.length, many.cut]).toEqual([5, true]);
    expect((await ask('SHOW TABLES')).rows.flat()).toContain(table);
    for (const [sql, code, detail] of [
      ['SELECT * FROM nothing_here', 'bad_sql', 'nothing_here'],
      ['SELEC 1', 'not_taken', 'Only SELECT'],
      [`DROP TABLE ${table}`, 'not_taken', 'Only SELECT'],
      ["SELECT 1 INTO OUTFILE '/tmp/x'", 'bad_sql', 'OUTFILE'],
      ["SELECT * FROM file('/etc/passwd', 'LineAsString')", 'not_taken', 'file() reads from outside'],
      ["SELECT * FROM /* a */ url ('http://x')", 'not_taken', 'url() reads from outside'],
      ['SELECT 1 SETTINGS max_execution_time = 0', 'bad_sql', 'readonly'],
      [`WITH 1 AS a INSERT INTO ${table} (id) SELECT 'x'`, 'bad_sql', ''],
      ['SELECT 1; SELECT 2', 'bad_sql', ''],
    ] as const) {
      const refused = await ask(sql);
      expect([sql, refused.code], refused.detail).toEqual([sql, code]);
      expect(refused.detail).toContain(detail);
    }
    expect((await ask("SELECT 'file(' AS text")).rows).toEqual([['file(']]);
    // The limits of one statement are no other's.
    expect(await warehouse.query(`SELECT count() > 50 AS many FROM ${table}`)).toEqual([{ many: 1 }]);
  });

  it('a query of the warehouse is scored as its rows would be, whose types the statement says', async () => {
    const { project, deps } = world;
    const [model] = project.models;
    if (model === undefined) throw new Error('the project has a model');
    const scored = { ...model, name: 'cost' };
    const made = artefactFor(scored, 7);
    await artefacts.put(made.bytes);
    const registry = createModelRegistry({
      kafka: deps.kafka,
      codec: deps.codecs.models,
      prefix: project.prefix,
    });
    const version = { model: 'cost', artefact: made.address, location: '', layout: made.layout };
    const { version: registered } = await registerVersion(
      registry,
      { ...version, as: 'candidate' },
      { by: 'test', reason: 'tried', effectiveFrom: null },
    );
    const ended = async (begun: { json(): { id: string } }) => {
      const job = await until('the job', async () => {
        const status = await get(`/v1/jobs/${begun.json().id}`);
        return status.finishedAt === null ? undefined : status;
      });
      return {
        job,
        text: (await world.app.inject({ url: `/v1/jobs/${job.id}/result`, headers })).body,
      };
    };
    const table = tables.events(project.prefix, 'trips');
    // A time is read in UTC, whatever zone its column is shown in.
    const columns = "id, toTimeZone(time, 'Asia/Tokyo') AS time, car, zone, `to`, 1 AS mine";
    const where = `FROM ${table} FINAL WHERE type = 'trip.started' ORDER BY id LIMIT 20`;
    const query = await post('/v1/models/cost/score/query', {
      sql: `SELECT ${columns} ${where}`,
      version: registered.version,
    });
    expect(query.statusCode).toBe(202);
    const one = await ended(query);
    expect(one.job).toMatchObject({ error: null, state: 'done', kind: 'score', done: 20, total: 20 });
    // The same rows, sent as a table by hand.
    const rows = await warehouse.query<Record<string, string>>(
      `SELECT id, toUnixTimestamp64Milli(time) AS time, car, zone, \`to\`, 1 AS mine ${where}`,
    );
    const csv = rows.map((row) => [row.id, row.time, row.car, row.zone, row.to, row.mine].join(','));
    const sent = await ended(
      await post(
        `/v1/models/cost/score?version=${registered.version}`,
        `id,time,car,zone,to,mine\n${csv.join('\n')}\n`,
        'text/csv',
      ),
    );
    const scoresOf = (text: string) => text.split('\n').map((line) => line.split(',').slice(-4).join(','));
    expect(one.text.split('\n')[0]).toBe('id,time,car,zone,to,mine,score,decision,model_version,reason');
    expect(scoresOf(one.text)).toEqual(scoresOf(sent.text));
    expect(new Set(scoresOf(one.text)).size).toBeGreaterThan(3);

    for (const [sql, code, status] of [
      [`DROP TABLE ${table}`, 'not_taken', 422],
      ["SELECT * FROM url('http://x')", 'not_taken', 422],
    ] as const) {
      const refused = await post('/v1/models/cost/score/query', { sql });
      expect([refused.statusCode, refused.json().code]).toEqual([status, code]);
    }
    for (const [sql, code, detail] of [
      [`SELECT ${columns} FROM nothing_here`, 'bad_sql', 'nothing_here'],
      [`SELECT ${columns} ${where} INTO OUTFILE '/tmp/x'`, 'bad_sql', 'OUTFILE'],
      ['SELECT number FROM numbers(200001)', 'too_many_rows', '200000'],
      [`SELECT repeat('x', 1000000) FROM numbers(200)`, 'bad_sql', 'more than 100 MB'],
      [`SELECT ${columns} FROM ${table} WHERE 1 = 0`, 'no_rows', 'no rows'],
      [`SELECT id, id FROM ${table}`, 'bad_header', "'id'"],
      [`SELECT id, time, car, \`to\`, 5 AS zone FROM ${table}`, 'wrong_type', 'Row 1'],
      [`SELECT id, time, car, zone FROM ${table}`, 'missing_column', "'to'"],
    ] as const) {
      const { job } = await ended(
        await post('/v1/models/cost/score/query', { sql, version: registered.version }),
      );
      expect([sql, job.state, job.error?.code]).toEqual([sql, 'failed', code]);
      expect(job.error.detail).toContain(detail);
    }
  });

  it('a view is tried on history beside the one it would replace', async () => {
    const { text } = await get('/v1/views/zone/declaration');
    expect(text).toContain('view: zone');
    const tried = async (declaration: string) => {
      const begun = await post('/v1/try', { declaration, reads: 20 });
      if (begun.statusCode !== 202) return begun.json();
      const { id } = begun.json();
      await until('the trial', async () => {
        const status = await get(`/v1/jobs/${id}`);
        return status.finishedAt === null ? undefined : status;
      });
      return get(`/v1/jobs/${id}/result`);
    };
    const same = await tried(text);
    expect(same).toMatchObject({ view: 'zone', replaces: true, same: true, reads: 20, before: null });
    const declared = world.project.views.find(({ name }) => name === 'zone')?.features ?? [];
    expect(same.features.map(({ name }: { name: string }) => name)).toEqual(declared.map(({ name }) => name));
    const changed = await tried(`${text}\n# the same, but for this line\n`);
    expect(changed.same).toBe(false);
    // As the project's own view, feature by feature.
    expect(changed.before).toEqual(same.features);
    expect(changed.features).toEqual(same.features);
    for (const [declaration, code, detail] of [
      ['view: zone\nentity: [zone]\nresolution: 1m\nfeatures: []\n', 'bad_declaration', 'declaration:4:'],
      ['source: x\n', 'bad_declaration', 'neither a view nor a model'],
      ['model: x\n', 'bad_declaration', 'A view is tried here'],
    ] as const) {
      const refused = await tried(declaration);
      expect(refused.code, declaration).toBe(code);
      expect(refused.detail).toContain(detail);
    }
    expect((await get('/v1/views/zones/declaration')).code).toBe('unknown_view');
  });

  it('figures, ticks and runs are there, empty at first', async () => {
    expect((await get('/v1/models/cost/quality')).measures).toEqual([]);
    expect((await get('/v1/models/cost/drift')).measures).toEqual([]);
    expect((await get('/v1/data')).measures).toEqual([]);
    expect((await get('/v1/runs')).runs).toEqual([]);
    expect((await get('/v1/pipeline-runs')).runs).toEqual([]);
    expect(await get('/v1/ticks')).toMatchObject({ ticks: [] });
    expect((await get('/v1/runs/none')).code).toBe('unknown_run');
    expect((await get('/v1/pipeline-runs/none')).code).toBe('unknown_run');
    expect((await get('/v1/alerts/none')).code).toBe('unknown_alert');
    expect((await get('/v1/models/cost/predictions/none')).code).toBe('unknown_prediction');
  });

  it('drift is that of the newest window with requests, though labels came in one after it', async () => {
    const { prefix } = world.project;
    for (const [tick, subjects] of [
      [start, ['zone.starts_10m', 'label']],
      [start + MINUTE, ['label']],
    ] as const) {
      const of = { model: 'cost', version: 1, from: tick - MINUTE, to: tick, tick, rows: 9, value: 0.1 };
      const measures = subjects.map((subject) =>
        measure({ ...of, kind: 'drift', statistic: 'psi', subject }),
      );
      await writeMeasures(warehouse, prefix, 'test', measures, tick);
      await writeTick(warehouse, prefix, tick, 'finished', {}, tick);
    }
    const { measures } = await get('/v1/models/cost/drift');
    const found = measures.map(({ subject, tick }: { subject: string; tick: number }) => [subject, tick]);
    expect(found.sort()).toEqual([
      ['label', start],
      ['zone.starts_10m', start],
    ]);
    expect((await get(`/v1/models/cost/drift?at=${start + MINUTE}`)).measures).toHaveLength(1);
  });

  it('topology shows what flows, with lags', async () => {
    const topology = await get('/v1/topology');
    const raw = topology.topics.find(({ kind }: { kind: string }) => kind === 'raw');
    expect(raw.records).toBeGreaterThanOrEqual(60);
    expect(topology.streams.map(({ stream }: { stream: string }) => stream)).toEqual([
      'ingest',
      'features',
      'inference',
      'archive',
      'delivery',
    ]);
  });

  it('monitoring counts what was asked beside what was streamed', async () => {
    const { answersOf } = await import('../../infrastructure/clickhouse/tables.ts');
    const [row] = await warehouse.query<{ n: number; asked: number }>(
      `SELECT count() AS n, countIf(endsWith(source_topic, 'asked.cost')) AS asked FROM ${answersOf(world.project.prefix, 'cost')}`,
    );
    expect(row).toEqual({ n: 41, asked: 1 });
  });
});
