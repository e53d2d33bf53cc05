import { groupCounts } from './binning.ts';
import type { CategorySummary, ColumnSummary, NumericSummary } from './types.ts';

/** Two windows of a column side by side, to be drawn: the share of its rows in each cell. All lists have one length. */
export interface Shares {
  /** For a person: `< 3`, `3 – 8`, a value, a word, `others`, `missing`. */
  readonly cells: readonly string[];
  readonly reference: readonly number[];
  readonly current: readonly number[];
}

/** Words that get a cell of their own: the most frequent of either window. */
const WORDS = 10;

/** Null where one of them has no rows, or they are not of a kind. */
export function sharesOf(reference: ColumnSummary, current: ColumnSummary): Shares | null {
  if (reference.rows === 0 || current.rows === 0) return null;
  const both =
    reference.kind === 'numeric' && current.kind === 'numeric'
      ? numbers(reference, current)
      : reference.kind === 'category' && current.kind === 'category'
        ? words(reference, current)
        : null;
  if (both === null) return null;
  const cells = [...both, { cell: 'missing', of: [reference.missing, current.missing] as const }].filter(
    ({ cell, of }) => (cell !== 'others' && cell !== 'missing') || of[0] + of[1] > 0,
  );
  const share = (count: number, rows: number) => Math.round((count / rows) * 10_000) / 10_000;
  return {
    cells: cells.map(({ cell }) => cell),
    reference: cells.map(({ of }) => share(of[0], reference.rows)),
    current: cells.map(({ of }) => share(of[1], current.rows)),
  };
}

interface Counted {
  readonly cell: string;
  readonly of: readonly [reference: number, current: number];
}

function numbers(reference: NumericSummary, current: NumericSummary): Counted[] {
  const { binning } = reference;
  const before = groupCounts(binning, reference.counts);
  const now = groupCounts(binning, current.counts);
  return before.map((count, group) => ({ cell: cellName(reference, group), of: [count, now[group] ?? 0] }));
}

const shown = (value: number | undefined): string => String(Number((value ?? 0).toPrecision(3)));

/** Cell k holds edges[k - 1] <= x < edges[k]. */
function cellName({ binning: { edges, groups, discrete } }: NumericSummary, group: number): string {
  const first = groups.indexOf(group);
  const last = groups.lastIndexOf(group);
  if (discrete) return group === groups.at(-1) ? 'others' : shown(edges[first - 1]);
  if (first === 0) return edges.length === 0 ? 'all' : `< ${shown(edges[last])}`;
  if (last === edges.length) return `≥ ${shown(edges[first - 1])}`;
  const [from, to] = [shown(edges[first - 1]), shown(edges[last])];
  return from === to ? from : `${from} – ${to}`;
}

function words(reference: CategorySummary, current: CategorySummary): Counted[] {
  const all = Object.keys(reference.counts).map(
    (cell): Counted => ({
      cell,
      of: [reference.counts[cell] ?? 0, current.counts[cell] ?? 0],
    }),
  );
  const size = ({ of }: Counted) => Math.max(of[0] / reference.rows, of[1] / current.rows);
  all.sort((a, b) => size(b) - size(a));
  const rest = all.slice(WORDS);
  const sum = (side: 0 | 1) => rest.reduce((total, { of }) => total + of[side], 0);
  return [
    ...all.slice(0, WORDS),
    { cell: 'others', of: [reference.others + sum(0), current.others + sum(1)] },
  ];
}
