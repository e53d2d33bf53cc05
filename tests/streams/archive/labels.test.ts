import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureTables } from '../../../infrastructure/clickhouse/ensure-tables.ts';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../../infrastructure/memory/warehouse.ts';
import { createRandom } from '../../../models/random.ts';
import { tables } from '../../../schemas/names.ts';
import type { Label, Model, Project, Source } from '../../../schemas/project.ts';
import { DAY, MINUTE } from '../../../schemas/time.ts';
import type { Selection } from '../../../streams/archive/label-query.ts';
import { countOvertaken, selectLabelled } from '../../../streams/archive/labels.ts';
import { tripsProject } from '../../infrastructure/clickhouse/project.ts';
import { type Asked, naiveLabels, naiveOvertaken, type Told } from '../../oracle/labels.ts';

const source: Source = {
  name: 'payments',
  partitions: 1,
  format: { kind: 'avro' },
  fields: [
    { name: 'card', type: 'string' },
    { name: 'shop', type: 'int' },
    // Names that the query might take for its own.
    { name: 'at', type: 'string' },
    { name: 'fraud', type: 'bool' },
  ],
  events: [
    { name: 'asked', required: [], rules: [] },
    { name: 'told', required: [], rules: [] },
  ],
  key: 'card',
  outOfOrderness: 0,
  maxFuture: null,
  idleAfter: null,
  deduplicate: null,
  rejects: null,
};

function paymentsProject(): Project & { readonly models: readonly [Model] } {
  const project = tripsProject(source);
  const [model] = project.models;
  if (model === undefined) throw new Error('the fixture has a model');
  const join = ['card', 'shop', 'at'].map((name) => ({ label: name, request: name }));
  return {
    ...project,
    models: [
      {
        ...model,
        request: { source: 'payments', eventType: 'asked' },
        label: {
          source: 'payments',
          eventType: 'told',
          join,
          evaluate: (event) => event.fraud as boolean | null,
          maturity: 0,
          within: null,
          which: 'first',
        },
      },
    ],
  };
}

let warehouse: MemoryWarehouse;
let offset = 0;
beforeAll(async () => {
  warehouse = await createMemoryWarehouse();
});
afterAll(() => warehouse.close());

async function write(project: Project, requests: readonly Asked[], labels: readonly Told[]): Promise<void> {
  const rows = [
    ...requests.map(({ key, ...one }) => ({ ...one, type: 'asked', ...keyOf(key) })),
    ...labels.map(({ key, ...one }) => ({ ...one, type: 'told', ...keyOf(key) })),
  ].map((row) => ({
    ...row,
    time: new Date(row.time).toISOString(),
    import_id: '',
    source_topic: 'raw',
    source_partition: 0,
    source_offset: offset++,
    append_time: '2020-01-01T00:00:00Z',
    archived_partition: 0,
    archived_offset: offset,
  }));
  if (rows.length > 0)
    await warehouse.insert(tables.events(project.prefix, 'payments'), rows, { token: `t${offset}` });
}

const keyOf = (key: number | null) => ({
  card: key === null ? null : `c${key >> 1}`,
  shop: key === null ? null : key & 1,
  at: 'here',
});

async function joined(project: Project, label: Partial<Label>, selection: Selection) {
  const [base] = project.models;
  if (base === undefined) throw new Error('the fixture has a model');
  const model = { ...base, label: { ...base.label, ...label } };
  const deps = { project, model, warehouse };
  const { ids, times, labels, labelTimes, untold } = await selectLabelled(deps, selection);
  return {
    rows: ids.map((id, i) => ({
      id,
      time: times[i] ?? 0,
      label: labels[i] === 1,
      labelTime: labelTimes[i] ?? 0,
    })),
    untold,
    overtaken: await countOvertaken(deps, selection),
  };
}

const START = Date.UTC(2026, 0, 1);
const ALL = { from: START, to: START + 30 * DAY, asOf: START + 40 * DAY, sample: null };
const asked = (id: string, minute: number, key: number | null = 0): Asked => ({
  id,
  time: START + minute * MINUTE,
  key,
});
const told = (id: string, minute: number, fraud: boolean | null, key: number | null = 0): Told => ({
  ...asked(id, minute, key),
  fraud,
});

