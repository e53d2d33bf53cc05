import { DISCRETE_VALUES, discreteBinning, quantileBinning } from '../../models/drift/binning.ts';
import { emptyNumbers, MAX_CATEGORIES, summariseWords } from '../../models/drift/summary.ts';
import type {
  Binning,
  CategorySummary,
  ColumnSummary,
  NumericSummary,
  WindowSummary,
} from '../../models/drift/types.ts';
import { cellText, fill, integer, levels, ranged, splitColumns } from './drift-text.ts';
import type { SqlParameters, Warehouse } from './port.ts';
import { answersOf, quoteText } from './tables.ts';

/** Rows to compare: a SELECT that gives `at`, `numbers` and `words`. */
export interface DriftSource {
  /**
   * SELECT of `at` DateTime64(3), `numbers` Array(Float64) (NaN is missing; as long as the list below) and, where
   * there are any, `words` Array(String) ('' is missing). It should use {from:Int64} and {to:Int64}, epoch ms, to
   * read only the range asked for; rows outside it are left out in any case.
   */
  readonly select: string;
  readonly parameters?: SqlParameters;
  /** Names of the elements of `numbers`. */
  readonly numbers: readonly string[];
  /** Names of the elements of `words`. */
  readonly words: readonly string[];
}

/** Epoch ms, from <= time < to. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** How each column is counted: cells of the numbers, categories of the words. */
export interface Binnings {
  readonly numbers: Readonly<Record<string, Binning>>;
  readonly words: Readonly<Record<string, readonly string[]>>;
}

/** Column of a prediction source that holds the score. */
export const SCORE = 'score';

/** Scored predictions of one layout: every feature under its name, then `score`. */
export function predictionSource(options: {
  readonly prefix: string;
  readonly model: string;
  readonly layoutHash: string;
  readonly features: readonly string[];
  /** null: all versions. */
  readonly modelVersion: number | null;
}): DriftSource {
  const { prefix, model, layoutHash, features, modelVersion } = options;
  const version = modelVersion === null ? '' : ` AND model_version = ${Math.trunc(modelVersion)}`;
  return {
    select: `SELECT request_time AS at, arrayPushBack(vector, ifNull(score, nan)) AS numbers
      FROM ${answersOf(prefix, model)}
      WHERE request_time >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
        AND request_time < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
        AND status = 'scored' AND layout = ${quoteText(layoutHash)} AND length(vector) = ${features.length}${version}`,
    numbers: [...features, SCORE],
    words: [],
  };
}

/** Rows of a reference that are looked at to cut its cells; all of them are counted. */
const ROWS_TO_LEARN = 50_000;

/** Cells and categories, learnt from a reference range. A column without a value gets one cell. */
export async function learnBinnings(
  warehouse: Warehouse,
  source: DriftSource,
  range: Range,
  rows: number = ROWS_TO_LEARN,
): Promise<Binnings> {
  const places = { SOURCE: ranged(source.select, range), FROM: range.from, TO: range.to };
  const numbers: Record<string, Binning> = Object.fromEntries(
    source.numbers.map((name) => [name, discreteBinning([])]),
  );
  if (source.numbers.length > 0) {
    const sql = fill('learn', { ...places, ROWS: rows, LEVELS: levels, DISTINCT: DISCRETE_VALUES + 1 });
    for (const { c, quantiles, distinct } of await warehouse.query<Learnt>(sql, source.parameters)) {
      const name = source.numbers[c - 1];
      if (name === undefined) continue;
      numbers[name] =
        distinct.length <= DISCRETE_VALUES ? discreteBinning(distinct) : quantileBinning(quantiles);
    }
  }
  const words: Record<string, string[]> = Object.fromEntries(source.words.map((name) => [name, []]));
  if (source.words.length > 0) {
    const sql = fill('learnWords', { ...places, LIMIT: MAX_CATEGORIES });
    for (const { c, word } of await warehouse.query<{ c: number; word: string }>(sql, source.parameters))
      words[source.words[c - 1] ?? '']?.push(word);
  }
  return { numbers, words };
}

interface Learnt {
  readonly c: number;
  readonly quantiles: number[];
  readonly distinct: number[];
}

