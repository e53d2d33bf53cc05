import type { EventRecord, Scalar } from '../schemas/event.ts';
import type { Source } from '../schemas/project.ts';
import { DAY, MAX_WINDOW, RESOLUTIONS } from '../schemas/time.ts';
import type { Aggregation, ColumnKind, StoredFeature } from '../schemas/view.ts';
import type { FeatureDeclaration, ViewDeclaration } from './declarations.ts';
import type { Place } from './document.ts';
import { formatDuration, parseDuration } from './durations.ts';
import type { CompiledExpression, ExpressionCompiler } from './expression.ts';
import type { InputList, InputParts } from './inputs.ts';
import { listOf } from './lists.ts';
import { mendOfUnknown } from './nearest.ts';
import { compileAt, inside, type Reporter } from './reporter.ts';
import { columnsOf, draftSet, EVENTS_OF_ROOM, type SetDraft, sketchOf } from './tiles.ts';

export interface ViewContext {
  readonly view: ViewDeclaration;
  readonly place: Place;
  readonly sources: readonly Source[];
  readonly compilerOf: (source: Source) => ExpressionCompiler;
  readonly reporter: Reporter;
  readonly inputs: InputList;
  readonly drafts: SetDraft[];
  readonly resolution: number;
  readonly sketchResolution: number;
  readonly readDelay: number;
  readonly maxDelay: number;
  /** `length` is the window, ms: its index is known when all features are. */
  add(feature: StoredFeature, length: number | null, place: Place): void;
}

/** What each aggregation needs of its declaration. */
interface Need {
  readonly of: 'none' | 'optional' | 'condition' | 'value' | 'any';
  /** Values are added up: they need a range, so that sums stay exact. */
  readonly adds: boolean;
  readonly squares: boolean;
  readonly periodic: boolean;
}
const need = (of: Need['of'], adds = false, squares = false, periodic = true): Need => ({
  of,
  adds,
  squares,
  periodic,
});

export const NEEDS: Readonly<Record<Aggregation, Need>> = {
  count: need('none'),
  sum: need('value', true),
  mean: need('value', true),
  min: need('value'),
  max: need('value'),
  variance: need('value', true, true),
  stddev: need('value', true, true),
  share: need('condition'),
  last: need('value'),
  seconds_since_last: need('optional', false, false, false),
  decayed_sum: need('value', true, false, false),
  decayed_mean: need('value', true, false, false),
  distinct: need('any', false, false, false),
  quantile: need('value', false, false, false),
};

const COLUMNS: Readonly<
  Record<Exclude<Aggregation, 'variance' | 'stddev' | 'distinct' | 'quantile'>, readonly ColumnKind[]>
> = {
  count: ['count'],
  sum: ['sum'],
  mean: ['sum', 'count'],
  share: ['sum', 'count'],
  min: ['min'],
  max: ['max'],
  last: ['last_time', 'last_value'],
  seconds_since_last: ['last_time', 'last_value'],
  decayed_sum: ['sum'],
  decayed_mean: ['sum', 'count'],
};

/** Largest integer whose square still leaves room, in one column and in two limbs of 2^26. */
const ONE_LIMB = Math.floor(Math.sqrt(Number.MAX_SAFE_INTEGER / EVENTS_OF_ROOM));
const TWO_LIMBS = Math.floor(Math.sqrt((Number.MAX_SAFE_INTEGER / EVENTS_OF_ROOM) * 2 ** 26));
const ONE_SUM = Math.floor(Number.MAX_SAFE_INTEGER / EVENTS_OF_ROOM);

function columnKinds(aggregation: Aggregation, largest: number): readonly ColumnKind[] {
  if (aggregation === 'variance' || aggregation === 'stddev')
    return largest <= ONE_LIMB ? ['sum', 'count', 'square'] : ['sum', 'count', 'square_high', 'square_low'];
  if (aggregation === 'distinct' || aggregation === 'quantile') return [];
  return COLUMNS[aggregation];
}

const eventSet = (own: readonly string[], inherited: readonly string[]) => (own.length > 0 ? own : inherited);