describe('a label belongs to the latest request with its keys at or before it', () => {
  async function labelsOf(
    requests: readonly Asked[],
    labels: readonly Told[],
    label: Partial<Label> = {},
    selection: Partial<Selection> = {},
  ) {
    const project = paymentsProject();
    await ensureTables(warehouse, project);
    await write(project, requests, labels);
    const { rows } = await joined(project, label, { ...ALL, ...selection });
    return Object.fromEntries(rows.map(({ id, label: value }) => [id, value]));
  }

  // ──a──1:no──b──2:yes──►
  it('gives each request the label that follows it, not that of another request of its keys', async () => {
    const found = await labelsOf([asked('a', 0), asked('b', 10)], [told('1', 5, false), told('2', 15, true)]);
    expect(found).toEqual({ a: false, b: true });
  });

  // ──a──b──1:yes──2:no──►
  it('leaves a request without a label that was asked again before one came', async () => {
    const found = await labelsOf(
      [asked('a', 0), asked('b', 10)],
      [told('1', 15, true), told('2', 16, false)],
    );
    expect(found).toEqual({ b: true });
  });

  // ──a──1:null──2:yes──3:no──►
  it('passes over a null label and waits for the next', async () => {
    const labels = [told('1', 5, null), told('2', 1_500, true), told('3', 1_600, false)];
    expect(await labelsOf([asked('a', 0)], labels)).toEqual({ a: true });
    expect(await labelsOf([asked('a', 0)], labels, { which: 'last' })).toEqual({ a: false });
    expect(await labelsOf([asked('a', 0)], labels.slice(0, 1))).toEqual({});
  });

  // ──a──1:no──2:yes──►   training at ▲ (before 2) and at the end
  it('takes the first label, or with `which: last` the last by the time of the training', async () => {
    const labels = [told('1', 5, false), told('2', 1_500, true)];
    expect(await labelsOf([asked('a', 0)], labels)).toEqual({ a: false });
    expect(await labelsOf([asked('a', 0)], labels, { which: 'last' })).toEqual({ a: true });
    const asOf = START + 1_499 * MINUTE;
    expect(await labelsOf([asked('a', 0)], labels, { which: 'last' }, { asOf })).toEqual({ a: false });
    const maturity = MINUTE;
    const before = { asOf: START + 1_500 * MINUTE };
    expect(await labelsOf([asked('a', 0)], labels, { which: 'last', maturity }, before)).toEqual({
      a: false,
    });
  });

  it('takes a label at the very time of its request, none before it, and none later than `within`', async () => {
    const requests = [asked('a', 0, 0), asked('b', 0, 1), asked('c', 0, 2)];
    const labels = [told('1', 0, true, 0), told('2', -1, true, 1), told('3', 10, true, 2)];
    const selection = { from: START - DAY };
    expect(await labelsOf(requests, labels, {}, selection)).toEqual({ a: true, c: true });
    expect(await labelsOf(requests, labels, { within: 10 * MINUTE }, selection)).toEqual({
      a: true,
      c: true,
    });
    expect(await labelsOf(requests, labels, { within: 10 * MINUTE - 1 }, selection)).toEqual({ a: true });
  });

  // A request after the selection still takes the label: ──[──a──]──b──1:yes──►
  it('heeds requests after the selection', async () => {
    const requests = [asked('a', 0), asked('b', 10)];
    const to = START + 5 * MINUTE;
    expect(await labelsOf(requests, [told('1', 15, true)], {}, { to })).toEqual({});
    expect(await labelsOf(requests, [told('1', 7, true)], {}, { to })).toEqual({ a: true });
  });

  it('orders what has one time by its id, in bytes', async () => {
    // U+FF00 is after U+1F600 in UTF-16, and before it in bytes.
    const requests = [asked('\uff00', 0), asked('\u{1f600}', 0), asked('a', 0)];
    expect(await labelsOf(requests, [told('1', 5, true)])).toEqual({ '\u{1f600}': true });
    const labels = [told('\u{1f600}', 5, true), told('\uff00', 5, false)];
    expect(await labelsOf([asked('a', 0)], labels)).toEqual({ a: false });
    expect(await labelsOf([asked('a', 0)], labels, { which: 'last' })).toEqual({ a: true });
  });

  it('takes an id that was asked twice for one request', async () => {
    const found = await labelsOf([asked('a', 0), asked('a', 10)], [told('1', 5, false), told('2', 15, true)]);
    expect(found).toEqual({ a: false });
  });
});

// ──a──b (has no shop)──1:yes──►
it('leaves out a request that live refuses for want of a key, and gives its label to no other', async () => {
  const base = paymentsProject();
  const [model] = base.models;
  const read = {
    name: 'shop',
    view: 'shop',
    key: ['shop'],
    zone: null,
    defaults: {},
    optional: false,
    maxAge: null,
  };
  const ids = async (
    change: Partial<typeof read> & { readonly defaults?: Readonly<Record<string, string>> },
  ) => {
    const project = { ...base, models: [{ ...model, reads: [{ ...read, ...change }] }] };
    const { rows, overtaken } = await joined(project, { join: [{ label: 'card', request: 'card' }] }, ALL);
    return { ids: rows.map(({ id }) => id), overtaken: overtaken.requests };
  };
  await ensureTables(warehouse, base);
  await write(base, [asked('a', 0), asked('c', 30)], [told('1', 15, true), told('2', 40, true)]);
  const noShop = { id: 'b', type: 'asked', card: 'c0', shop: null, at: 'here' };
  const place = { source_topic: 'raw', source_partition: 0, source_offset: offset++, import_id: '' };
  const times = { time: new Date(START + 10 * MINUTE).toISOString(), append_time: '2020-01-01T00:00:00Z' };
  await warehouse.insert(tables.events(base.prefix, 'payments'), [{ ...noShop, ...place, ...times }], {
    token: `t${offset}`,
  });
  expect(await ids({})).toEqual({ ids: ['c'], overtaken: 1 });
  expect(await ids({ defaults: { shop: 'none' } })).toEqual({ ids: ['b', 'c'], overtaken: 1 });
  expect(await ids({ optional: true })).toEqual({ ids: ['b', 'c'], overtaken: 1 });
});

