import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Binnings,
  type DriftSource,
  learnBinnings,
  predictionSource,
  type Range,
  summariseWindows,
} from '../../../infrastructure/clickhouse/drift-sql.ts';
import { ensureTables, removeTables } from '../../../infrastructure/clickhouse/ensure-tables.ts';
import type { Warehouse } from '../../../infrastructure/clickhouse/port.ts';
import { predictionEncoder } from '../../../infrastructure/clickhouse/rows.ts';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../../infrastructure/memory/warehouse.ts';
import { discreteBinning, isPresent } from '../../../models/drift/binning.ts';
import { compareWindows, driftOf } from '../../../models/drift/compare.ts';
import { referenceOf, summariseNumbers, summariseWords } from '../../../models/drift/summary.ts';
import type {
  ColumnSummary,
  Comparison,
  NumericSummary,
  ReferenceSummary,
} from '../../../models/drift/types.ts';
import { createRandom } from '../../../models/random.ts';
import { tables } from '../../../schemas/names.ts';
import { scipy } from '../../models/drift/fixtures/scipy.ts';
import {
  ksOfSamples,
  learnBinning,
  learnCategories,
  presentSorted,
  wassersteinOfSamples,
} from '../../models/drift/samples.ts';
import { prediction } from './conformance.ts';
import { driftInSql } from './drift-exact.ts';
import { tripsProject } from './project.ts';

/** `learnBinnings`, then `summariseWindows` of the same range. */
async function summariseReference(
  warehouse: Warehouse,
  source: DriftSource,
  range: Range & { readonly stepMs: number },
): Promise<ReferenceSummary & { readonly binnings: Binnings }> {
  const binnings = await learnBinnings(warehouse, source, range);
  return { ...referenceOf(await summariseWindows(warehouse, source, binnings, range)), binnings };
}

const DAY = 86_400_000;

const FROM = Date.UTC(2001, 0, 1);
const REFERENCE_DAYS = 5;
const A_DAY = 400;

/** One row: what each column of numbers holds on day `day`; the last day has drifted. */
const COLUMNS: Readonly<Record<string, (random: ReturnType<typeof createRandom>, day: number) => number>> = {
  normal: (random) => random.normal() * 3,
  shifted: (random, day) => random.normal() * 1e-3 + 7 + (day < REFERENCE_DAYS ? 0 : 5e-4),
  zeros: (random) => (random.next() < 0.4 ? 0 : Math.exp(random.normal() * 4)),
  negativeZeros: (random) => (random.next() < 0.5 ? -0 : 0),
  weekday: (_, day) => (day % 7) + 1,
  few: (random, day) => Math.floor(random.next() * (day < REFERENCE_DAYS ? 6 : 8)) / 10,
  counts: (random) => Math.floor(random.next() * 60),
  nulls: (random, day) => (random.next() < (day < REFERENCE_DAYS ? 0.1 : 0.6) ? Number.NaN : random.normal()),
  infinite: (random) => (random.next() < 0.2 ? Number.NEGATIVE_INFINITY : random.next() < 0.1 ? 1e200 : 1),
  stuck: (random, day) => (day < REFERENCE_DAYS ? random.normal() : 0.25),
  constant: () => 1 / 3,
  nothing: () => Number.NaN,
  lost: (random, day) => (day < REFERENCE_DAYS ? random.normal() : Number.NaN),
  late: (random, day) => (day < REFERENCE_DAYS ? Number.NaN : random.normal()),
  tiny: (random) => (random.next() < 0.5 ? 5e-324 : random.next() * 1e-300),
  large: (random) => random.normal() * 1e90,
};
const NAMES = Object.keys(COLUMNS);
const WORDS = ['carrier', 'gate'];

interface Row {
  readonly at: number;
  readonly numbers: number[];
  readonly words: string[];
}

const random = createRandom(20_010_401);
const rows: Row[] = Array.from({ length: (REFERENCE_DAYS + 1) * A_DAY }, (_, i) => {
  const day = Math.floor(i / A_DAY);
  const carrier = ['AA', 'UA', 'DL', "O'H\\"][Math.floor(random.next() * 4)] ?? '';
  const renamed = day >= REFERENCE_DAYS && carrier === 'UA' ? 'United' : carrier;
  return {
    at: FROM + day * DAY + (i % A_DAY) * 1_000,
    numbers: NAMES.map((name) => COLUMNS[name]?.(random, day) ?? Number.NaN),
    words: [renamed, random.next() < 0.1 ? '' : `g${Math.floor(random.next() * 400)}`],
  };
});
const numbersOf = (name: string, from: number, to: number) =>
  rows
    .filter(({ at }) => at >= FROM + from * DAY && at < FROM + to * DAY)
    .map(({ numbers }) => numbers[NAMES.indexOf(name)] ?? Number.NaN);

