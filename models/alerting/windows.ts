import type { AlertRule } from '../../schemas/alert.ts';
import type { Measure } from '../../schemas/monitoring.ts';

/** Whether a rule looks at a measure. */
const isOf = (rule: AlertRule, { kind, statistic }: Measure): boolean =>
  rule.kind === kind && (rule.statistics.length === 0 || rule.statistics.includes(statistic));

/** One window of one alert: all measures of it, by statistic and version. */
export interface Window {
  readonly from: number;
  readonly to: number;
  /** True where the condition holds of any measure; null where it can be told of none. */
  readonly holds: boolean | null;
  /** The measure that decided. */
  readonly measure: Measure;
}

const keyOf = ({ kind, statistic, model, version, subject, slice, from, to }: Measure) =>
  JSON.stringify([kind, statistic, model, version, subject, slice, from, to]);

/**
 * The measures that rules may still look at. A window that is measured again, with more labels, replaces what was
 * measured of it before; it is never counted twice. What it holds does not depend on the order of adding.
 */
export class MeasureBook {
  readonly #rules: readonly AlertRule[];
  readonly #measures = new Map<string, Measure>();

  constructor(rules: readonly AlertRule[]) {
    this.#rules = rules;
  }

  add(measures: readonly Measure[]): void {
    for (const measure of measures) {
      if (!this.#rules.some((rule) => isOf(rule, measure))) continue;
      const key = keyOf(measure);
      const before = this.#measures.get(key);
      if (before === undefined || before.tick <= measure.tick) this.#measures.set(key, measure);
    }
  }

  /** Forgets windows that ended at or before `time`, epoch ms of event time. */
  prune(time: number): void {
    for (const [key, { to }] of this.#measures) if (to <= time) this.#measures.delete(key);
  }

  measures(): readonly Measure[] {
    return [...this.#measures.values()];
  }
}

/** Measures of one statistic, model, subject and slice, whatever the version. */
const lineOf = ({ statistic, model, subject, slice }: Measure) =>
  JSON.stringify([statistic, model, subject, slice]);

/** Orders the measures of one window so that the first of them speaks for it: the newest version, then by name. */
const bySpeaker = (a: Measure, b: Measure) =>
  b.version - a.version || (a.statistic < b.statistic ? -1 : a.statistic > b.statistic ? 1 : 0);

/**
 * What `condition` sees as `previous`: the value of the nearest window before that has one, of the same version
 * where both were measured in it.
 */
function previousOf(measure: Measure, line: readonly Measure[]): number | null {
  let best: Measure | null = null;
  for (const one of line) {
    if (one.to >= measure.to || one.value === null) continue;
    const nearer =
      best === null ||
      one.to > best.to ||
      (one.to === best.to &&
        best.version !== measure.version &&
        (one.version === measure.version || one.version > best.version));
    if (nearer) best = one;
  }
  return best?.value ?? null;
}

export interface Series {
  readonly model: string;
  readonly subject: string;
  readonly slice: string;
  /** In the order of their ends. */
  readonly windows: readonly Window[];
}

/** The windows of every alert that a rule can raise, judged. */
export function seriesOf(rule: AlertRule, measures: readonly Measure[]): readonly Series[] {
  const lines = new Map<string, Measure[]>();
  const groups = new Map<string, Map<string, Measure[]>>();
  for (const measure of measures) {
    if (!isOf(rule, measure)) continue;
    push(lines, lineOf(measure), measure);
    const { model, subject, slice, from, to } = measure;
    const key = JSON.stringify([model, subject, slice]);
    const windows = groups.get(key) ?? new Map<string, Measure[]>();
    groups.set(key, windows);
    push(windows, `${from} ${to}`, measure);
  }
  return [...groups.values()].flatMap((windows): Series[] => {
    const judged = [...windows.values()]
      .map((all) => judge(rule, all, (measure) => previousOf(measure, lines.get(lineOf(measure)) ?? [])))
      .sort((a, b) => a.to - b.to || a.from - b.from);
    const first = judged[0]?.measure;
    if (first === undefined) return [];
    const { model, subject, slice } = first;
    return [{ model, subject, slice, windows: judged }];
  });
}

function judge(
  rule: AlertRule,
  measures: readonly Measure[],
  previous: (measure: Measure) => number | null,
): Window {
  const sorted = [...measures].sort(bySpeaker);
  const verdicts = sorted.map((measure) => ({
    measure,
    holds: rule.condition(scopeOf(measure, previous(measure))),
  }));
  const decided =
    verdicts.find(({ holds }) => holds === true) ??
    verdicts.find(({ holds }) => holds === false) ??
    verdicts[0];
  if (decided === undefined) throw new Error('a window without measures');
  const { from, to } = decided.measure;
  return { from, to, ...decided };
}

function scopeOf(measure: Measure, previous: number | null) {
  const { statistic, model, version, subject, slice, value, low, high, rows, threshold, fired } = measure;
  const by = byOf(measure);
  return {
    statistic,
    model,
    version,
    subject,
    slice,
    value,
    low,
    high,
    rows,
    threshold,
    fired,
    previous,
    by,
  };
}

/** Whether the champion answered with these scores or a challenger made them in its shadow. */
function byOf({ detail }: Measure): string {
  if (!detail.includes('"by"')) return '';
  try {
    const { by } = JSON.parse(detail) as { by?: unknown };
    return typeof by === 'string' ? by : '';
  } catch {
    // Somebody else wrote the row.
    return '';
  }
}

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
