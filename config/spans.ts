import { DAY, MAX_WINDOW, RESOLUTIONS } from '../schemas/time.ts';
import { NEEDS } from './aggregations.ts';
import type { Place } from './document.ts';
import { formatDuration, parseDuration } from './durations.ts';
import { listOf } from './lists.ts';
import { inside } from './reporter.ts';
import type { ViewContext } from './view-context.ts';
import type { FeatureDeclaration } from './view-declaration.ts';

export const isPeriodic = (feature: FeatureDeclaration) =>
  feature.stretches !== undefined || feature.every !== undefined || feature.times !== undefined;

export interface Span {
  /** Last part of the name. */
  readonly suffix: string;
  /** Window, ms; null for a stretch. */
  readonly length: number | null;
  readonly from: number;
  readonly to: number;
}

/** A step of sketches that a window is long enough for, or a window long enough for the step. */
function finerFor(length: number, resolution: number, step: number): string {
  const fits = RESOLUTIONS.filter((rung) => rung >= resolution && 6 * rung <= length && length % rung === 0);
  const finer = fits.at(-1);
  const longer = `a window of ${formatDuration(6 * step)} or more`;
  return finer === undefined
    ? `Write ${longer}.`
    : `Write 'sketch_resolution: ${formatDuration(finer)}' in the view, or ${longer}.`;
}

export function windowsOf(feature: FeatureDeclaration, place: Place, context: ViewContext): Span[] | null {
  const { reporter } = context;
  if (feature.windows === undefined) {
    reporter.report(
      place,
      `The feature '${feature.name}' has no windows.`,
      "Add 'windows: [1h, 1d]', or 'times' and 'stretches' for a periodic feature.",
    );
    return null;
  }
  const sketch = listOf(feature.aggregation).some((one) => one === 'distinct' || one === 'quantile');
  const step = sketch ? context.sketchResolution : context.resolution;
  const before = reporter.problems.length;
  const spans = feature.windows.map((text, index): Span => {
    const at = inside(place, 'windows', index);
    const length = parseDuration(text) ?? 0;
    const name = sketch ? "'sketch_resolution'" : 'resolution';
    if (length <= 0) reporter.report(at, `The window ${text} is not above zero.`, "Write it as '1h'.");
    else if (sketch && length < 6 * step)
      reporter.report(
        at,
        `The window ${text} has fewer than six steps of ${formatDuration(step)}, the 'sketch_resolution'.`,
        finerFor(length, context.resolution, step),
      );
    else if (length % step !== 0)
      reporter.report(
        at,
        `The window ${text} is not a multiple of the ${name}, ${formatDuration(step)}.`,
        `Write ${formatDuration(Math.max(step, Math.round(length / step) * step))}.`,
      );
    else if (length > MAX_WINDOW)
      reporter.report(at, `The window ${text} is longer than 100d.`, 'Write at most 100d.');
    return { suffix: text, length, from: 0, to: 0 };
  });
  return reporter.problems.length > before ? null : spans;
}

export function stretchesOf(feature: FeatureDeclaration, place: Place, context: ViewContext): Span[] | null {
  const { reporter, resolution } = context;
  const before = reporter.problems.length;
  if (feature.windows !== undefined)
    reporter.report(
      inside(place, 'windows'),
      `'${feature.name}' is periodic and has no windows.`,
      "Remove 'windows', or 'every', 'times' and 'stretches'.",
    );
  if (feature.times === undefined || feature.stretches === undefined) {
    reporter.report(
      place,
      `The periodic feature '${feature.name}' needs 'times' and 'stretches'.`,
      "Add 'times: 7' and 'stretches: {near: [-10m, 10m]}'.",
    );
    return null;
  }
  for (const aggregation of listOf(feature.aggregation))
    if (!NEEDS[aggregation].periodic)
      reporter.report(
        inside(place, 'aggregation'),
        `'${aggregation}' cannot be periodic.`,
        'Use it with windows.',
      );
  const every = parseDuration(feature.every ?? '1d') ?? 0;
  if (every <= 0 || every % DAY !== 0)
    reporter.report(
      inside(place, 'every'),
      `'every' is ${feature.every}, which is not whole days.`,
      "Write '1d' or '7d'.",
    );
  // A stretch of yesterday must be over, and known, when the request comes; else it would always be null.
  const up = (span: number) => Math.ceil(span / resolution) * resolution;
  const latest = every - up(context.readDelay) - up(context.maxDelay);
  const spans = Object.entries(feature.stretches).map(([name, [fromText, toText]]): Span => {
    const at = inside(place, 'stretches', name);
    const from = parseDuration(fromText) ?? 0;
    const to = parseDuration(toText) ?? 0;
    if (from % resolution !== 0 || to % resolution !== 0)
      reporter.report(
        at,
        `The stretch '${name}' does not fit the resolution, ${formatDuration(resolution)}.`,
        'Write multiples of it.',
      );
    else if (from >= to)
      reporter.report(at, `The stretch '${name}' ends before it starts.`, 'Write the earlier time first.');
    else if (to - from > every)
      reporter.report(
        at,
        `The stretch '${name}' is longer than 'every', ${formatDuration(every)}.`,
        'Shorten it.',
      );
    else if (every > 0 && to > latest)
      reporter.report(
        at,
        `The stretch '${name}' of the newest period is not known yet when a request comes, so it would always be null.`,
        `End it at ${formatDuration(latest)} or before.`,
      );
    return { suffix: name, length: null, from, to };
  });
  return reporter.problems.length > before ? null : spans;
}
