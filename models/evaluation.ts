import { type Baseline, scoreBaseline } from './baseline.ts';
import type { Dataset } from './dataset.ts';
import {
  dayOf,
  type Metrics,
  metricsByGroup,
  metricsOf,
  type ReliabilityBin,
  reliability,
} from './metrics.ts';

/** A model beside what it must beat, on the same rows. */
export interface Evaluation {
  readonly model: Metrics;
  readonly baseRate: Metrics;
  readonly calendar: Metrics;
  /** Of the model. */
  readonly reliability: readonly ReliabilityBin[];
  /** By UTC day of the request, in order; `day` is an ISO date. */
  readonly byDay: readonly {
    readonly day: string;
    readonly model: Metrics;
    readonly baseRate: Metrics;
    readonly calendar: Metrics;
  }[];
}

export interface Baselines {
  readonly baseRate: Baseline;
  readonly calendar: Baseline;
}

/**
 * @param scores the model's probability of each row.
 * @param cells the calendar cell of each row (see baseline.ts).
 * @param baselines fitted on the model's training rows, never on these.
 */
export function evaluate(
  dataset: Pick<Dataset, 'labels' | 'times'>,
  scores: Float64Array,
  cells: Int16Array,
  baselines: Baselines,
): Evaluation {
  const { labels, times } = dataset;
  if (cells.length !== labels.length) {
    throw new RangeError(`Every row needs a calendar cell: ${labels.length} rows, ${cells.length} cells.`);
  }
  const constant = Float64Array.from(cells, (cell) => scoreBaseline(baselines.baseRate, cell));
  const calendar = Float64Array.from(cells, (cell) => scoreBaseline(baselines.calendar, cell));
  const days = Float64Array.from(times, dayOf);
  const byDay = [scores, constant, calendar].map((one) => metricsByGroup(one, labels, days));
  const at = (kind: number, index: number): Metrics => {
    const found = byDay[kind]?.[index];
    if (found === undefined) throw new RangeError('Groups of the same rows are the same groups.');
    return found.metrics;
  };
  return {
    model: metricsOf(scores, labels),
    baseRate: metricsOf(constant, labels),
    calendar: metricsOf(calendar, labels),
    reliability: reliability(scores, labels),
    byDay: (byDay[0] ?? []).map(({ group }, index) => ({
      day: new Date(group * 86_400_000).toISOString().slice(0, 10),
      model: at(0, index),
      baseRate: at(1, index),
      calendar: at(2, index),
    })),
  };
}
