import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { discreteBinning } from '../../models/drift/binning.ts';
import { MIN_QUIET } from '../../models/drift/calibrate.ts';
import { compareWindows } from '../../models/drift/compare.ts';
import { decideDrift } from '../../models/drift/decide.ts';
import { type Quiet, quietOf } from '../../models/drift/effect.ts';
import { type Shares, sharesOf } from '../../models/drift/shares.ts';
import { referenceOf, summariseNumbers } from '../../models/drift/summary.ts';
import type {
  Comparison,
  DriftFeature,
  DriftVerdict,
  ReferenceSummary,
  WindowSummary,
} from '../../models/drift/types.ts';
import { LABEL_SUBJECT, type Measure } from '../../schemas/monitoring.ts';
import { tables } from '../../schemas/names.ts';
import type { Model } from '../../schemas/project.ts';
import { DAY } from '../../schemas/time.ts';
import { detailOf, measure } from '../measures.ts';
import type { WindowDeps } from '../window.ts';
import { importanceOfWords, type WindowBook, wordFields } from './drift-source.ts';

/** Of the budget of false alarms; the rest is the features' and the score's. */
const LABEL_BUDGET = 0.1;
const MONTH = 30 * DAY;

export interface DriftWindow {
  readonly from: number;
  readonly to: number;
  readonly tick: number;
  readonly version: number;
}

/** Where the reference of a window begins: whole windows before it. */
export function referenceFrom({ monitoring }: Pick<Model, 'monitoring'>, from: number): number {
  const { every, reference } = monitoring;
  return from - Math.floor(reference / every) * every;
}

/**
 * Every feature, the score and the keys of a window against the windows before it.
 *
 * @param importance of the version's features, in their order; equal ones where nobody knows.
 * @param earlier drift measures of the windows of the reference: a window at which a column fired is none of its quiet ones.
 */
export async function measureDrift(
  deps: WindowDeps,
  book: WindowBook,
  window: DriftWindow,
  importance: readonly number[],
  earlier: readonly Measure[],
): Promise<Measure[]> {
  const { model } = deps;
  const windows = await book.windows({ from: referenceFrom(model, window.from), to: window.to });
  const current = windows.at(-1);
  const before = windows.slice(0, -1);
  if (current === undefined || before.length === 0) return [];
  const reference = referenceOf(before);
  const words = wordFields(deps);
  const ofWords = importanceOfWords(model, words, importance);
  const shares = new Map([
    ...model.features.map(({ name }, i) => [name, importance[i] ?? 0] as const),
    ...ofWords,
  ]);
  const measures = decide(model, window, reference, current, shares, earlier, 1 - LABEL_BUDGET);
  return Promise.all(measures.map((one) => withNewWords(book, words, one)));
}

/** Share of rows with words never seen from which on they are named. */
const NAMED_SHARE = 0.001;

/** The figure with the names of what is new in it. */
export async function withNewWords(
  book: Pick<WindowBook, 'newWords'>,
  words: readonly string[],
  one: Measure,
): Promise<Measure> {
  const { statistic, subject, value, from, to } = one;
  if (statistic !== 'new_categories' || !words.includes(subject) || (value ?? 0) < NAMED_SHARE) return one;
  // Where this figure speaks for its column the verdict is in it too.
  return {
    ...one,
    detail: JSON.stringify({ ...detailOf(one), names: await book.newWords(subject, { from, to }) }),
  };
}

/** The labels of a window that has just become known. */
export async function measureLabelDrift(
  deps: WindowDeps,
  window: DriftWindow,
  labels: { readonly rows: number; readonly positives: number },
  earlier: readonly Measure[],
): Promise<Measure[]> {
  const { model } = deps;
  const before = await labelWindows(deps, window, earlier);
  if (before.length === 0) return [];
  const current = labelSummary(window, labels);
  return decide(
    model,
    window,
    referenceOf(before),
    current,
    new Map([[LABEL_SUBJECT, 1]]),
    earlier.filter(({ subject }) => subject === LABEL_SUBJECT),
    LABEL_BUDGET,
  );
}

function decide(
  model: Model,
  window: DriftWindow,
  reference: ReferenceSummary,
  current: WindowSummary,
  importance: ReadonlyMap<string, number>,
  earlier: readonly Measure[],
  budgetShare: number,
): Measure[] {
  const { drift, every } = model.monitoring;
  const compared = compareWindows(reference.whole, current);
  const quiet = quietWindows(reference, drift, earlier);
  const features = Object.entries(compared).map(
    ([name, comparison]): DriftFeature => ({
      name,
      calendar: drift.calendar.includes(name),
      importance: importance.get(name) ?? 0,
      comparison,
      ...(quiet[name] ?? { nullEffects: [] }),
    }),
  );
  const rule = {
    ...drift,
    falseAlarmsPerMonth: drift.falseAlarmsPerMonth * budgetShare,
    ticksPerMonth: MONTH / every,
  };
  const lacks = lackOfWindows(reference);
  return decideDrift({ features, rule }).flatMap((judged, i) => {
    const verdict = lacks === null || !judged.fired ? judged : { ...judged, ...lacks };
    const { name } = verdict;
    const comparison = compared[name];
    const [before, now] = [reference.whole.columns[name], current.columns[name]];
    if (comparison === undefined || before === undefined || now === undefined) return [];
    const shown = { rank: i + 1, importance: importance.get(name) ?? 0, shares: sharesOf(before, now) };
    return columnMeasures(model, window, verdict, comparison, shown);
  });
}

