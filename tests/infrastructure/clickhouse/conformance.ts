import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureTables, removeTables } from '../../../infrastructure/clickhouse/ensure-tables.ts';
import type { Warehouse } from '../../../infrastructure/clickhouse/port.ts';
import { readEvents } from '../../../infrastructure/clickhouse/read-events.ts';
import {
  deadLetterEncoder,
  type EventRow,
  eventEncoder,
  predictionEncoder,
} from '../../../infrastructure/clickhouse/rows.ts';
import { featureViewName, tableSpecs, viewSpecs } from '../../../infrastructure/clickhouse/tables.ts';
import type { EventRecord } from '../../../schemas/event.ts';
import { tables } from '../../../schemas/names.ts';
import type { Project, Source } from '../../../schemas/project.ts';
import type { Prediction } from '../../../schemas/records/prediction.ts';
import { trips, tripsProject } from './project.ts';

const row = (event: EventRecord, place: Partial<EventRow> = {}): EventRow => ({
  event,
  importId: '',
  sourceTopic: 'trips.raw',
  sourcePartition: 0,
  sourceOffset: 0,
  appendTime: 5,
  arrivedAt: null,
  archivedPartition: 0,
  archivedOffset: 0,
  ...place,
});

export const prediction: Prediction = {
  format: 1,
  id: 'a:late',
  requestId: 'a',
  requestTime: 1_000_000_000_123,
  status: 'scored',
  reason: null,
  model: 'late',
  modelVersion: 3,
  artefact: 'ff00',
  score: 0.1 + 0.2,
  decision: false,
  layout: 'layout-1',
  vector: [1 / 3, Number.NaN],
  reads: [
    {
      read: 'origin',
      view: 'origin@12345678',
      entity: 'ORD',
      head: 1_000_000_000_000,
      asOf: 999_999_999_000,
      sketchAsOf: null,
      ageMs: 1_123,
    },
  ],
  sourceTopic: 'trips.raw',
  sourcePartition: 2,
  sourceOffset: 2 ** 40,
  rawAppendTime: 7,
  waitMs: 0.5,
  readMs: 1.25,
  scoreMs: 0.1,
  absent: [],
};