/** Relative 1e-9, through every figure. */
function expectAlike(found: unknown, wanted: unknown, where = ''): void {
  if (typeof wanted === 'number' && typeof found === 'number') {
    const apart = Math.abs(found - wanted);
    if (!(apart <= 1e-9 * Math.max(1, Math.abs(wanted)))) expect(`${where}: ${found}`).toBe(`${wanted}`);
  } else if (typeof wanted === 'object' && wanted !== null && typeof found === 'object' && found !== null) {
    expect(Object.keys(found).sort(), where).toEqual(Object.keys(wanted).sort());
    for (const [key, value] of Object.entries(wanted))
      expectAlike((found as Record<string, unknown>)[key], value, `${where}.${key}`);
  } else expect(found, where).toEqual(wanted);
}

describe('drift in ClickHouse', () => {
  let warehouse: MemoryWarehouse;
  const source: DriftSource = {
    select: 'SELECT at, numbers, words FROM drift WHERE at >= fromUnixTimestamp64Milli({from:Int64})',
    numbers: NAMES,
    words: WORDS,
  };
  const reference = { from: FROM, to: FROM + REFERENCE_DAYS * DAY };
  const current = { from: reference.to, to: reference.to + DAY };

  beforeAll(async () => {
    warehouse = await createMemoryWarehouse();
    await warehouse.command(
      "CREATE TABLE drift (at DateTime64(3, 'UTC'), numbers Array(Float64), words Array(String)) ENGINE = MergeTree ORDER BY at",
    );
    const quoted = rows.map(({ at, numbers, words }) => ({
      at: new Date(at).toISOString(),
      // JSON has no such numbers; ClickHouse takes them as words.
      numbers: numbers.map((x) =>
        Object.is(x, -0) ? '-0' : Number.isFinite(x) ? x : String(x).toLowerCase(),
      ),
      words,
    }));
    await warehouse.insert('drift', quoted, { token: 'all' });
  });
  afterAll(() => warehouse.close());

  it('learns the same cells as TypeScript', async () => {
    const binnings = await learnBinnings(warehouse, source, reference);
    for (const name of NAMES)
      expect(binnings.numbers[name], name).toEqual(learnBinning(numbersOf(name, 0, REFERENCE_DAYS)));
    WORDS.forEach((name, i) => {
      const seen = rows.filter(({ at }) => at < reference.to).map(({ words }) => words[i] ?? '');
      expect(binnings.words[name], name).toEqual(learnCategories(seen));
    });
  });

  it('learns from a sample of the rows where there are many', async () => {
    const { numbers } = await learnBinnings(warehouse, source, reference, 400);
    expect(numbers.normal?.edges.length).toBe(99);
    expect(numbers.normal).not.toEqual(learnBinning(numbersOf('normal', 0, REFERENCE_DAYS)));
    expect(numbers.weekday?.edges.length).toBe(10);
  });

  it('summaries are those of TypeScript, window by window', async () => {
    const { binnings, windows, whole } = await summariseReference(warehouse, source, {
      ...reference,
      stepMs: DAY,
    });
    expect(windows.map(({ from, to }) => (to - from) / DAY)).toEqual([1, 1, 1, 1, 1]);
    const summaryOf = (name: string, from: number, to: number): ColumnSummary => {
      const at = WORDS.indexOf(name);
      if (at < 0)
        return summariseNumbers(numbersOf(name, from, to), binnings.numbers[name] ?? learnBinning([]));
      const own = rows.filter((row) => row.at >= FROM + from * DAY && row.at < FROM + to * DAY);
      return summariseWords(
        own.map(({ words }) => words[at] ?? ''),
        binnings.words[name] ?? [],
      );
    };
    for (const name of [...NAMES, ...WORDS]) {
      windows.forEach((window, day) => {
        const { column, wanted } = scaled(name, window.columns[name], summaryOf(name, day, day + 1));
        expectAlike(column, wanted, `${name} on day ${day}`);
      });
      const { column, wanted } = scaled(name, whole.columns[name], summaryOf(name, 0, REFERENCE_DAYS));
      expectAlike(column, wanted, name);
    }
  });

  it('an empty window has empty columns', async () => {
    const binnings = await learnBinnings(warehouse, source, reference);
    const range = { from: FROM - 2 * DAY, to: FROM + DAY / 2, stepMs: DAY };
    const [first, , last] = await summariseWindows(warehouse, source, binnings, range);
    expect(first?.columns.normal).toMatchObject({ rows: 0, missing: 0, min: null });
    expect(first?.columns.carrier).toMatchObject({ rows: 0, missing: 0, others: 0 });
    expect(last).toMatchObject({ from: FROM, to: FROM + DAY / 2 });
    if (first === undefined || last === undefined) throw new Error('three windows');
    const compared = compareWindows(last, first);
    expect(new Set(Object.values(compared).map(({ status }) => status))).toEqual(new Set(['too_few']));
  });

  it('every statistic in SQL is that of TypeScript, from samples and from summaries', async () => {
    const binnings = await learnBinnings(warehouse, source, reference);
    const found = await driftInSql(warehouse, source, binnings, reference, current);
    for (const name of NAMES) {
      const before = numbersOf(name, 0, REFERENCE_DAYS);
      const after = numbersOf(name, REFERENCE_DAYS, REFERENCE_DAYS + 1);
      const binning = learnBinning(before);
      const own = driftOf(summariseNumbers(before, binning), summariseNumbers(after, binning));
      const [a, b] = [presentSorted(before), presentSorted(after)];
      const exact: Partial<Comparison> =
        a.length > 0 && b.length > 0
          ? { ks: ksOfSamples(a, b), wasserstein: wassersteinOfSamples(a, b) }
          : {};
      const { ksP: _, wassersteinScaled: __, ...sql } = found[name] ?? own;
      const { ksP: ___, wassersteinScaled: ____, ...wanted } = { ...own, ...exact };
      expectAlike(sql, wanted, name);
      // What is seen at cells alone is never more, and 1 % of the rows less at most.
      if (own.ks !== null && sql.ks !== null) {
        expect(own.ks).toBeLessThanOrEqual(sql.ks + 1e-12);
        expect(own.ks).toBeGreaterThanOrEqual(sql.ks - 0.02);
      }
    }
    const statuses = Object.fromEntries(NAMES.map((name) => [name, found[name]?.status]));
    expect(statuses).toMatchObject({
      stuck: 'stuck',
      constant: 'constant',
      nothing: 'constant',
      lost: 'all_missing',
      late: 'no_reference_values',
      normal: 'compared',
      nulls: 'compared',
    });
    expect(found.weekday?.unseenShare).toBe(1);
    expect(found.few?.unseenShare).toBeGreaterThan(0.1);
    expect(found.nulls?.missing?.difference).toBeGreaterThan(0.4);
  });

  it('the exact figures are those of scipy', async () => {
    for (const [i, { name, reference: before, current: after, ks, wasserstein }] of scipy.samples.entries()) {
      const list = (values: readonly number[]) => `[${values.map((x) => `toFloat64(${x})`).join(',')}]`;
      const one: DriftSource = {
        select: `SELECT fromUnixTimestamp64Milli(toInt64(0)) AS at, [x] AS numbers FROM (SELECT arrayJoin(${list(before)}) AS x)
          UNION ALL SELECT fromUnixTimestamp64Milli(toInt64(1)) AS at, [x] AS numbers FROM (SELECT arrayJoin(${list(after)}) AS x)`,
        numbers: [name],
        words: [],
      };
      const binnings = { numbers: { [name]: learnBinning(before) }, words: {} };
      const { [name]: found } = await driftInSql(
        warehouse,
        one,
        binnings,
        { from: 0, to: 1 },
        { from: 1, to: 2 },
      );
      expect(found?.ks, `${i} ${name}`).toBeCloseTo(ks, 12);
      expect(found?.wasserstein, name).toBeCloseTo(wasserstein, 10);
    }
  });

  it('the figures of groups are those of scipy', async () => {
    for (const { name, reference: before, current: after, psi, js, chiSquared } of scipy.tables) {
      const rowsOf = (at: number, counts: readonly number[]) =>
        `SELECT fromUnixTimestamp64Milli(toInt64(${at})) AS at, [toFloat64(t.1)] AS numbers
         FROM (SELECT arrayJoin([${counts.map((n, i) => `(${i}, range(${n}))`).join(', ')}]) AS t) ARRAY JOIN t.2 AS each`;
      const one: DriftSource = {
        select: `${rowsOf(0, before)} UNION ALL ${rowsOf(1, after)}`,
        numbers: ['group'],
        words: [],
      };
      const binnings = { numbers: { group: discreteBinning(before.map((_, i) => i)) }, words: {} };
      const [first, second] = [
        { from: 0, to: 1 },
        { from: 1, to: 2 },
      ];
      const { group: found } = await driftInSql(warehouse, one, binnings, first, second);
      expect(found?.psi, name).toBeCloseTo(psi, 12);
      expect(found?.js, name).toBeCloseTo(js, 12);
      expect(found?.chiSquared?.statistic, name).toBeCloseTo(chiSquared.statistic, 8);
      expect(found?.chiSquared?.degrees, name).toBe(chiSquared.degrees);
      expect(found?.chiSquared?.p, name).toBeCloseTo(chiSquared.p, 12);
    }
  });

  it('reads the predictions of one layout, with the score, and no refused ones', async () => {
    const project = tripsProject();
    await ensureTables(warehouse, project);
    const encoder = predictionEncoder();
    const made = Array.from({ length: 50 }, (_, i) => ({
      prediction: {
        ...prediction,
        id: `p${i}`,
        sourceOffset: i,
        requestTime: FROM + i,
        vector: [i, i % 2 === 0 ? Number.NaN : 1],
        score: i / 100,
        ...(i % 10 === 0
          ? { status: 'refused' as const, reason: 'behind' as const, vector: [], score: null }
          : {}),
        layout: i % 10 === 1 ? 'layout-0' : 'layout-1',
        modelVersion: i % 10 === 2 ? 2 : 3,
      },
      appendTime: FROM,
      archivedPartition: 0,
      archivedOffset: i,
    }));
    const table = tables.predictions(project.prefix, 'late');
    await warehouse.insertRaw(table, encoder.columns, encoder.format, encoder.encode(made), { token: 'x' });
    const options = {
      prefix: project.prefix,
      model: 'late',
      layoutHash: 'layout-1',
      features: ['one', 'two'],
      modelVersion: 3,
    };
    const range = { from: FROM, to: FROM + 25, stepMs: 25 };
    const { whole } = await summariseReference(warehouse, predictionSource(options), range);
    // 25 requests, of which 3 are refused, 3 of another layout, and 3 of another version.
    expect(whole.columns).toMatchObject({
      one: { rows: 16, missing: 0, min: 3, max: 24 },
      two: { rows: 16, missing: 7, min: 1, max: 1 },
      score: { rows: 16, missing: 0, min: 0.03, max: 0.24 },
    });
    const all = predictionSource({ ...options, modelVersion: null });
    expect((await summariseReference(warehouse, all, range)).whole.columns.one?.rows).toBe(19);
    await removeTables(warehouse, project.prefix);
  });

  it('many wide columns take more than one statement', async () => {
    const wide: DriftSource = {
      select: `SELECT at, arrayMap(i -> sin(i * toUnixTimestamp64Milli(at)), range(1, 121)) AS numbers FROM drift`,
      numbers: Array.from({ length: 120 }, (_, i) => `f${i}`),
      words: [],
    };
    const { whole, binnings } = await summariseReference(warehouse, wide, { ...reference, stepMs: DAY });
    for (const name of wide.numbers) {
      const column = whole.columns[name] as NumericSummary;
      expect(column.counts.length).toBe(100);
      expect(column.counts.reduce((sum, n) => sum + n, 0)).toBe(REFERENCE_DAYS * A_DAY);
      expect(Math.min(...column.counts)).toBeGreaterThan(10);
    }
    const found = await driftInSql(warehouse, wide, binnings, reference, current);
    expect(Object.values(found).every(({ status }) => status === 'compared')).toBe(true);
  });
});

/** Sums near 1e93 and squares near 1e186 agree relatively; `expectAlike` is absolute below 1. */
function scaled(name: string, column: ColumnSummary | undefined, wanted: ColumnSummary) {
  if (name !== 'large' || column?.kind !== 'numeric' || wanted.kind !== 'numeric') return { column, wanted };
  const down = (one: NumericSummary): NumericSummary => ({
    ...one,
    sums: one.sums.map((sum) => sum / 1e90),
    mean: one.mean / 1e90,
    m2: one.m2 / 1e180,
  });
  expect(isPresent(wanted.max ?? 0)).toBe(true);
  return { column: down(column), wanted: down(wanted) };
}
