import type { Field, Source } from '../schemas/project.ts';
import { DAY, MINUTE, RESOLUTIONS } from '../schemas/time.ts';
import type { StoredFeature, TileSet, View } from '../schemas/view.ts';
import type { Place } from './document.ts';
import { formatDuration, parseDuration } from './durations.ts';
import { createExpressionCompiler, type ExpressionCompiler } from './expression.ts';
import { expandFeature } from './features.ts';
import { hashOf } from './hash.ts';
import { createInputList } from './inputs.ts';
import { listOf } from './lists.ts';
import { mendOfUnknown } from './nearest.ts';
import { inside, type Reporter } from './reporter.ts';
import { scopeOf } from './source.ts';
import { finishSet, MAX_TILES, type SetDraft } from './tiles.ts';
import type { ViewContext } from './view-context.ts';
import type { ViewDeclaration } from './view-declaration.ts';

export interface Declared {
  /** Sources that could be compiled. */
  readonly sources: ReadonlyMap<string, Source>;
  /** Names of all sources, broken ones among them, which are reported already. */
  readonly sourceNames: ReadonlySet<string>;
}

/** The sources of a view, or null where one is unknown or broken. */
function sourcesOf(
  view: ViewDeclaration,
  place: Place,
  declared: Declared,
  reporter: Reporter,
): Source[] | null {
  const named = listOf(view.source);
  if (named.length === 0 && declared.sourceNames.size > 1) {
    reporter.report(
      place,
      `The view '${view.view}' does not say which source it reads.`,
      `Add 'source:' with ${[...declared.sourceNames].map((name) => `'${name}'`).join(' or ')}.`,
    );
    return null;
  }
  const found: Source[] = [];
  for (const [index, name] of (named.length === 0 ? [...declared.sourceNames] : named).entries()) {
    const source = declared.sources.get(name);
    if (source !== undefined) found.push(source);
    else if (!declared.sourceNames.has(name)) {
      const at = Array.isArray(view.source) ? inside(place, 'source', index) : inside(place, 'source');
      reporter.report(at, `There is no source '${name}'.`, mendOfUnknown(name, declared.sourceNames));
    }
  }
  const wanted = named.length === 0 ? declared.sourceNames.size : named.length;
  return found.length === wanted && found.length > 0 ? found : null;
}

function fieldIn(source: Source, name: string): Field | undefined {
  if (name === 'id' || name === 'type') return { name, type: 'string' };
  if (name === 'time') return { name, type: 'timestamp' };
  return source.fields.find((field) => field.name === name);
}

function checkKeys(
  view: ViewDeclaration,
  place: Place,
  sources: readonly Source[],
  reporter: Reporter,
): void {
  for (const source of sources) {
    const known = ['id', 'type', ...source.fields.map((field) => field.name)];
    for (const [index, name] of view.entity.entries()) {
      const at = inside(place, 'entity', index);
      const field = fieldIn(source, name);
      if (field === undefined)
        reporter.report(
          at,
          `The source '${source.name}' has no field '${name}'.`,
          mendOfUnknown(name, known),
        );
      else if (field.type === 'double')
        reporter.report(
          at,
          `The field '${name}' is a double, which makes no key.`,
          'Use a string or an int.',
        );
    }
    if (view.at !== undefined) {
      const at = inside(place, 'at', 'field');
      const field = fieldIn(source, view.at.field);
      if (field === undefined)
        reporter.report(
          at,
          `The source '${source.name}' has no field '${view.at.field}'.`,
          mendOfUnknown(view.at.field, known),
        );
      else if (field.type !== 'timestamp')
        reporter.report(
          at,
          `The field '${view.at.field}' is a ${field.type}, not a timestamp.`,
          'Name a timestamp field.',
        );
    }
  }
}