/** One summary for each `stepMs` of the range (the last may be shorter), those without rows included; one scan. */
export async function summariseWindows(
  warehouse: Warehouse,
  source: DriftSource,
  binnings: Binnings,
  range: Range & { readonly stepMs: number },
): Promise<WindowSummary[]> {
  const { from, to, stepMs } = range;
  if (!(stepMs > 0 && to > from))
    throw new RangeError(`Windows need a length above 0 and a range that is not empty, not ${stepMs} ms.`);
  const windows = Array.from({ length: Math.ceil((to - from) / stepMs) }, (_, w) => ({
    from: from + w * stepMs,
    to: Math.min(to, from + (w + 1) * stepMs),
    columns: emptyColumns(source, binnings),
  }));
  await countNumbers(warehouse, source, binnings, range, (w, name, column) => {
    const window = windows[w];
    if (window !== undefined) window.columns[name] = column;
  });
  if (source.words.length > 0) await countWords(warehouse, source, binnings, range, windows);
  return windows;
}

function emptyColumns(source: DriftSource, binnings: Binnings): Record<string, ColumnSummary> {
  return Object.fromEntries([
    ...source.numbers.map((name) => [name, emptyNumbers(numberBinning(binnings, name))] as const),
    ...source.words.map((name) => [name, summariseWords([], binnings.words[name] ?? [])] as const),
  ]);
}

export function numberBinning(binnings: Binnings, name: string): Binning {
  const binning = binnings.numbers[name];
  if (binning === undefined)
    throw new RangeError(`Column ${name} was not learnt from the reference: learn its cells first.`);
  return binning;
}

interface Counted {
  readonly w: number;
  readonly c: number;
  readonly rows: number;
  readonly missing: number;
  readonly cells: ReadonlyArray<number | string>;
  readonly counts: readonly number[];
  readonly sums: readonly number[];
  readonly mean: number;
  readonly m2: number;
  readonly min: number;
  readonly max: number;
}

async function countNumbers(
  warehouse: Warehouse,
  source: DriftSource,
  binnings: Binnings,
  range: Range & { readonly stepMs: number },
  add: (window: number, name: string, column: NumericSummary) => void,
): Promise<void> {
  const texts = source.numbers.map((name, i) => cellText(numberBinning(binnings, name), i + 1));
  for (const { start, texts: cells } of splitColumns(texts)) {
    const sql = fill('summary', {
      SOURCE: ranged(source.select, range),
      FROM: range.from,
      TO: range.to,
      STEP: integer(range.stepMs),
      START: start,
      LENGTH: cells.length,
      CELLS: cells.join(', '),
    });
    for (const row of await warehouse.query<Counted>(sql, source.parameters)) {
      const name = source.numbers[start + row.c - 2];
      if (name !== undefined) add(row.w, name, numericOf(row, numberBinning(binnings, name)));
    }
  }
}

function numericOf(row: Counted, binning: Binning): NumericSummary {
  const places = new Map<number | string, number>(binning.edges.map((edge, i) => [edge, i + 1]));
  const counts = new Array<number>(binning.edges.length + 1).fill(0);
  const sums = new Array<number>(binning.edges.length + 1).fill(0);
  row.cells.forEach((lower, i) => {
    const cell = places.get(lower) ?? 0;
    counts[cell] = row.counts[i] ?? 0;
    sums[cell] = row.sums[i] ?? 0;
  });
  const { rows, missing } = row;
  const some = rows > missing;
  return {
    kind: 'numeric',
    rows,
    missing,
    binning,
    counts,
    sums,
    mean: some ? row.mean : 0,
    m2: some ? row.m2 : 0,
    min: some ? row.min : null,
    max: some ? row.max : null,
  };
}

async function countWords(
  warehouse: Warehouse,
  source: DriftSource,
  binnings: Binnings,
  range: Range & { readonly stepMs: number },
  windows: ReadonlyArray<{ readonly columns: Record<string, ColumnSummary> }>,
): Promise<void> {
  const kept = source.words.flatMap((name, i) =>
    (binnings.words[name] ?? []).map((word) => `${i + 1}:${word}`),
  );
  const sql = fill('summaryWords', {
    SOURCE: ranged(source.select, range),
    FROM: range.from,
    TO: range.to,
    STEP: integer(range.stepMs),
  });
  const rows = await warehouse.query<{ w: number; c: number; word: string; kind: number; rows: number }>(
    sql,
    {
      ...source.parameters,
      kept,
    },
  );
  for (const { w, c, word, kind, rows: n } of rows) {
    const name = source.words[c - 1];
    const columns = windows[w]?.columns;
    const column = name === undefined ? undefined : columns?.[name];
    if (name === undefined || columns === undefined || column?.kind !== 'category') continue;
    const more: CategorySummary = {
      kind: 'category',
      rows: column.rows + n,
      missing: column.missing + (kind === 0 ? n : 0),
      counts: kind === 1 ? { ...column.counts, [word]: (column.counts[word] ?? 0) + n } : column.counts,
      others: column.others + (kind === 2 ? n : 0),
    };
    columns[name] = more;
  }
}
