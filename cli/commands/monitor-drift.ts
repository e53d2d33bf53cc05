import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { detailOf, readMeasures } from '../../monitoring/measures.ts';
import type { Measure } from '../../schemas/monitoring.ts';
import type { Model } from '../../schemas/project.ts';
import { DAY } from '../../schemas/time.ts';
import { day, percent, table } from '../format.ts';
import type { Output } from '../output.ts';

/** Drift measures of the window that ends at a time (default: of the newest), that of the label among them. */
export async function driftOf(
  warehouse: Warehouse,
  prefix: string,
  model: string,
  at: number | undefined,
): Promise<Measure[]> {
  const all = await readMeasures(warehouse, prefix, {
    kinds: ['drift'],
    model,
    ...(at === undefined ? {} : { endUntil: at, endAfter: at - 1 }),
  });
  // The label is known later than the features: the newest window of the features counts.
  const end = at ?? all.filter(({ subject }) => subject !== 'label').at(-1)?.to;
  return all.filter(({ to }) => to === end);
}

/** A ranked table, and beside it what alerting on all or on nothing would have been. */
export function driftLines(measures: readonly Measure[], model: Model, { colours }: Output): string[] {
  const { statistic } = model.monitoring.drift;
  const [one] = measures;
  if (one === undefined) return [];
  const verdicts = measures
    .filter((measure) => measure.threshold !== null)
    .map((measure) => ({ measure, detail: detailOf(measure) }))
    .sort(
      (a, b) =>
        Number(b.measure.fired) - Number(a.measure.fired) ||
        Number(b.detail.impact) - Number(a.detail.impact),
    );
  const missing = new Map(
    measures
      .filter((measure) => measure.statistic === 'missing')
      .map(({ subject, value }) => [subject, value]),
  );
  const rows = verdicts.map(({ measure, detail }, i) => [
    String(i + 1),
    measure.fired ? colours.yellow(measure.subject) : measure.subject,
    String(detail.of),
    number(detail.effect),
    number(measure.threshold),
    percent(Number(detail.importance)),
    percent(missing.get(measure.subject) ?? 0),
    measure.fired ? colours.yellow('fired') : String(detail.reason).replaceAll('_', ' '),
  ]);
  const fired = verdicts.filter(({ measure }) => measure.fired).length;
  const compared = verdicts.filter(({ detail }) => detail.reason !== 'calendar').length;
  const declared = verdicts.filter(
    ({ detail }) => detail.reason !== 'calendar' && Number(detail.effect) >= model.monitoring.drift.minEffect,
  ).length;
  const whys = verdicts
    .filter(({ measure }) => measure.fired)
    .map(({ measure, detail }) => `  ${measure.subject}: ${String(detail.why)}`);
  const news = measures.flatMap((measure) => {
    const { names } = detailOf(measure);
    return Array.isArray(names) && names.length > 0
      ? [
          `  ${measure.subject}: ${percent(measure.value ?? 0)} of the rows hold what was never seen before: ${names.join(', ')}`,
        ]
      : [];
  });
  return [
    colours.bold(
      `${model.name} version ${one.version}, window ${day(one.from)} to ${day(one.to)} against the ${Math.round(model.monitoring.reference / DAY)} days before`,
    ),
    ...table(
      [
        { title: 'rank', align: 'right' },
        { title: 'feature' },
        { title: 'figure' },
        { title: 'effect', align: 'right' },
        { title: 'threshold', align: 'right' },
        { title: 'importance', align: 'right' },
        { title: 'missing', align: 'right' },
        { title: 'verdict' },
      ],
      rows,
    ),
    ...(whys.length + news.length === 0 ? [] : ['', ...whys, ...news]),
    '',
    `${fired} of ${compared} fired; alerting on every change of ${number(model.monitoring.drift.minEffect)} ${statistic} would have fired ${declared}, on everything ${compared}, on nothing 0.`,
  ];
}

const number = (value: unknown): string => (typeof value === 'number' ? value.toPrecision(3) : '-');
