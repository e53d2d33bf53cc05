import { detailOf } from '../../monitoring/measures.ts';
import type { Measure } from '../../schemas/monitoring.ts';
import { type Column, count, day, percent } from '../format.ts';
import type { Output } from '../output.ts';

export const QUALITY_COLUMNS: readonly Column[] = [
  { title: 'window' },
  { title: 'version', align: 'right' },
  { title: 'slice' },
  { title: 'predicted', align: 'right' },
  { title: 'labels', align: 'right' },
  { title: 'log loss' },
  { title: 'AUC' },
  { title: 'calibration error' },
  { title: 'base rate', align: 'right' },
  { title: 'estimated log loss' },
];

/** A line a window, version and slice; where labels are missing the estimate stands for the figure. */
export function qualityRows(measures: readonly Measure[], { colours }: Output): string[][] {
  const windows = new Map<string, Map<string, Measure>>();
  for (const one of measures) {
    const key = `${one.from} ${one.version} ${one.slice}`;
    const found = windows.get(key) ?? new Map<string, Measure>();
    found.set(one.kind === 'estimate' ? `~${one.statistic}` : one.statistic, one);
    windows.set(key, found);
  }
  return [...windows.values()].flatMap((found) => {
    const coverage = found.get('label_coverage');
    if (coverage === undefined) return [];
    const { by, why } = detailOf(coverage);
    const version = coverage.version === 0 ? '-' : `${coverage.version}${by === 'shadow' ? ' (shadow)' : ''}`;
    return [
      [
        day(coverage.from),
        version,
        coverage.slice,
        count(coverage.rows),
        coverage.value === null ? '-' : percent(coverage.value),
        withInterval(found.get('log_loss')),
        withInterval(found.get('auc')),
        withInterval(found.get('calibration_error')),
        found.get('base_rate')?.value?.toFixed(3) ?? '-',
        coverage.value === null && typeof why === 'string'
          ? colours.dim(why)
          : estimateText(found.get('~log_loss'), colours.yellow),
      ],
    ];
  });
}

function withInterval(one: Measure | undefined): string {
  if (one === undefined || one.value === null) return '-';
  const { value, low, high } = one;
  const interval = low === null || high === null ? '' : ` [${low.toFixed(3)}, ${high.toFixed(3)}]`;
  return `${value.toFixed(4)}${interval}`;
}

function estimateText(one: Measure | undefined, warn: (text: string) => string): string {
  if (one === undefined || one.value === null) return '';
  const text = `~${withInterval(one)}`;
  return detailOf(one).covered === false ? warn(`${text} missed`) : text;
}