/** The source whose events a feature reads, and the types of event that count. */
function originOf(
  feature: FeatureDeclaration,
  place: Place,
  context: ViewContext,
): { source: Source; events: readonly string[] | null } | null {
  const { view, sources, reporter } = context;
  const named = eventSet(listOf(feature.event), listOf(view.event));
  const at = feature.event === undefined ? inside(context.place, 'event') : inside(place, 'event');
  let candidates = sources;
  if (feature.source !== undefined) {
    candidates = sources.filter((source) => source.name === feature.source);
    if (candidates.length === 0) {
      const names = sources.map((source) => source.name);
      reporter.report(
        inside(place, 'source'),
        `The view '${view.view}' does not read a source '${feature.source}'.`,
        mendOfUnknown(feature.source, names),
      );
      return null;
    }
  }
  const unknown = named.find(
    (name) => !candidates.some((source) => source.events.some((event) => event.name === name)),
  );
  if (unknown !== undefined) {
    const known = candidates.flatMap((source) => source.events.map((event) => event.name));
    if (known.length > 0)
      reporter.report(at, `There is no event '${unknown}'.`, mendOfUnknown(unknown, known));
    return null;
  }
  if (named.length > 0)
    candidates = candidates.filter((source) =>
      named.every((name) => source.events.some((event) => event.name === name)),
    );
  const [source] = candidates;
  if (source === undefined || candidates.length > 1) {
    reporter.report(
      place,
      `The feature '${feature.name}' does not tell which source it reads.`,
      `Add 'source:' with ${sources.map((one) => `'${one.name}'`).join(' or ')}.`,
    );
    return null;
  }
  const all = source.events.every((event) => named.includes(event.name));
  return { source, events: named.length === 0 || all ? null : [...new Set(named)].sort() };
}

const textOf = (expression: string) => expression.trim().replace(/\s+/g, ' ');

type Code = (event: EventRecord) => Scalar;

interface Compiled {
  readonly source: Source;
  readonly events: readonly string[] | null;
  readonly where: readonly string[];
  readonly whereCode: readonly Code[];
  readonly of: CompiledExpression | null;
}

/** Compiles the expressions of a feature; null where one is wrong. */
function compileFeature(feature: FeatureDeclaration, place: Place, context: ViewContext): Compiled | null {
  const { reporter, view } = context;
  const origin = originOf(feature, place, context);
  if (origin === null) return null;
  const compiler = context.compilerOf(origin.source);
  const where: string[] = [];
  const whereCode: Code[] = [];
  let failed = false;
  for (const [text, at] of [
    [view.where, inside(context.place, 'where')],
    [feature.where, inside(place, 'where')],
  ] as const) {
    if (text === undefined) continue;
    const compiled = compileAt(reporter, compiler, at, text, 'bool');
    if (compiled === null) failed = true;
    else if (!where.includes(textOf(text))) {
      where.push(textOf(text));
      whereCode.push(compiled.evaluate);
    }
  }
  let of: CompiledExpression | null = null;
  if (feature.of !== undefined) {
    of = compileOf(feature, feature.of, place, compiler, reporter);
    if (of === null) failed = true;
  }
  return failed ? null : { ...origin, where, whereCode, of };
}

function compileOf(
  feature: FeatureDeclaration,
  text: string,
  place: Place,
  compiler: ExpressionCompiler,
  reporter: Reporter,
): CompiledExpression | null {
  const at = inside(place, 'of');
  const needs = listOf(feature.aggregation).map((one) => NEEDS[one].of);
  if (needs.includes('condition') && needs.includes('value')) return null;
  if (needs.includes('condition')) return compileAt(reporter, compiler, at, text, 'bool');
  if (needs.includes('value')) return compileAt(reporter, compiler, at, text, 'number');
  const asText = compiler.compile(text, 'string');
  if (asText.ok) return asText.expression;
  const asCondition = compiler.compile(text, 'bool');
  if (asCondition.ok) return asCondition.expression;
  return compileAt(reporter, compiler, at, text, 'number');
}