/** What every warehouse must do. */
export function checkWarehouse(name: string, open: () => Promise<Warehouse>): void {
  describe(`warehouse: ${name}`, () => {
    let warehouse: Warehouse;
    const made: Project[] = [];
    beforeAll(async () => {
      warehouse = await open();
      await prepared();
    });
    afterAll(async () => {
      for (const { prefix } of made) await removeTables(warehouse, prefix);
      await warehouse.close();
    });

    async function prepared(source: Source = trips): Promise<Project> {
      const project = tripsProject(source);
      made.push(project);
      await ensureTables(warehouse, project);
      return project;
    }

    async function write(project: Project, rows: readonly EventRow[], token = String(Math.random())) {
      const encoder = eventEncoder(project.sources[0] ?? trips);
      const table = tables.events(project.prefix, 'trips');
      await warehouse.insertRaw(table, encoder.columns, encoder.format, encoder.encode(rows), { token });
    }

    async function readAll(project: Project, options: Partial<Parameters<typeof readEvents>[3]> = {}) {
      const rows: Array<{ event: EventRecord; place: [string, number, number, number] }> = [];
      const source = project.sources[0] ?? trips;
      for await (const batch of readEvents(warehouse, project, source, {
        from: null,
        to: null,
        ...options,
      })) {
        batch.events.forEach((event, i) => {
          const { importIds, sourcePartitions, sourceOffsets, appendTimes } = batch;
          rows.push({
            event,
            place: [
              importIds[i] ?? '?',
              sourcePartitions[i] ?? -1,
              sourceOffsets[i] ?? -1,
              appendTimes[i] ?? -1,
            ],
          });
        });
      }
      return rows;
    }

    it('takes parameters and answers 64-bit integers as numbers', async () => {
      const rows = await warehouse.query(
        'SELECT toInt64(7) AS big, {word:String} AS word, {list:Array(String)} AS list, {n:Float64} * 2 AS twice',
        { word: "it's\n\t\\", list: ['a', "b'"], n: 0.1 },
      );
      expect(rows).toEqual([{ big: 7, word: "it's\n\t\\", list: ['a', "b'"], twice: 0.2 }]);
    });

    it('takes any number of values, of any length', async () => {
      // Addresses above 16 kB are refused without a word, statements above 256 kB by default.
      const ids = Array.from({ length: 10_000 }, (_, i) => `merchant-${String(i).padStart(38, '0')}`);
      const [row] = await warehouse.query<{ n: number; last: string; found: number }>(
        `SELECT length({list:Array(String)}) AS n, {list:Array(String)}[-1] AS last,
           has({list:Array(String)}, concat('merchant-', leftPad('77', 38, '0'))) AS found`,
        { list: ids },
      );
      expect(row).toEqual({ n: 10_000, last: ids.at(-1), found: 1 });
      const bytes: Uint8Array[] = [];
      for await (const piece of await warehouse.stream(
        'SELECT {list:Array(String)} AS x FORMAT TabSeparated',
        {
          list: ids,
        },
      ))
        bytes.push(piece);
      expect(Buffer.concat(bytes).length).toBeGreaterThan(10_000 * 47);
    });

    it('takes inserts with a token and columns of any length, and knows a long token again', async () => {
      const { prefix } = tripsProject();
      const wide = `${prefix}_wide`;
      const names = Array.from({ length: 400 }, (_, i) => `a_rather_long_name_of_a_column_${i}`);
      await warehouse.command(
        `CREATE TABLE ${wide} (${names.map((name) => `${name} String`).join(', ')}, at DateTime64(3, 'UTC'))
         ENGINE = MergeTree ORDER BY tuple() SETTINGS non_replicated_deduplication_window = 100`,
      );
      try {
        const token = 'x'.repeat(40_000);
        const row = Object.fromEntries(names.map((name) => [name, "it's\n"]));
        const at = '2026-01-02T03:04:05.678Z';
        await warehouse.insert(wide, [{ ...row, at }], { token });
        await warehouse.insert(wide, [{ ...row, at }], { token });
        const raw = Buffer.concat(names.map(() => Buffer.from([2, 10, 10])));
        await warehouse.insertRaw(wide, names, 'RowBinary', raw, { token: `${token}y` });
        const rows = await warehouse.query<{ word: string; at: number }>(
          `SELECT ${names.at(-1)} AS word, toUnixTimestamp64Milli(at) AS at FROM ${wide} ORDER BY at`,
        );
        expect(rows).toEqual([
          { word: '\n\n', at: 0 },
          { word: "it's\n", at: Date.parse(at) },
        ]);
      } finally {
        await warehouse.command(`DROP TABLE ${wide}`);
      }
    });

    it('says what is wrong with a statement, in the words of ClickHouse', async () => {
      await expect(warehouse.query('SELECT (1')).rejects.toThrow(/SYNTAX_ERROR.*Syntax error/i);
      await expect(
        warehouse.query("SELECT throwIf(number = 70000, 'half way') FROM numbers(100000)"),
      ).rejects.toThrow('half way');
    });

    it('makes tables once, says what it would do, and adds columns for new fields', async () => {
      const project = tripsProject();
      made.push(project);
      const dry = await ensureTables(warehouse, project, { dryRun: true });
      expect(new Set(dry.map(({ action }) => action))).toEqual(new Set(['create']));
      expect(await ensureTables(warehouse, project, { dryRun: true })).toEqual(dry);
      expect(await ensureTables(warehouse, project)).toEqual(dry);
      const again = await ensureTables(warehouse, project);
      expect(new Set(again.map(({ action }) => action))).toEqual(new Set(['keep']));

      await write(project, [row({ id: 'a', type: 'trip', time: 1 })]);
      const grown = { ...trips, fields: [...trips.fields, { name: 'extra', type: 'int' as const }] };
      const larger = { ...project, sources: [grown] };
      const change = (await ensureTables(warehouse, larger)).filter(({ action }) => action !== 'keep');
      expect(change).toMatchObject([{ action: 'update', detail: 'adds extra' }]);
      expect((await readAll(larger))[0]?.event).toMatchObject({ id: 'a', extra: null });

      const other = { ...trips, fields: [{ name: 'place', type: 'int' as const }] };
      await expect(ensureTables(warehouse, { ...project, sources: [other] })).rejects.toThrow(
        /Column place is/,
      );
      const clash = { ...trips, fields: [{ name: 'import_id', type: 'int' as const }] };
      await expect(ensureTables(warehouse, { ...project, sources: [clash] })).rejects.toThrow(/import_id/);
    });

    it('removes the tables of one prefix and no other', async () => {
      const one = await prepared();
      const longer = { ...one, prefix: `${one.prefix}_b` };
      made.push(longer);
      await ensureTables(warehouse, longer);
      expect(await removeTables(warehouse, one.prefix)).toBe(tableSpecs(one).length + viewSpecs(one).length);
      expect(await removeTables(warehouse, one.prefix)).toBe(0);
      const left = await ensureTables(warehouse, longer, { dryRun: true });
      expect(new Set(left.map(({ action }) => action))).toEqual(new Set(['keep']));
    });

    it('drops an insert with the same token, and keeps the same rows under another as one row', async () => {
      const project = await prepared();
      const rows = [1, 2, 3].map((n) => row({ id: `e${n}`, type: 'trip', time: n }, { sourceOffset: n }));
      await write(project, rows, '0:1-3');
      await write(project, rows, '0:1-3');
      const count = async (final: string) =>
        warehouse.query(`SELECT count() AS n FROM ${tables.events(project.prefix, 'trips')} ${final}`);
      expect(await count('')).toEqual([{ n: 3 }]);
      await write(project, rows.slice(1), '0:2-3');
      expect(await count('FINAL')).toEqual([{ n: 3 }]);
      expect((await readAll(project)).map(({ event }) => event.id)).toEqual(['e1', 'e2', 'e3']);
    });

    it('keeps any event as it was', async () => {
      const project = await prepared();
      const nullable = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });
      const text = fc.oneof(
        fc.string({ unit: 'binary', maxLength: 200 }),
        fc.constantFrom('', '\n\n', 'a\n\nb\0'),
      );
      const integer = fc.integer({ min: -Number.MAX_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER });
      // The years 1 to 9999: DateTime64 shows only those from 1900 to 2299 as text, but keeps the number of each.
      const time = fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 });
      const event = fc.record({
        id: text,
        type: fc.constantFrom('trip', 'other', 'ö'),
        time,
        place: nullable(text),
        count: nullable(integer),
        amount: nullable(fc.double({ noDefaultInfinity: false })),
        good: nullable(fc.boolean()),
        'begun at': nullable(time),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(event, { minLength: 1, maxLength: 80 }), async (events) => {
          await warehouse.command(`TRUNCATE TABLE ${tables.events(project.prefix, 'trips')}`);
          await write(
            project,
            events.map((one, i) => row(one, { sourceOffset: i, sourcePartition: i % 3 })),
          );
          const back = (await readAll(project, { pageRows: 7 })).sort((a, b) => a.place[2] - b.place[2]);
          expect(back.map((one) => one.event)).toEqual(events);
        }),
        { numRuns: 15 },
      );
    });

    it('reads in order of time and lineage, whatever the order and number of inserts', async () => {
      const project = await prepared();
      const all: EventRow[] = [];
      for (let i = 0; i < 900; i++) {
        const time = 1_000_000 + Math.floor(i / 9) * 50;
        const place = { importId: i % 4 === 0 ? 'file' : '', sourcePartition: i % 3, sourceOffset: 10 + i };
        all.push(row({ id: `e${i}`, type: i % 2 === 0 ? 'trip' : 'other', time }, place));
      }
      const shuffled = all.map((one, i) => ({ one, at: (i * 7919) % 900 })).sort((a, b) => a.at - b.at);
      for (let i = 0; i < 900; i += 300)
        await write(
          project,
          shuffled.slice(i, i + 300).map(({ one }) => one),
        );
      await write(project, all.slice(100, 200));
      const key = (one: EventRow) =>
        [one.event.time, one.importId, one.sourcePartition, one.sourceOffset] as const;
      const sorted = [...all].sort((a, b) => {
        const [x, y] = [key(a), key(b)];
        for (let i = 0; i < x.length; i++) {
          const [p = 0, q = 0] = [x[i], y[i]];
          if (p !== q) return p < q ? -1 : 1;
        }
        return 0;
      });
      const ids = (rows: ReadonlyArray<{ readonly event: EventRecord }>) => rows.map(({ event }) => event.id);
      for (const pageRows of [1_000_000, 900, 64, 899]) {
        const read = await readAll(project, { pageRows });
        expect(ids(read)).toEqual(ids(sorted));
        expect(read.map(({ place }) => place.slice(0, 3))).toEqual(sorted.map((one) => key(one).slice(1)));
      }
      const some = sorted.filter(
        ({ event, importId, sourcePartition, sourceOffset }) =>
          event.time >= 1_001_000 &&
          event.time < 1_004_000 &&
          event.type === 'trip' &&
          (importId !== '' || (sourcePartition === 1 && sourceOffset <= 500)),
      );
      const cut = { from: 1_001_000, to: 1_004_000, types: ['trip'], upTo: [{ partition: 1, offset: 500 }] };
      expect(ids(await readAll(project, { ...cut, pageRows: 50 }))).toEqual(ids(some));
      const own = some.filter(({ importId }) => importId === '');
      expect(ids(await readAll(project, { ...cut, withoutImports: true }))).toEqual(ids(own));
      const few = await readAll(project, { columns: ['amount'], to: 1_000_001 });
      expect(Object.keys(few[0]?.event ?? {})).toEqual(['id', 'type', 'time', 'amount']);
    });

    it('keeps predictions, shows each feature by name, and dead letters byte by byte', async () => {
      const project = await prepared();
      const { prefix } = project;
      const encoder = predictionEncoder();
      const refused = {
        ...prediction,
        id: 'b:late',
        sourceOffset: 9,
        status: 'refused',
        reason: 'behind',
      } as const;
      const none = { ...refused, score: null, decision: null, vector: [], reads: [] };
      const old = { ...prediction, id: 'c:late', sourceOffset: 10, layout: 'layout-0' };
      const rows = [prediction, none, old].map((one, i) => ({
        prediction: one,
        appendTime: 1_000_000_000_500,
        archivedPartition: 2,
        archivedOffset: i,
      }));
      const table = tables.predictions(prefix, 'late');
      await warehouse.insertRaw(table, encoder.columns, encoder.format, encoder.encode(rows), { token: 'x' });
      expect(
        await warehouse.query(
          `SELECT id, toUnixTimestamp64Milli(request_time) AS t, score, decision, reason, source_offset AS o,
             reads.as_of[1] AS head, wait_ms, read_ms FROM ${table} FINAL WHERE id = 'a:late'`,
        ),
      ).toEqual([
        {
          id: 'a:late',
          t: 1_000_000_000_123,
          score: 0.1 + 0.2,
          decision: false,
          reason: '',
          o: 2 ** 40,
          head: '2001-09-09T01:46:39.000Z',
          wait_ms: 0.5,
          read_ms: 1.25,
        },
      ]);
      const named = await warehouse.query(
        `SELECT id, \`origin.late_1h\` AS late, \`it's \\\`odd\\\`\` AS odd FROM ${featureViewName(prefix, 'late')} ORDER BY id`,
      );
      expect(named).toEqual([
        { id: 'a:late', late: 1 / 3, odd: null },
        { id: 'b:late', late: null, odd: null },
        { id: 'c:late', late: null, odd: null },
      ]);

      const letters = deadLetterEncoder();
      const value = Uint8Array.from([0, 10, 10, 255, 13, 0]);
      const letter = {
        format: 1,
        stage: 'decode',
        code: 'bad_avro',
        detail: 'A sentence.',
        sourceTopic: 'trips.raw',
        sourcePartition: 0,
        sourceOffset: 4,
        appendTime: 1,
        arrivedAt: null,
        eventId: null,
        eventTime: null,
        writer: 'ingest',
        key: null,
        keyBytes: null,
        keySha256: null,
        value,
        valueBytes: 2 ** 53 - 1,
        valueSha256: 'abc',
        headers: [{ name: 'trace é', value: Buffer.from([0, 255]) }],
        headersBytes: 70_000,
      };
      const lettersTable = tables.deadLetters(prefix, 'trips');
      const bytes = letters.encode([{ letter, refusedTime: 2, archivedPartition: 0, archivedOffset: 0 }]);
      await warehouse.insertRaw(lettersTable, letters.columns, letters.format, bytes, { token: 'y' });
      expect(
        await warehouse.query(
          `SELECT hex(value) AS v, isNull(key) AS k, value_bytes, value_sha256, key_bytes,
             headers[1].1 AS header, hex(headers[1].2) AS h, headers_bytes FROM ${lettersTable} FINAL`,
        ),
      ).toEqual([
        {
          v: '000A0AFF0D00',
          k: 1,
          value_bytes: 2 ** 53 - 1,
          value_sha256: 'abc',
          key_bytes: null,
          header: 'trace é',
          h: '00FF',
          headers_bytes: 70_000,
        },
      ]);
    });

    it('says what is wrong: statement, table, data', async () => {
      await expect(warehouse.query('SELEC 1')).rejects.toMatchObject({ code: 'refused', retriable: false });
      const missing = warehouse.insert('no_such_table_here', [{ a: 1 }], { token: 'x' });
      await expect(missing).rejects.toThrow(/no_such_table_here.*millrace apply/s);
      await expect(warehouse.query('SELECT * FROM no_such_table_here')).rejects.toMatchObject({
        code: 'missing_table',
        message: expect.stringMatching(/^[^`]*[^.`]\. Run `millrace apply` to make the tables\.$/),
      });
      const project = await prepared();
      const table = tables.events(project.prefix, 'trips');
      const cut = warehouse.insertRaw(table, ['id', 'type'], 'RowBinary', Uint8Array.from([5, 65]), {
        token: 'z',
      });
      await expect(cut).rejects.toMatchObject({ code: 'refused', retriable: false });
      expect(await warehouse.query(`SELECT count() AS n FROM ${table}`)).toEqual([{ n: 0 }]);
    });
  });
}