/** A local view is folded where its source is ingested, so both must lie in the same partitions, record by record. */
function checkLocal(
  { name, entity, partitions }: Pick<View, 'name' | 'entity' | 'partitions'>,
  place: Place,
  sources: readonly Source[],
  reporter: Reporter,
): void {
  const at = inside(place, 'local');
  const [source, ...others] = sources;
  if (source === undefined) return;
  if (others.length > 0)
    reporter.report(
      at,
      `The view '${name}' is local and reads ${sources.length} sources.`,
      "Name one source, or leave out 'local'.",
    );
  else if (entity.length !== 1 || entity[0] !== source.key)
    reporter.report(
      at,
      `The view '${name}' is local, but its entity is not the key of '${source.name}' (${source.key}): a partition has not all events of an entity.`,
      `Write 'entity: [${source.key}]', or leave out 'local'.`,
    );
  else if (partitions !== source.partitions)
    reporter.report(
      at,
      `The view '${name}' is local and has ${partitions} partitions; its source '${source.name}' has ${source.partitions}.`,
      `Leave out 'partitions', or leave out 'local'.`,
    );
}

const DEFAULT_SLACK = 15 * MINUTE;
const DEFAULT_HOLD = DAY;
const DEFAULT_HOLD_MEGABYTES = 64;
const MEGABYTE = 1_048_576;

interface Times {
  readonly resolution: number;
  readonly sketchResolution: number;
  readonly readDelay: number;
  readonly slack: number;
  readonly maxDelay: number;
}

const ms = (text: string | undefined) => (text === undefined ? null : parseDuration(text));

function timesOf(view: ViewDeclaration, place: Place, sources: readonly Source[], reporter: Reporter): Times {
  const resolution = ms(view.resolution) ?? MINUTE;
  const outOfOrderness = largestDisorder(sources);
  const readDelay = ms(view.read_delay) ?? outOfOrderness;
  if (readDelay < outOfOrderness)
    reporter.report(
      inside(place, 'read_delay'),
      `'read_delay' is ${formatDuration(readDelay)}, less than the largest 'out_of_orderness' of the sources, ${formatDuration(outOfOrderness)}.`,
      `Write at least ${formatDuration(outOfOrderness)}, or leave it out.`,
    );
  const sketchResolution = ms(view.sketch_resolution) ?? Math.max(resolution, 5 * MINUTE);
  if (!RESOLUTIONS.some((rung) => rung === sketchResolution) || sketchResolution < resolution)
    reporter.report(
      inside(place, 'sketch_resolution'),
      `'sketch_resolution' is ${formatDuration(sketchResolution)}, which is not a step that fits a resolution of ${view.resolution}.`,
      `Choose one of ${RESOLUTIONS.filter((rung) => rung >= resolution)
        .map(formatDuration)
        .join(' or ')}.`,
    );
  const needs: ReadonlyArray<[string, number]> = [
    ["'out_of_orderness'", outOfOrderness],
    ["'read_delay'", readDelay],
    ["'resolution'", resolution],
    ["'sketch_resolution'", view.features.some((one) => usesSketch(one.aggregation)) ? sketchResolution : 0],
  ];
  const [what, largest] = needs.reduce((a, b) => (b[1] > a[1] ? b : a));
  const slack = ms(view.slack) ?? Math.max(DEFAULT_SLACK, 4 * largest);
  if (slack < 4 * largest)
    reporter.report(
      inside(place, 'slack'),
      `'slack' is ${formatDuration(slack)}, less than 4 times ${what} (${formatDuration(largest)}).`,
      `Write 'slack: ${formatDuration(4 * largest)}' or more.`,
    );
  const maxDelay = ms(view.at?.max_delay) ?? 0;
  if (view.at !== undefined && maxDelay <= 0)
    reporter.report(
      inside(place, 'at', 'max_delay'),
      "'max_delay' is not above zero.",
      'Write the longest time by which an event may come later than this field.',
    );
  return { resolution, sketchResolution, readDelay, slack, maxDelay };
}

const largestDisorder = (sources: readonly Source[]) =>
  Math.max(...sources.map(({ outOfOrderness }) => outOfOrderness));

