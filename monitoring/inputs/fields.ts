import { quoteName, quoteText } from '../../infrastructure/clickhouse/tables.ts';
import type { Measure } from '../../schemas/monitoring.ts';
import { tables } from '../../schemas/names.ts';
import { measure } from '../measures.ts';
import type { DataDeps, DataWindow } from './data-window.ts';

/** Windows before, whose least and largest values say what is in range. */
const RANGE_WINDOWS = 14;

/** Change of a share of nulls, and share of values out of range, that is told of. */
const MOST_NULLS = 0.05;
const MOST_OUTSIDE = 0.02;

/** Fields of the events of one type in one window. */
interface Extent {
  /** Of its window, epoch ms. */
  readonly start: number;
  readonly kind: string;
  readonly rows: number;
  /** Of each field of the source. */
  readonly nulls: readonly number[];
  /** Of each number of the source; null where there is none. */
  readonly lows: readonly (number | null)[];
  readonly highs: readonly (number | null)[];
}

const isNumber = ({ type }: { readonly type: string }) => type === 'int' || type === 'double';

/** Windows of a source, looked at once: a window that is finished never changes. */
export class FieldBook {
  readonly #windows = new Map<number, readonly Extent[]>();

  async windows(deps: DataDeps, from: number, to: number, every: number): Promise<readonly Extent[]> {
    const starts = Array.from({ length: Math.round((to - from) / every) }, (_, i) => from + i * every);
    const missing = starts.filter((start) => !this.#windows.has(start));
    const [first] = missing;
    if (first !== undefined) {
      const found = await extents(deps, first, (missing.at(-1) ?? first) + every, every);
      for (const start of missing) this.#windows.set(start, found.get(start) ?? []);
    }
    for (const start of this.#windows.keys()) if (start < from) this.#windows.delete(start);
    return starts.flatMap((start) => this.#windows.get(start) ?? []);
  }
}

async function extents(
  { project, source, warehouse }: DataDeps,
  from: number,
  to: number,
  every: number,
): Promise<Map<number, Extent[]>> {
  const list = (sql: readonly string[]) => (sql.length === 0 ? '[]' : `[${sql.join(', ')}]`);
  const names = source.fields.map(({ name }) => quoteName(name));
  const numbers = source.fields.filter(isNumber).map(({ name }) => quoteName(name));
  const rows = await warehouse.query<Extent>(
    `SELECT intDiv(toUnixTimestamp64Milli(time), {every:Int64}) * {every:Int64} AS start, type AS kind, count() AS rows,
       ${list(names.map((name) => `countIf(${name} IS NULL)`))} AS nulls,
       ${list(numbers.map((name) => `toFloat64(min(${name}))`))} AS lows,
       ${list(numbers.map((name) => `toFloat64(max(${name}))`))} AS highs
     FROM ${quoteName(tables.events(project.prefix, source.name))} FINAL
     WHERE time >= fromUnixTimestamp64Milli({from:Int64}) AND time < fromUnixTimestamp64Milli({to:Int64})
     GROUP BY start, kind ORDER BY start, kind`,
    { from, to, every },
  );
  const found = new Map<number, Extent[]>();
  for (const one of rows) found.set(one.start, [...(found.get(one.start) ?? []), one]);
  return found;
}

/** Nulls of each field, and numbers outside what the windows before have seen, by type of event. */
export async function measureFields(
  deps: DataDeps,
  book: FieldBook,
  { from, to, tick }: DataWindow,
): Promise<Measure[]> {
  const { source } = deps;
  const every = to - from;
  const all = await book.windows(deps, from - RANGE_WINDOWS * every, to, every);
  const current = all.filter(({ start }) => start >= from);
  const before = all.filter(({ start }) => start < from);
  const kinds = [...new Set(all.map(({ kind }) => kind))].sort();
  const usual = new Map(kinds.map((kind) => [kind, merged(before.filter((one) => one.kind === kind))]));
  const outside = await countOutside(deps, { from, to }, usual);
  return kinds.flatMap((kind, k) => {
    const now = current.find((one) => one.kind === kind);
    const past = usual.get(kind);
    const rows = now?.rows ?? 0;
    const base = { kind: 'data' as const, from, to, tick, slice: `type=${kind}`, rows };
    const why = rows === 0 ? { why: 'No event of this type came in the window.' } : {};
    const share = (count: number | undefined, of: number) => (of === 0 ? null : (count ?? 0) / of);
    return [
      ...source.fields.flatMap(({ name }, i) => {
        const before = share(past?.nulls[i], past?.rows ?? 0);
        const value = share(now?.nulls[i], rows);
        // A field that this type never has is no news.
        if (before === 1 && (value === 1 || value === null)) return [];
        const detail = { source: source.name, usual: before, ...why };
        const threshold = before === null ? null : Math.min(1, before + MOST_NULLS);
        const fired = before !== null && value !== null && Math.abs(value - before) > MOST_NULLS;
        return [measure({ ...base, subject: name, statistic: 'nulls', value, threshold, fired, detail })];
      }),
      ...source.fields.filter(isNumber).flatMap(({ name }, i) => {
        const [low, high] = [past?.lows[i] ?? null, past?.highs[i] ?? null];
        if ((now?.lows[i] ?? null) === null && low === null) return [];
        const value = low === null || high === null ? null : share(outside[k]?.[i], rows);
        const unknown = low === null ? { why: 'There is no earlier value to say what is in range.' } : why;
        const detail = { source: source.name, usual: [low, high], ...unknown };
        const fired = (value ?? 0) > MOST_OUTSIDE;
        const bounds = { value, threshold: MOST_OUTSIDE, fired };
        return [measure({ ...base, subject: name, statistic: 'out_of_range', ...bounds, detail })];
      }),
    ];
  });
}

function merged(extents: readonly Extent[]): Extent | undefined {
  const pick = (a: number | null, b: number | null, choose: (a: number, b: number) => number) =>
    a === null ? b : b === null ? a : choose(a, b);
  const [first, ...rest] = extents;
  return rest.reduce<Extent | undefined>(
    (sum, one) =>
      sum === undefined
        ? one
        : {
            start: sum.start,
            kind: sum.kind,
            rows: sum.rows + one.rows,
            nulls: sum.nulls.map((count, i) => count + (one.nulls[i] ?? 0)),
            lows: sum.lows.map((low, i) => pick(low, one.lows[i] ?? null, Math.min)),
            highs: sum.highs.map((high, i) => pick(high, one.highs[i] ?? null, Math.max)),
          },
    first,
  );
}

/** Values outside what is usual, by type (in the order of the map) and number. */
async function countOutside(
  { project, source, warehouse }: DataDeps,
  { from, to }: { readonly from: number; readonly to: number },
  usual: ReadonlyMap<string, Extent | undefined>,
): Promise<number[][]> {
  const numbers = source.fields.filter(isNumber).map(({ name }) => quoteName(name));
  if (numbers.length === 0 || usual.size === 0) return [];
  const lists = [...usual].map(([kind, extent]) => {
    const counts = numbers.map((name, i) => {
      const [low, high] = [extent?.lows[i] ?? null, extent?.highs[i] ?? null];
      return low === null || high === null
        ? 'toUInt64(0)'
        : `countIf(type = ${quoteText(kind)} AND (${name} < ${low} OR ${name} > ${high}))`;
    });
    return `[${counts.join(', ')}]`;
  });
  const [row] = await warehouse.query<{ counts: number[][] }>(
    `SELECT [${lists.join(', ')}] AS counts FROM ${quoteName(tables.events(project.prefix, source.name))} FINAL
     WHERE time >= fromUnixTimestamp64Milli({from:Int64}) AND time < fromUnixTimestamp64Milli({to:Int64})`,
    { from, to },
  );
  return row?.counts ?? [];
}