/** Nobody knows how far quiet windows move before there are some: no budget could be kept. */
function lackOfWindows({ windows }: ReferenceSummary): Pick<DriftVerdict, 'fired' | 'reason' | 'why'> | null {
  const known = windows.filter(({ columns }) => Object.values(columns).some(({ rows }) => rows > 0)).length;
  const why = `The reference has ${known} windows; how far quiet ones move shows from ${MIN_QUIET} on.`;
  return known >= MIN_QUIET ? null : { fired: false, reason: 'too_few', why };
}

/** A window at which a column fired says nothing of how that column moves by itself. */
function quietWindows(
  reference: ReferenceSummary,
  { statistic, minCount }: Model['monitoring']['drift'],
  earlier: readonly Measure[],
): Record<string, Quiet> {
  const fired = new Map<string, Set<number>>();
  for (const one of earlier) {
    if (!one.fired) continue;
    const at = fired.get(one.subject) ?? new Set();
    fired.set(one.subject, at.add(one.from));
  }
  const all = quietOf(reference, statistic, minCount);
  for (const [name, at] of fired) {
    if (all[name] === undefined) continue;
    const windows = reference.windows.flatMap(({ columns, ...rest }) => {
      const column = columns[name];
      return at.has(rest.from) || column === undefined ? [] : [{ ...rest, columns: { [name]: column } }];
    });
    const own = windows.length === 0 ? undefined : quietOf(referenceOf(windows), statistic, minCount)[name];
    if (own !== undefined) all[name] = own;
  }
  return all;
}

function columnMeasures(
  model: Model,
  window: DriftWindow,
  verdict: DriftVerdict,
  comparison: Comparison,
  shown: { readonly rank: number; readonly importance: number; readonly shares: Shares | null },
): Measure[] {
  const { psi, js, ks, wassersteinScaled, chiSquared, missing, unseenShare, status } = comparison;
  const figures: ReadonlyArray<readonly [string, number | null]> = [
    ['psi', psi],
    ['js', js],
    ['ks', ks],
    ['wasserstein', wassersteinScaled],
    ['chi2', chiSquared?.effect ?? null],
    ['missing', missing?.current ?? null],
    ['new_categories', unseenShare],
  ];
  const { drift } = model.monitoring;
  return figures
    .filter(([statistic, value]) => value !== null || statistic === drift.statistic)
    .map(([statistic, value]) => {
      const speaks = statistic === verdict.statistic;
      return measure({
        kind: 'drift',
        statistic,
        model: model.name,
        version: window.version,
        subject: verdict.name,
        from: window.from,
        to: window.to,
        tick: window.tick,
        value,
        rows: comparison.currentRows,
        threshold: speaks ? verdict.threshold : null,
        fired: speaks && verdict.fired,
        detail: {
          ...(statistic === 'missing' && missing !== null ? { reference: missing.reference } : {}),
          ...(speaks || statistic === drift.statistic
            ? {
                rank: shown.rank,
                impact: verdict.impact,
                importance: shown.importance,
                effect: verdict.effect,
                of: verdict.statistic,
                q: verdict.q,
                reason: verdict.reason,
                why: verdict.why,
                status,
                reference_rows: comparison.referenceRows,
                ...(speaks ? { shares: shown.shares } : {}),
              }
            : {}),
        },
      });
    });
}

const LABEL_CELLS = discreteBinning([0, 1]);

function labelSummary(
  { from, to }: { readonly from: number; readonly to: number },
  { rows, positives }: { readonly rows: number; readonly positives: number },
): WindowSummary {
  const values = Array.from({ length: rows }, (_, i) => (i < positives ? 1 : 0));
  return { from, to, columns: { [LABEL_SUBJECT]: summariseNumbers(values, LABEL_CELLS) } };
}

/** Labels of the windows of the reference: as they were measured, and before the first of those what the version learnt from. */
async function labelWindows(
  { project, model, warehouse }: WindowDeps,
  window: DriftWindow,
  earlier: readonly Measure[],
): Promise<WindowSummary[]> {
  const { every } = model.monitoring;
  const start = referenceFrom(model, window.from);
  const known = new Map<number, { rows: number; positives: number }>();
  for (const row of await learntLabels(warehouse, project.prefix, model, window.version, start, window.from))
    known.set(row.start, row);
  const measured = new Map<number, { rows: number; positives: number }>();
  for (const one of earlier) {
    if (one.kind !== 'quality' || one.statistic !== 'base_rate' || one.slice !== '') continue;
    const { positives } = detailOf(one);
    // Versions of one window have nearly the same requests: the one with the most counts.
    if (typeof positives === 'number' && one.rows > (measured.get(one.from)?.rows ?? 0))
      measured.set(one.from, { rows: one.rows, positives });
  }
  const starts = Array.from(
    { length: Math.round((window.from - start) / every) },
    (_, i) => start + i * every,
  );
  return starts.flatMap((from) => {
    const labels = measured.get(from) ?? known.get(from);
    return labels === undefined || labels.rows === 0
      ? []
      : [labelSummary({ from, to: from + every }, labels)];
  });
}

async function learntLabels(
  warehouse: Warehouse,
  prefix: string,
  { name, monitoring }: Model,
  version: number,
  from: number,
  to: number,
): Promise<Array<{ start: number; rows: number; positives: number }>> {
  return warehouse.query(
    `SELECT intDiv(toUnixTimestamp64Milli(request_time), {every:Int64}) * {every:Int64} AS start,
       count() AS rows, sum(label) AS positives
     FROM ${quoteName(tables.references(prefix, name))} FINAL
     WHERE version = {version:Int32} AND request_time >= fromUnixTimestamp64Milli({from:Int64})
       AND request_time < fromUnixTimestamp64Milli({to:Int64}) GROUP BY start ORDER BY start`,
    { every: monitoring.every, version, from, to },
  );
}
