import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { answersOf, quoteName } from '../../infrastructure/clickhouse/tables.ts';
import type { Detector, DetectorKind } from '../../models/detectors/detector.ts';
import { DETECTORS, type DetectorName } from '../../models/detectors/index.ts';
import { LOG_LOSS_CLIP } from '../../models/metrics.ts';
import type { Measure } from '../../schemas/monitoring.ts';
import { tables } from '../../schemas/names.ts';
import type { Model } from '../../schemas/project.ts';
import { detailOf, measure } from '../measures.ts';
import { labelledRows, type ScoredWindow, type WindowDeps } from '../window.ts';

/** Parts of a window that make one value each: an hour of a day. */
const PARTS = 24;
/** Least labelled rows that make one value of the loss. */
const BLOCK_ROWS = 100;
/** Windows before, of which at least so many tell what is usual at a part of the window. */
const USUAL_WINDOWS = 7;
const LEAST_USUAL = 3;
/** A single block cannot say more than this many deviations. */
const MOST = 10;

/** A value that detectors take, and the event time by which it was known. */
export interface Point {
  readonly value: number;
  readonly time: number;
}

/**
 * Losses set against what the scores themselves expect, in blocks of rows in the order of time: sum of
 * (loss - entropy of the score) over its standard deviation if every label were a coin of its score. So the hours and
 * the weekdays, which make some rows harder than others, are out of it: about N(0, 1) while the model is right. Few and
 * large blocks, since from one hour to the next no model is as right as its scores claim.
 */
export function lossPoints(window: ScoredWindow): Point[] {
  const { rows, scores, labels } = labelledRows(window);
  const points: Point[] = [];
  const block = Math.max(BLOCK_ROWS, Math.ceil(rows.length / PARTS));
  for (let start = 0; start + BLOCK_ROWS <= rows.length; start += block) {
    const end = Math.min(rows.length, start + block);
    let [sum, variance] = [0, 0];
    for (let i = start; i < end; i += 1) {
      const p = Math.min(1 - LOG_LOSS_CLIP, Math.max(LOG_LOSS_CLIP, scores[i] ?? 0));
      const logit = Math.log(p / (1 - p));
      // loss - entropy = (p - label) * logit
      sum += (p - (labels[i] ?? 0)) * logit;
      variance += p * (1 - p) * logit * logit;
    }
    const last = rows[end - 1] ?? 0;
    if (variance > 0)
      points.push({
        value: Math.max(-MOST, Math.min(MOST, sum / Math.sqrt(variance))),
        time: window.times[last] ?? window.to,
      });
  }
  return points;
}

/** Mean score of each part of a window, less its mean at the same part of the windows before. */
export async function scorePoints(
  { project, model, warehouse }: WindowDeps,
  window: Pick<ScoredWindow, 'version' | 'from' | 'to'>,
): Promise<Point[]> {
  const { every } = model.monitoring;
  const step = every / PARTS;
  const from = window.from - USUAL_WINDOWS * every;
  const rows = await partMeans(warehouse, project.prefix, model, window.version, from, window.to, step);
  const usual = new Map<number, number[]>();
  const points: Point[] = [];
  for (const { part, mean } of rows) {
    const phase = part % PARTS;
    if (from + part * step < window.from) usual.set(phase, [...(usual.get(phase) ?? []), mean]);
    else {
      const before = usual.get(phase) ?? [];
      if (before.length < LEAST_USUAL) continue;
      const level = before.reduce((sum, value) => sum + value, 0) / before.length;
      points.push({ value: mean - level, time: from + (part + 1) * step });
    }
  }
  return points;
}

async function partMeans(
  warehouse: Warehouse,
  prefix: string,
  { name }: Model,
  version: number,
  from: number,
  to: number,
  step: number,
): Promise<Array<{ part: number; mean: number }>> {
  const select = (table: string) =>
    `SELECT toUnixTimestamp64Milli(request_time) AS at, score FROM ${table}
     WHERE status = 'scored' AND model_version = {version:Int32}
       AND request_time >= fromUnixTimestamp64Milli({from:Int64})
       AND request_time < fromUnixTimestamp64Milli({to:Int64})`;
  return warehouse.query(
    `SELECT toInt32(floor((at - {from:Int64}) / {step:Float64})) AS part, round(avg(score), 12) AS mean
     FROM (${select(answersOf(prefix, name))} UNION ALL ${select(`${quoteName(tables.shadow(prefix, name))} FINAL`)})
     GROUP BY part ORDER BY part`,
    { version, from, to, step },
  );
}

/** What watches what: blocks are few, so they are looked at often. DDM takes errors: a block that was worse than expected is one. */
const WATCHERS: ReadonlyArray<{
  readonly detector: DetectorName;
  readonly subject: 'loss' | 'score';
  readonly options: object;
  readonly map: (value: number) => number;
}> = [
  { detector: 'page_hinkley', subject: 'loss', options: { minCount: 30, delta: 0.5 }, map: (value) => value },
  { detector: 'adwin', subject: 'loss', options: { every: 8 }, map: (value) => value },
  { detector: 'ddm', subject: 'loss', options: { minCount: 300 }, map: (value) => (value > 0 ? 1 : 0) },
  { detector: 'page_hinkley', subject: 'score', options: { twoSided: true }, map: (value) => value },
  { detector: 'adwin', subject: 'score', options: { every: 8 }, map: (value) => value },
];

/**
 * Runs a window through every detector of a subject, from where the window before left it.
 *
 * @param earlier detector measures of the model of earlier windows; the newest of the version holds the state.
 */
export function measureDetectors(
  model: Pick<Model, 'name'>,
  window: Pick<ScoredWindow, 'version' | 'from' | 'to'>,
  tick: number,
  subject: 'loss' | 'score',
  points: readonly Point[],
  earlier: readonly Measure[],
): Measure[] {
  return WATCHERS.filter((watcher) => watcher.subject === subject).map((watcher) => {
    const detector = restored(watcher, window, earlier);
    const drifts: number[] = [];
    let warnings = 0;
    for (const { value, time } of points) {
      const signal = detector.update(watcher.map(value));
      if (signal === 'drift') drifts.push(time);
      if (signal === 'warning') warnings += 1;
    }
    const { mean, count } = detector.get();
    return measure({
      kind: 'detector',
      statistic: watcher.detector,
      model: model.name,
      version: window.version,
      subject,
      from: window.from,
      to: window.to,
      tick,
      value: count === 0 ? null : mean,
      rows: points.length,
      fired: drifts.length > 0,
      detail: {
        ...(points.length === 0
          ? { why: 'There is nothing in the window that the detector could be given.' }
          : {}),
        drifts,
        warnings,
        count,
        state: detector.serialise(),
      },
    });
  });
}

function restored(
  { detector, subject, options }: (typeof WATCHERS)[number],
  { version, from }: Pick<ScoredWindow, 'version' | 'from'>,
  earlier: readonly Measure[],
): Detector {
  const kind = DETECTORS[detector] as DetectorKind<object, unknown>;
  let last: Measure | null = null;
  for (const one of earlier)
    if (
      one.statistic === detector &&
      one.subject === subject &&
      one.version === version &&
      one.to <= from &&
      (last === null || one.to > last.to)
    )
      last = one;
  return last === null ? kind.create(options) : kind.restore(detailOf(last).state);
}
