/** One curve of a plot. */
export interface Curve {
  /** One character. */
  readonly mark: string;
  readonly points: ReadonlyArray<{ readonly x: number; readonly y: number }>;
}

/**
 * Curves as text: y upwards with its scale at the left, x to the right. Where curves meet, the later one is seen.
 */
export function plotLines(curves: readonly Curve[], width = 60, height = 10): string[] {
  const points = curves.flatMap((curve) => curve.points).filter(({ y }) => Number.isFinite(y));
  if (points.length === 0) return [];
  const xs = points.map(({ x }) => x);
  const ys = points.map(({ y }) => y);
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  const [low, high] = [Math.min(...ys), Math.max(...ys)];
  const cells = Array.from({ length: height }, () => new Array<string>(width).fill(' '));
  const columnOf = (x: number) =>
    right === left ? 0 : Math.round(((x - left) / (right - left)) * (width - 1));
  const rowOf = (y: number) => (high === low ? 0 : Math.round(((high - y) / (high - low)) * (height - 1)));
  for (const { mark, points: own } of curves)
    for (const { x, y } of own) {
      if (!Number.isFinite(y)) continue;
      const row = cells[rowOf(y)];
      if (row !== undefined) row[columnOf(x)] = mark;
    }
  const label = (row: number) =>
    row === 0 ? high.toFixed(4) : row === height - 1 && low !== high ? low.toFixed(4) : '';
  const margin = Math.max(high.toFixed(4).length, low.toFixed(4).length);
  const ends = `${left}${String(right).padStart(Math.max(1, width - String(left).length))}`;
  return [
    ...cells.map((row, index) => `${label(index).padStart(margin)} │${row.join('').trimEnd()}`),
    `${' '.repeat(margin)} └${'─'.repeat(width)}`,
    `${' '.repeat(margin)}  ${left === right ? String(left) : ends}`,
  ];
}
