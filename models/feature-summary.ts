/** What a feature was where it was tried. */
export interface FeatureSummary {
  readonly name: string;
  /** Share of the rows at which it had no value. */
  readonly nulls: number;
  /** Null where it never had a value. */
  readonly least: number | null;
  readonly mean: number | null;
  readonly largest: number | null;
  /** At the last rows, the newest last; null = no value. */
  readonly last: ReadonlyArray<number | null>;
}

/** One column of a table that lies row after row; NaN = no value. */
export interface TableColumn {
  readonly rows: Float64Array;
  readonly column: number;
  /** Values of a row. */
  readonly width: number;
  /** Number of rows. */
  readonly length: number;
}

export function summaryOf(
  name: string,
  { rows, column, width, length }: TableColumn,
  last: number,
): FeatureSummary {
  const at = (row: number) => rows[row * width + column] ?? Number.NaN;
  let count = 0;
  let sum = 0;
  let least = Number.POSITIVE_INFINITY;
  let largest = Number.NEGATIVE_INFINITY;
  for (let row = 0; row < length; row += 1) {
    const value = at(row);
    if (Number.isNaN(value)) continue;
    count += 1;
    sum += value;
    least = Math.min(least, value);
    largest = Math.max(largest, value);
  }
  const shown = Array.from({ length: Math.min(last, length) }, (_, k) =>
    at(length - Math.min(last, length) + k),
  );
  const any = count > 0;
  return {
    name,
    nulls: length === 0 ? 0 : 1 - count / length,
    least: any ? least : null,
    mean: any ? sum / count : null,
    largest: any ? largest : null,
    last: shown.map((value) => (Number.isNaN(value) ? null : value)),
  };
}