/** Problems of a feature's own keys, before anything is compiled. */
function checkKeys(feature: FeatureDeclaration, place: Place, context: ViewContext): boolean {
  const { reporter } = context;
  const before = reporter.problems.length;
  const aggregations = listOf(feature.aggregation);
  const said = new Set<string>();
  const say = (key: string | null, message: string, mend: string) => {
    // Of several aggregations that miss the same key, one speaks.
    if (said.has(mend)) return;
    said.add(mend);
    reporter.report(key === null || !(key in feature) ? place : inside(place, key), message, mend);
  };
  const kinds = new Set(
    aggregations.map((one) => NEEDS[one].of).filter((of) => of !== 'optional' && of !== 'any'),
  );
  const odd = aggregations.find((one) => NEEDS[one].of !== NEEDS[aggregations[0] ?? 'count'].of);
  if (kinds.size > 1 && odd !== undefined)
    say(
      'aggregation',
      `'${aggregations[0]}' and '${odd}' read different things.`,
      'Declare them as two features.',
    );
  for (const aggregation of aggregations) {
    const { of, adds } = NEEDS[aggregation];
    if (of === 'none' && feature.of !== undefined)
      say('of', `'${aggregation}' counts events and takes no 'of'.`, "Use 'where' to count some of them.");
    if (of !== 'none' && of !== 'optional' && feature.of === undefined)
      say(
        null,
        `'${aggregation}' needs 'of'.`,
        of === 'condition' ? "Add 'of:' with a condition." : "Add 'of:' with the value of an event.",
      );
    if (of === 'value' && feature.scale === undefined)
      say(
        null,
        `'${aggregation}' needs 'scale'.`,
        "Add 'scale: 1' for whole numbers, 'scale: 100' to keep two decimals.",
      );
    if (adds && feature.range === undefined)
      say(
        null,
        `'${aggregation}' adds values up and needs 'range'.`,
        "Add 'range: [smallest, largest]'; what lies outside is clipped.",
      );
    if (aggregation.startsWith('decayed_') && feature.half_life === undefined)
      say(null, `'${aggregation}' needs 'half_life'.`, "Add 'half_life: 1h'.");
    if (aggregation === 'quantile' && feature.quantiles === undefined)
      say(null, "'quantile' needs 'quantiles'.", "Add 'quantiles: [0.5, 0.95]'.");
  }
  const { range, scale = 1 } = feature;
  if (range !== undefined && range[0] >= range[1])
    say('range', `The range goes from ${range[0]} to ${range[1]}.`, 'Write the smaller value first.');
  if (range !== undefined)
    checkSize(feature, aggregations, Math.max(Math.abs(range[0]), Math.abs(range[1])) * scale, say);
  if (feature.half_life !== undefined && (parseDuration(feature.half_life) ?? 0) <= 0)
    say('half_life', "'half_life' is not above zero.", "Write it as '1h'.");
  return reporter.problems.length === before;
}

function checkSize(
  feature: FeatureDeclaration,
  aggregations: readonly Aggregation[],
  largest: number,
  say: (key: string, message: string, mend: string) => void,
): void {
  const squares = aggregations.find((one) => NEEDS[one].squares);
  const adds = aggregations.find((one) => NEEDS[one].adds);
  const limit = squares !== undefined ? Math.min(TWO_LIMBS, ONE_SUM) : ONE_SUM;
  if (adds === undefined || largest <= limit) return;
  say(
    'range',
    `'${squares ?? adds}' of values up to ${largest.toLocaleString('en')} (range times scale) would not stay exact: at most ${limit.toLocaleString('en')} fits.`,
    `Narrow the range, or lower the scale of '${feature.name}'.`,
  );
}

const isPeriodic = (feature: FeatureDeclaration) =>
  feature.stretches !== undefined || feature.every !== undefined || feature.times !== undefined;

export function expandFeature(feature: FeatureDeclaration, place: Place, context: ViewContext): void {
  const valid = checkKeys(feature, place, context);
  const periodic = isPeriodic(feature);
  const spans = periodic ? stretchesOf(feature, place, context) : windowsOf(feature, place, context);
  const compiled = compileFeature(feature, place, context);
  if (!valid || spans === null || compiled === null) return;
  for (const aggregation of listOf(feature.aggregation))
    expandAggregation(feature, aggregation, spans, compiled, place, context);
}

