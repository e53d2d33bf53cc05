import { cellOf, isPresent, sameBinning } from './binning.ts';
import type {
  Binning,
  CategorySummary,
  ColumnSummary,
  NumericSummary,
  ReferenceSummary,
  WindowSummary,
} from './types.ts';

/** Categories of a reference that are kept one by one; the rest is put together, and nobody can say what of it is new. */
export const MAX_CATEGORIES = 256;

/** Counts a window's values; what is no finite number is missing. */
export function summariseNumbers(values: Iterable<number>, binning: Binning): NumericSummary {
  const counts = new Array<number>(binning.edges.length + 1).fill(0);
  const sums = new Array<number>(binning.edges.length + 1).fill(0);
  let [rows, present, mean, m2] = [0, 0, 0, 0];
  let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    rows++;
    if (!isPresent(value)) continue;
    present++;
    // Welford, Technometrics 4 (1962).
    const before = value - mean;
    mean += before / present;
    m2 += before * (value - mean);
    const cell = cellOf(binning, value);
    counts[cell] = (counts[cell] ?? 0) + 1;
    sums[cell] = (sums[cell] ?? 0) + value;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  const bounds = present === 0 ? { min: null, max: null } : { min: min + 0, max: max + 0 };
  return { kind: 'numeric', rows, missing: rows - present, binning, counts, sums, mean, m2, ...bounds };
}

export const emptyNumbers = (binning: Binning): NumericSummary => summariseNumbers([], binning);

/** Counts a window's words; null and '' are missing. */
export function summariseWords(
  words: Iterable<string | null>,
  categories: readonly string[],
): CategorySummary {
  const counts = new Map(categories.map((word) => [word, 0]));
  let [rows, missing, others] = [0, 0, 0];
  for (const word of words) {
    rows++;
    if (word === null || word === '') missing++;
    else {
      const count = counts.get(word);
      if (count === undefined) others++;
      else counts.set(word, count + 1);
    }
  }
  return { kind: 'category', rows, missing, counts: Object.fromEntries(counts), others };
}

/** Two windows as one. @throws RangeError where they are counted differently. */
export function mergeColumns(a: ColumnSummary, b: ColumnSummary): ColumnSummary {
  if (a.kind === 'numeric' && b.kind === 'numeric') return mergeNumbers(a, b);
  if (a.kind === 'category' && b.kind === 'category') return mergeWords(a, b);
  throw new RangeError(`A ${a.kind} column cannot be merged with a ${b.kind} one.`);
}

function mergeNumbers(a: NumericSummary, b: NumericSummary): NumericSummary {
  if (!sameBinning(a.binning, b.binning)) {
    throw new RangeError('Windows counted in different cells cannot be merged; count both in the same.');
  }
  const [n, m] = [a.rows - a.missing, b.rows - b.missing];
  const apart = b.mean - a.mean;
  const all = Math.max(1, n + m);
  return {
    kind: 'numeric',
    rows: a.rows + b.rows,
    missing: a.missing + b.missing,
    binning: a.binning,
    counts: a.counts.map((count, i) => count + (b.counts[i] ?? 0)),
    sums: a.sums.map((sum, i) => sum + (b.sums[i] ?? 0)),
    // Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm" (1979).
    mean: n === 0 ? b.mean : a.mean + (apart * m) / all,
    m2: a.m2 + b.m2 + (n === 0 || m === 0 ? 0 : (apart * apart * n * m) / all),
    min: least(a.min, b.min, Math.min),
    max: least(a.max, b.max, Math.max),
  };
}

const least = (a: number | null, b: number | null, choose: (a: number, b: number) => number) =>
  a === null ? b : b === null ? a : choose(a, b);

function mergeWords(a: CategorySummary, b: CategorySummary): CategorySummary {
  const counts = new Map(Object.entries(a.counts));
  for (const [word, count] of Object.entries(b.counts)) counts.set(word, (counts.get(word) ?? 0) + count);
  return {
    kind: 'category',
    rows: a.rows + b.rows,
    missing: a.missing + b.missing,
    counts: Object.fromEntries(counts),
    others: a.others + b.others,
  };
}

/** Windows as one, from the start of the first to the end of the last. @throws RangeError for none. */
function mergeWindows(windows: readonly WindowSummary[]): WindowSummary {
  const [first, ...rest] = windows;
  if (first === undefined) throw new RangeError('There is no window to merge.');
  return rest.reduce((all, window) => {
    const columns = Object.entries(all.columns).map(([name, column]) => {
      const other = window.columns[name];
      return [name, other === undefined ? column : mergeColumns(column, other)] as const;
    });
    return {
      from: Math.min(all.from, window.from),
      to: Math.max(all.to, window.to),
      columns: Object.fromEntries(columns),
    };
  }, first);
}

/** A reference from its parts. Empty parts are kept: they say that nothing came. */
export function referenceOf(windows: readonly WindowSummary[]): ReferenceSummary {
  return { whole: mergeWindows(windows), windows };
}