describe('any requests and labels', () => {
  const key = fc.constantFrom(0, 1, 2, null);
  const minute = fc.integer({ min: 0, max: 12 });
  const world = fc.record({
    requests: fc.uniqueArray(fc.record({ id: fc.constantFrom(...'abcdefgh\uff00\u{1f600}'), minute, key }), {
      selector: ({ id }) => id,
    }),
    labels: fc.array(fc.record({ minute, key, fraud: fc.constantFrom(true, false, null) })),
    from: minute,
    length: minute,
    wait: minute,
    maturity: fc.constantFrom(0, 2),
    within: fc.constantFrom(null, 0, 3),
    which: fc.constantFrom('first' as const, 'last' as const),
  });

  it('are joined as a naive reading of the sentence does', async () => {
    const project = paymentsProject();
    await ensureTables(warehouse, project);
    let worlds = 0;
    await fc.assert(
      fc.asyncProperty(world, async ({ requests, labels, from, length, wait, ...label }) => {
        // Each world has a day of its own, so that one table serves all.
        const base = START + worlds++ * DAY;
        const at = (minutes: number) => base + minutes * MINUTE;
        const asks = requests.map(({ id, minute, key }) => ({
          id: `${worlds} ${id}`,
          time: at(minute),
          key,
        }));
        const tells = labels.map(({ minute, key, fraud }, i) => ({
          id: `l${i}`,
          time: at(minute),
          key,
          fraud,
        }));
        await write(project, asks, tells);
        const selection = {
          from: at(from),
          to: at(from + length),
          asOf: at(from + length + wait),
          sample: null,
        };
        const rule = {
          ...selection,
          maturity: label.maturity * MINUTE,
          within: label.within === null ? null : label.within * MINUTE,
          which: label.which,
        };
        const { maturity, within, which } = rule;
        const found = await joined(project, { maturity, within, which }, selection);
        expect({ rows: found.rows, untold: found.untold }).toEqual(naiveLabels(asks, tells, rule));
        expect(found.overtaken).toEqual(naiveOvertaken(asks, tells, rule));
      }),
      { numRuns: 150 },
    );
  });
});

describe('every entity asks fifty times and has fifty outcomes', () => {
  const CARDS = 40;
  const TIMES = 50;

  it('each request has its own, and an ASOF join agrees to the row', async () => {
    const project = paymentsProject();
    await ensureTables(warehouse, project);
    const random = createRandom(11);
    const requests: Asked[] = [];
    const labels: Told[] = [];
    for (let card = 0; card < CARDS; card++)
      for (let i = 0; i < TIMES; i++) {
        const minute = i * 600 + Math.floor(random.next() * 300);
        requests.push(asked(`r${card}-${i}`, minute, card));
        labels.push(
          told(`l${card}-${i}`, minute + 1 + Math.floor(random.next() * 290), random.next() < 0.5, card),
        );
      }
    const inAnyOrder = [...labels].sort((a, b) => (a.id < b.id ? 1 : -1));
    await write(project, [...requests].reverse(), inAnyOrder);
    const { rows, overtaken } = await joined(project, {}, ALL);
    const own = new Map(labels.map(({ id, fraud }) => [`r${id.slice(1)}`, fraud]));
    expect(rows).toHaveLength(CARDS * TIMES);
    for (const { id, label } of rows) expect(label).toBe(own.get(id));
    expect(overtaken.requests).toBe(0);

    const table = `\`${tables.events(project.prefix, 'payments')}\``;
    const asof = await warehouse.query<{ id: string; label: boolean }>(
      `SELECT r.id AS id, l.fraud AS label
       FROM (SELECT * FROM ${table} FINAL WHERE type = 'told') AS l
       ASOF JOIN (SELECT * FROM ${table} FINAL WHERE type = 'asked') AS r
       ON l.card = r.card AND l.shop = r.shop AND l.time >= r.time ORDER BY r.time, r.id`,
    );
    expect(rows.map(({ id, label }) => ({ id, label }))).toEqual(asof);
  });

  it('a sample counts requests, not labels, and is the same each time', async () => {
    const project = paymentsProject();
    await ensureTables(warehouse, project);
    const requests = Array.from({ length: 100 }, (_, i) => asked(`r${i}`, i * 10));
    const labels = requests.flatMap((_, i) => [1, 2, 3].map((n) => told(`l${i}-${n}`, i * 10 + n, n === 3)));
    await write(project, requests, labels);
    const sample = { maxRows: 30, seed: 5 };
    for (const which of ['first', 'last'] as const) {
      const { rows } = await joined(project, { which }, { ...ALL, sample });
      expect(rows).toHaveLength(30);
      expect(rows.every(({ label }) => label === (which === 'last'))).toBe(true);
      const again = await joined(project, { which }, { ...ALL, sample });
      expect(again.rows).toEqual(rows);
    }
  });
});