const usesSketch = (aggregation: string | readonly string[]) =>
  listOf(aggregation).some((one) => one === 'distinct' || one === 'quantile');

/** A compiler of expressions for each source, made when it is first needed. */
function compilersOf(sources: readonly Source[]): (source: Source) => ExpressionCompiler {
  const made = new Map<string, ExpressionCompiler>();
  for (const source of sources) made.set(source.name, createExpressionCompiler(scopeOf(source.fields)));
  return (source) => made.get(source.name) ?? createExpressionCompiler(scopeOf(source.fields));
}

/**
 * Turns a declaration into a view: every expression compiled, inputs shared over features, tile sets
 * with the columns their features read. Null where it cannot be built; all problems are reported.
 */
export function planView(
  view: ViewDeclaration,
  place: Place,
  declared: Declared,
  reporter: Reporter,
  partitions: number | undefined,
): View | null {
  const before = reporter.problems.length;
  const sources = sourcesOf(view, place, declared, reporter);
  if (sources === null) return null;
  checkKeys(view, place, sources, reporter);
  const times = timesOf(view, place, sources, reporter);
  const inputs = createInputList();
  const drafts: SetDraft[] = [];
  const features: Array<{ readonly feature: StoredFeature; readonly length: number | null }> = [];
  const seen = new Set<string>();
  const context: ViewContext = {
    view,
    place,
    sources,
    compilerOf: compilersOf(sources),
    reporter,
    inputs,
    drafts,
    ...times,
    add(feature, length, at) {
      if (seen.has(feature.name))
        reporter.report(
          at,
          `The view '${view.view}' has two features '${feature.name}'.`,
          'Give one another name.',
        );
      seen.add(feature.name);
      features.push({ feature, length });
    },
  };
  for (const [index, feature] of view.features.entries())
    expandFeature(feature, inside(place, 'features', index), context);
  if (reporter.problems.length > before) return null;

  const sets: TileSet[] = drafts.map((draft) => finishSet(draft, times.slack, times.maxDelay));
  const worst = sets.reduce((total, set) => total + set.worstTiles, 0);
  if (worst > MAX_TILES) {
    reporter.report(
      place,
      `An entity of the view '${view.view}' could have ${worst.toLocaleString('en')} tiles; at most ${MAX_TILES.toLocaleString('en')} are allowed.`,
      'Choose a coarser resolution, less slack, or shorter periodic stretches.',
    );
    return null;
  }
  const finished = features.map(({ feature, length }): StoredFeature => {
    if (feature.kind === 'periodic') return feature;
    const window = sets[feature.set]?.windows.findIndex((one) => one.length === length) ?? -1;
    return { ...feature, window };
  });
  const definition = {
    name: view.view,
    sources: sources.map((source) => source.name),
    entity: view.entity,
    resolution: times.resolution,
    readDelay: times.readDelay,
    slack: times.slack,
    at: view.at === undefined ? null : { field: view.at.field, maxDelay: times.maxDelay },
    partitions: view.partitions ?? partitions ?? Math.max(...sources.map((source) => source.partitions)),
  };
  if (view.local) checkLocal(definition, place, sources, reporter);
  if (reporter.problems.length > before) return null;
  // A view that is not local keeps the version that it had before there were local ones.
  const local = view.local ? { local: true } : {};
  const version = hashOf({ ...definition, ...local, inputs: inputs.parts, sets, features: finished }).slice(
    0,
    8,
  );
  return {
    ...definition,
    local: view.local,
    version,
    id: `${view.view}@${version}`,
    outOfOrderness: largestDisorder(sources),
    hold: {
      time: ms(view.hold) ?? DEFAULT_HOLD,
      bytes: (view.hold_megabytes ?? DEFAULT_HOLD_MEGABYTES) * MEGABYTE,
    },
    inputs: inputs.inputs,
    sets,
    features: finished,
  };
}