interface Span {
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

function windowsOf(feature: FeatureDeclaration, place: Place, context: ViewContext): Span[] | null {
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

function stretchesOf(feature: FeatureDeclaration, place: Place, context: ViewContext): Span[] | null {
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

function draftOf(context: ViewContext, kind: SetDraft['kind']): number {
  const index = context.drafts.findIndex((draft) => draft.kind === kind);
  if (index >= 0) return index;
  return (
    context.drafts.push(draftSet(kind, kind === 'sketches' ? context.sketchResolution : context.resolution)) -
    1
  );
}

function inputOf(
  feature: FeatureDeclaration,
  aggregation: Aggregation,
  compiled: Compiled,
  context: ViewContext,
): number {
  const { of } = compiled;
  const { of: kind } = NEEDS[aggregation];
  const shared = { source: compiled.source.name, events: compiled.events, where: compiled.where };
  const value =
    kind === 'value' || (kind === 'optional' && feature.scale !== undefined && of?.type === 'number');
  const reading: InputParts['reading'] = value
    ? 'value'
    : kind === 'condition'
      ? 'condition'
      : kind === 'any'
        ? 'hash'
        : 'event';
  const parts: InputParts = {
    ...shared,
    of: feature.of === undefined ? null : textOf(feature.of),
    reading,
    scale: reading === 'value' ? (feature.scale ?? 1) : 1,
    range: reading === 'value' ? (feature.range ?? null) : null,
  };
  return context.inputs.add(feature.name, parts, {
    where: compiled.whereCode,
    of: of === null ? null : of.evaluate,
  });
}

const quantileName = (quantile: number) => `p${String(Math.round(quantile * 1e6) / 1e4).replace('.', '_')}`;

function expandAggregation(
  feature: FeatureDeclaration,
  aggregation: Aggregation,
  spans: readonly Span[],
  compiled: Compiled,
  place: Place,
  context: ViewContext,
): void {
  const several = listOf(feature.aggregation).length > 1;
  const base = several && aggregation !== 'quantile' ? `${feature.name}_${aggregation}` : feature.name;
  const input = inputOf(feature, aggregation, compiled, context);
  const scale = NEEDS[aggregation].of === 'value' ? (feature.scale ?? 1) : 1;
  const [low, high] = feature.range ?? [0, 0];
  const sketch = aggregation === 'distinct' || aggregation === 'quantile';
  const periodic = isPeriodic(feature);
  const set = draftOf(context, sketch ? 'sketches' : periodic ? 'periodic' : 'windows');
  const draft = context.drafts[set];
  if (draft === undefined) return;
  const columns = sketch
    ? [
        sketchOf(draft, {
          kind: aggregation === 'distinct' ? 'hll' : 'ddsketch',
          input,
          precision: feature.precision,
          alpha: feature.accuracy,
        }),
      ]
    : columnsOf(draft, input, columnKinds(aggregation, Math.max(Math.abs(low), Math.abs(high)) * scale));
  const quantiles = aggregation === 'quantile' ? (feature.quantiles ?? []) : [0];
  for (const quantile of quantiles)
    for (const span of spans) {
      const name = `${aggregation === 'quantile' ? `${base}_${quantileName(quantile)}` : base}_${span.suffix}`;
      if (periodic) {
        const every = parseDuration(feature.every ?? '1d') ?? DAY;
        const times = feature.times ?? 1;
        draft.farthest = Math.max(draft.farthest, times * every - span.from);
        context.add(
          {
            kind: 'periodic',
            name,
            aggregation,
            set,
            columns,
            scale,
            every,
            times,
            from: span.from,
            to: span.to,
          },
          null,
          place,
        );
      } else {
        draft.windows.add(span.length ?? 0);
        context.add(
          {
            kind: 'window',
            name,
            aggregation,
            set,
            window: 0,
            columns,
            scale,
            halfLife: aggregation.startsWith('decayed_') ? (parseDuration(feature.half_life ?? '') ?? 0) : 0,
            quantile,
          },
          span.length,
          place,
        );
      }
    }
}
