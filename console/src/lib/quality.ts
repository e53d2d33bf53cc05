import type { Measure } from './types.ts';

/** One line of a plot over time. */
export interface Line {
  readonly name: string;
  readonly values: ReadonlyArray<number | null>;
  /** Bounds of an interval, drawn as a band. */
  readonly low?: ReadonlyArray<number | null>;
  readonly high?: ReadonlyArray<number | null>;
  readonly dashed?: boolean;
}

/** The newest look at each window, version and kind: a window is looked at again while its labels come. */
export function newest(measures: readonly Measure[]): readonly Measure[] {
  const kept = new Map<string, Measure>();
  for (const one of measures) {
    const id = [one.kind, one.statistic, one.version, one.subject, one.slice, one.to].join(' ');
    const before = kept.get(id);
    if (before === undefined || before.tick <= one.tick) kept.set(id, one);
  }
  return [...kept.values()];
}

/** One statistic as lines by version over the ends of its windows: measured ones whole, estimates dashed. */
export function linesOf(
  measures: readonly Measure[],
  statistic: string,
): { readonly at: readonly number[]; readonly lines: readonly Line[] } {
  const own = newest(measures).filter((one) => one.statistic === statistic && one.value !== null);
  const at = [...new Set(own.map(({ to }) => to))].sort((a, b) => a - b);
  const groups = new Map<string, Measure[]>();
  for (const one of own) {
    const name = one.kind === 'estimate' ? `version ${one.version}, estimated` : `version ${one.version}`;
    groups.set(name, [...(groups.get(name) ?? []), one]);
  }
  const lines = [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, found]): Line => {
      const byEnd = new Map(found.map((one) => [one.to, one]));
      const column = (pick: (one: Measure) => number | null) =>
        at.map((to) => {
          const one = byEnd.get(to);
          return one === undefined ? null : pick(one);
        });
      return {
        name,
        values: column(({ value }) => value),
        low: column(({ low }) => low),
        high: column(({ high }) => high),
        dashed: name.endsWith('estimated'),
      };
    });
  return { at, lines };
}

/** Measures of subjects that hold a text, in whatever case; all of them where it is blank. */
export const isNamed =
  (text: string) =>
  ({ subject }: Measure): boolean =>
    subject.toLowerCase().includes(text.trim().toLowerCase());

/** Drift of one tick, the largest effect beside its threshold first; what has no threshold comes last. */
export const ranked = (measures: readonly Measure[]): readonly Measure[] =>
  measures
    .filter(({ kind, value }) => kind === 'drift' && value !== null)
    .sort(
      (a, b) =>
        Number(b.fired) - Number(a.fired) ||
        Number(a.threshold === null) - Number(b.threshold === null) ||
        effect(b) - effect(a),
    );

const effect = ({ value, threshold }: Measure): number =>
  (value ?? 0) / (threshold === null || threshold === 0 ? 1 : threshold);

/** Two windows side by side, as a measure of drift keeps them: shares of the rows by cell. */
export interface Shares {
  readonly cells: readonly string[];
  readonly reference: readonly number[];
  readonly current: readonly number[];
}

export const sharesIn = ({ detail }: Measure): Shares | null =>
  (detail as { shares?: Shares | null } | null)?.shares ?? null;

/**
 * One point alone stands in the middle of its day; seconds. uPlot tells a scale of time with one point an end that lies years behind
 * it, which is left out here.
 */
export const aroundOne = (only: number): [number, number] => [only - 43_200, only + 43_200];
