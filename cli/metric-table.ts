import type { Metrics } from '../models/metrics.ts';
import { count, percent } from './format.ts';
import type { Output } from './output.ts';

/** A model beside what any model must beat, on the same rows. */
export function metricTable(
  output: Output,
  title: string,
  compared: { readonly model: Metrics; readonly baseRate: Metrics; readonly calendar: Metrics },
): void {
  const fixed = (value: number | null) => (value === null ? '-' : value.toFixed(4));
  const right = (text: string) => ({ title: text, align: 'right' as const });
  output.table(
    [
      { title },
      right('rows'),
      right('positive'),
      right('AUC'),
      right('log loss'),
      right('Brier'),
      right('calib. error'),
    ],
    (
      [
        ['model', compared.model],
        ['calendar alone', compared.calendar],
        ['base rate alone', compared.baseRate],
      ] as const
    ).map(([name, metrics]) => [
      name,
      count(metrics.rows),
      percent(metrics.baseRate),
      fixed(metrics.auc),
      fixed(metrics.logLoss),
      fixed(metrics.brier),
      fixed(metrics.calibrationError),
    ]),
  );
}
