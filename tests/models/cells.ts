import { calendarCell } from '../../models/baseline.ts';

/** Cells from two columns of a row-major feature matrix: the model's own hour and day of week, local where they are. */
export function cellsOfColumns(
  rows: Float64Array,
  width: number,
  hour: number,
  dayOfWeek: number,
): Int16Array {
  const cells = new Int16Array(rows.length / width);
  for (let row = 0; row < cells.length; row++) {
    cells[row] = calendarCell(rows[row * width + hour] as number, rows[row * width + dayOfWeek] as number);
  }
  return cells;
}
