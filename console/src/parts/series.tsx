import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { time } from '../lib/format.ts';
import { aroundOne, type Line } from '../lib/quality.ts';

const COLOURS = ['--series-1', '--series-2', '--series-3', '--series-4', '--series-5'];

/** Lines over time; `at` in epoch ms. The same figures stand in the table beside it, for whoever does not see it. */
export function Series({
  label,
  at,
  lines,
  height = 220,
  logarithmic = false,
}: {
  readonly label: string;
  readonly at: readonly number[];
  readonly lines: readonly Line[];
  readonly height?: number;
  /** Values above 0 over powers of ten. */
  readonly logarithmic?: boolean;
}) {
  const holder = useRef<HTMLDivElement>(null);

  useEffect(() => {
    const element = holder.current;
    if (element === null) return;
    const style = getComputedStyle(element);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const { data, series, bands } = drawn(lines, (i) => colour(COLOURS[i % COLOURS.length] ?? '--accent'));
    const axis = {
      stroke: colour('--muted'),
      grid: { stroke: colour('--line'), width: 1 },
      ticks: { stroke: colour('--line'), width: 1 },
      font: `12px ${colour('--font')}`,
    };
    const plot = new uPlot(
      {
        width: element.clientWidth,
        height,
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1_000), 'Etc/UTC'),
        series: [
          { label: 'until', value: (_, seconds) => (seconds === null ? '–' : time(seconds * 1_000)) },
          ...series,
        ],
        bands,
        scales: {
          ...(at.length === 1 ? { x: { range: (_: uPlot, only: number) => aroundOne(only) } } : {}),
          ...(logarithmic ? { y: { distr: 3 as const } } : {}),
        },
        axes: [
          {
            ...axis,
            space: 80,
            values: (_, seconds) =>
              seconds.map((one, i) =>
                newLabel(moment(one, at), i === 0 ? '' : moment(seconds[i - 1] ?? 0, at)),
              ),
          },
          { ...axis, size: 60 },
        ],
        cursor: { points: { size: 6 } },
      },
      [at.map((ms) => ms / 1_000), ...data] as uPlot.AlignedData,
      element,
    );
    // The bounds are drawn, and need no line of their own in the legend.
    plot.series.forEach(({ label }, i) => {
      const entry = plot.root.querySelectorAll<HTMLElement>('.u-legend .u-series')[i];
      if (label === BOUND && entry !== undefined) entry.hidden = true;
    });
    const watch = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      plot.destroy();
    };
  }, [at, lines, height, logarithmic]);

  return <div className="series" ref={holder} role="img" aria-label={label} />;
}

/** A day that is named already is not named again. */
const newLabel = (label: string, before: string): string => (label === before ? '' : label);

const BOUND = 'bound';
const DAYS = 3;

/** 04-01, or 04-01 15:00 where the plot shows less than three days. */
function moment(seconds: number, at: readonly number[]): string {
  const text = time(seconds * 1_000);
  const wide = ((at.at(-1) ?? 0) - (at[0] ?? 0)) / 86_400_000 >= DAYS;
  return wide ? text.slice(5, 10) : text.slice(5, 16);
}

function drawn(lines: readonly Line[], colourOf: (index: number) => string) {
  const data: Array<ReadonlyArray<number | null>> = [];
  const series: uPlot.Series[] = [];
  const bands: uPlot.Band[] = [];
  lines.forEach(({ name, values, low, high, dashed }, i) => {
    const stroke = colourOf(i);
    data.push(values);
    series.push({
      label: name,
      stroke,
      width: 2,
      spanGaps: true,
      ...(dashed ? { dash: [6, 4] } : {}),
      value: (_: uPlot, value: number | null) => (value === null ? '–' : value.toPrecision(4)),
    });
    if (low === undefined || high === undefined) return;
    for (const bound of [high, low]) {
      data.push(bound);
      series.push({ label: BOUND, show: true, stroke: 'transparent', width: 0, points: { show: false } });
    }
    bands.push({ series: [series.length - 1, series.length], fill: `${stroke}22` });
  });
  return { data, series, bands };
}
