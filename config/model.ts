import type { EventRecord } from '../schemas/event.ts';
import { layoutHash } from '../schemas/layout.ts';
import type { EventScope, Label, Model, ModelFeature, Source, ViewRead } from '../schemas/project.ts';
import { HOUR } from '../schemas/time.ts';
import type { View } from '../schemas/view.ts';
import type { Closure } from './closures.ts';
import type { ModelDeclaration } from './declarations.ts';
import type { Place } from './document.ts';
import { parseDuration } from './durations.ts';
import {
  type CompiledExpression,
  createExpressionCompiler,
  type ExpressionType,
  type ScopeTypes,
} from './expression.ts';
import { mendOfUnknown } from './nearest.ts';
import { compileAt, inside, type Reporter } from './reporter.ts';
import { scopeOf } from './source.ts';

export interface DeclaredViews {
  readonly sources: readonly Source[];
  readonly views: ReadonlyMap<string, View>;
  /** Names of all views, broken ones among them, which are reported already. */
  readonly viewNames: ReadonlySet<string>;
  /** Whether a view's name cannot be read, so that a view unknown here may well be declared. */
  readonly viewsBroken: boolean;
  /** Whether a source is broken, so that an event unknown here may well be declared. */
  readonly sourcesBroken: boolean;
}

/** The source that has an event; null where none or several have it, which is then reported. */
function sourceOf(
  event: string,
  named: string | undefined,
  place: Place,
  key: string,
  declared: DeclaredViews,
  reporter: Reporter,
): Source | null {
  const known =
    named === undefined ? declared.sources : declared.sources.filter((source) => source.name === named);
  if (named !== undefined && known.length === 0 && !declared.sourcesBroken)
    reporter.report(
      inside(place, 'source'),
      `There is no source '${named}'.`,
      mendOfUnknown(
        named,
        declared.sources.map((one) => one.name),
      ),
    );
  const found = known.filter((source) => source.events.some((one) => one.name === event));
  const [first] = found;
  if (first === undefined) {
    const events = known.flatMap((source) => source.events.map((one) => one.name));
    if (!declared.sourcesBroken && events.length > 0)
      reporter.report(inside(place, key), `There is no event '${event}'.`, mendOfUnknown(event, events));
    return null;
  }
  if (found.length > 1) {
    reporter.report(
      inside(place, key),
      `Several sources have the event '${event}'.`,
      `Add 'source:' with ${found.map((one) => `'${one.name}'`).join(' or ')}.`,
    );
    return null;
  }
  return first;
}

const fieldNames = (source: Source) => ['id', 'type', 'time', ...source.fields.map((field) => field.name)];
const typeIn = (source: Source, name: string): ExpressionType | undefined => {
  const type = scopeOf(source.fields)[name];
  return typeof type === 'string' ? type : undefined;
};

function readsOf(
  model: ModelDeclaration,
  place: Place,
  request: Source,
  declared: DeclaredViews,
  reporter: Reporter,
): Array<{ read: ViewRead; view: View }> | null {
  const before = reporter.problems.length;
  const reads: Array<{ read: ViewRead; view: View }> = [];
  let broken = false;
  for (const [name, declaration] of Object.entries(model.reads)) {
    const at = inside(place, 'reads', name);
    const viewName = declaration?.view ?? name;
    const view = declared.views.get(viewName);
    if (view === undefined) {
      if (declared.viewNames.has(viewName) || declared.viewsBroken) broken = true;
      else {
        const spot = declaration?.view === undefined ? at : inside(at, 'view');
        reporter.report(
          spot,
          `There is no view '${viewName}'.`,
          mendOfUnknown(viewName, declared.viewNames),
          { key: declaration?.view === undefined },
        );
      }
      continue;
    }
    const key = declaration?.key ?? view.entity;
    const known = fieldNames(request);
    for (const [index, field] of key.entries())
      if (!known.includes(field)) {
        const spot = declaration?.key === undefined ? at : inside(at, 'key', index);
        reporter.report(
          spot,
          `The request '${model.request}' has no field '${field}'.`,
          declaration?.key === undefined
            ? `Add 'key:' with the request's fields that make the key of '${viewName}'.`
            : mendOfUnknown(field, known),
          { key: declaration?.key === undefined },
        );
      }
    if (key.length !== view.entity.length)
      reporter.report(
        inside(at, 'key'),
        `The key has ${key.length} fields, but the entity of '${viewName}' has ${view.entity.length}.`,
        `Name one field for each of ${view.entity.join(', ')}.`,
      );
    const zone = declaration?.zone ?? null;
    if (zone !== null) {
      if (typeIn(request, zone) !== 'string')
        reporter.report(
          inside(at, 'zone'),
          `The request '${model.request}' has no text field '${zone}'.`,
          mendOfUnknown(
            zone,
            request.fields.filter((field) => field.type === 'string').map((field) => field.name),
          ),
        );
      if (view.resolution >= HOUR && view.sets.some((set) => set.kind === 'periodic'))
        reporter.report(
          inside(at, 'zone'),
          `Zones differ from UTC by less than the resolution of '${viewName}', 1h.`,
          'Choose a resolution of 5m or finer, or leave the zone out.',
        );
    }
    reads.push({ read: { name, view: viewName, key, zone }, view });
  }
  return broken || reporter.problems.length > before ? null : reads;
}

/** Names that on-demand expressions see: the request's fields, the reads, and one another. */
function onDemandScope(
  request: Source,
  reads: ReadonlyArray<{ read: ViewRead; view: View }>,
  names: readonly string[],
): ScopeTypes {
  return {
    ...scopeOf(request.fields),
    ...Object.fromEntries(names.map((name) => [name, 'number' as const])),
    ...Object.fromEntries(
      reads.map(({ read, view }) => [
        read.name,
        Object.fromEntries(view.features.map((feature) => [feature.name, 'number' as const])),
      ]),
    ),
  };
}

/** A cycle among names, as `a -> b -> a`, or null. */
function cycleIn(graph: ReadonlyMap<string, readonly string[]>): string[] | null {
  const done = new Set<string>();
  const visit = (name: string, trail: readonly string[]): string[] | null => {
    const start = trail.indexOf(name);
    if (start >= 0) return [...trail.slice(start), name];
    if (done.has(name)) return null;
    for (const next of graph.get(name) ?? []) {
      const cycle = visit(next, [...trail, name]);
      if (cycle !== null) return cycle;
    }
    done.add(name);
    return null;
  };
  for (const name of graph.keys()) {
    const cycle = visit(name, []);
    if (cycle !== null) return cycle;
  }
  return null;
}

interface OnDemand {
  readonly name: string;
  readonly text: string;
  readonly place: Place;
}

function compileOnDemand(
  declarations: readonly OnDemand[],
  request: Source,
  reads: ReadonlyArray<{ read: ViewRead; view: View }>,
  reporter: Reporter,
): ReadonlyMap<string, (scope: EventScope) => number | null> {
  const names = declarations.map((one) => one.name);
  const compiled = new Map<string, CompiledExpression>();
  const derived: Record<string, Closure> = {};
  for (const name of names) derived[name] = (scope) => compiled.get(name)?.evaluate(scope) ?? null;
  const compiler = createExpressionCompiler(onDemandScope(request, reads, names), derived);
  const graph = new Map<string, readonly string[]>();
  for (const { name, text, place } of declarations) {
    const expression = compileAt(reporter, compiler, place, text, 'number');
    if (expression === null) continue;
    compiled.set(name, expression);
    graph.set(
      name,
      expression.names.filter((used) => names.includes(used)),
    );
  }
  const cycle = cycleIn(graph);
  const [start] = cycle ?? [];
  const at = declarations.find((one) => one.name === start);
  if (cycle !== null && at !== undefined) {
    reporter.report(
      at.place,
      `These features use each other in a circle: ${cycle.join(' -> ')}.`,
      'Write one of them without the others.',
    );
    return new Map();
  }
  return new Map(
    [...compiled].map(([name, { evaluate }]) => [name, evaluate as (scope: EventScope) => number | null]),
  );
}

const globOf = (pattern: string) =>
  new RegExp(
    `^${pattern
      .split('*')
      .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
      .join('.*')}$`,
  );

function featuresOf(
  model: ModelDeclaration,
  place: Place,
  request: Source,
  reads: ReadonlyArray<{ read: ViewRead; view: View }>,
  reporter: Reporter,
): ModelFeature[] {
  const stored = reads.flatMap(({ read, view }, index) =>
    view.features.map((feature, position): ModelFeature & { kind: 'stored' } => ({
      kind: 'stored',
      name: `${read.name}.${feature.name}`,
      read: index,
      feature: position,
    })),
  );
  const storedNames = stored.map((feature) => feature.name);
  const order: Array<{ readonly name: string; readonly stored: ModelFeature | null }> = [];
  const onDemand: OnDemand[] = [];
  const taken = (name: string) => order.some((one) => one.name === name);
  const addOnDemand = (name: string, text: string, at: Place, bare: boolean) => {
    if (taken(name)) reporter.report(at, `The vector has two features '${name}'.`, 'Remove one.');
    else {
      order.push({ name, stored: null });
      if (!bare && typeIn(request, name) !== undefined)
        reporter.report(at, `'${name}' is a field of the request.`, 'Give the feature another name.', {
          key: true,
        });
      else onDemand.push({ name, text, place: at });
    }
  };
  for (const [index, entry] of model.features.entries()) {
    const at = inside(place, 'features', index);
    if (typeof entry !== 'string') {
      for (const [name, text] of Object.entries(entry)) addOnDemand(name, text, inside(at, name), false);
      continue;
    }
    if (!entry.includes('.') && !entry.includes('*')) {
      if (typeIn(request, entry) === 'number') addOnDemand(entry, entry, at, true);
      else
        reporter.report(
          at,
          `The request '${model.request}' has no number '${entry}'.`,
          mendOfUnknown(entry, [
            ...request.fields
              .filter((field) => typeIn(request, field.name) === 'number')
              .map((field) => field.name),
            ...storedNames,
          ]),
        );
      continue;
    }
    const glob = globOf(entry);
    const matched = stored.filter((feature) => glob.test(feature.name));
    if (matched.length === 0)
      reporter.report(
        at,
        `No stored feature is called '${entry}'.`,
        entry.includes('*')
          ? `The reads are ${reads.map(({ read }) => `'${read.name}'`).join(', ')}.`
          : mendOfUnknown(entry, storedNames),
      );
    for (const feature of matched)
      if (!taken(feature.name)) order.push({ name: feature.name, stored: feature });
      else if (!entry.includes('*'))
        reporter.report(at, `The vector has two features '${entry}'.`, 'Remove one.');
  }
  const bare = onDemand.filter((one) => one.text === one.name);
  const compiled = compileOnDemand(
    onDemand.filter((one) => one.text !== one.name),
    request,
    reads,
    reporter,
  );
  return order.flatMap(({ name, stored: feature }): ModelFeature[] => {
    if (feature !== null) return [feature];
    if (bare.some((one) => one.name === name))
      return [
        {
          kind: 'on_demand',
          name,
          evaluate: (scope) => (typeof scope[name] === 'number' ? (scope[name] as number) : null),
        },
      ];
    const evaluate = compiled.get(name);
    return evaluate === undefined ? [] : [{ kind: 'on_demand', name, evaluate }];
  });
}

function labelOf(
  model: ModelDeclaration,
  place: Place,
  request: Source,
  declared: DeclaredViews,
  reporter: Reporter,
): Label | null {
  const at = inside(place, 'label');
  const { label } = model;
  const source = sourceOf(label.event, label.source, at, 'event', declared, reporter);
  if (source === null) return null;
  const pairs = Array.isArray(label.join)
    ? label.join.map((name, index) => ({ label: name, request: name, place: inside(at, 'join', index) }))
    : Object.entries(label.join).map(([own, other]) => ({
        label: own,
        request: other,
        place: inside(at, 'join', own),
      }));
  for (const pair of pairs) {
    if (!fieldNames(source).includes(pair.label))
      reporter.report(
        pair.place,
        `The event '${label.event}' has no field '${pair.label}'.`,
        mendOfUnknown(pair.label, fieldNames(source)),
      );
    if (!fieldNames(request).includes(pair.request))
      reporter.report(
        pair.place,
        `The request '${model.request}' has no field '${pair.request}'.`,
        mendOfUnknown(pair.request, fieldNames(request)),
      );
  }
  const compiled = compileAt(
    reporter,
    createExpressionCompiler(scopeOf(source.fields)),
    inside(at, 'check'),
    label.check,
    'bool',
  );
  if (compiled === null) return null;
  const { evaluate } = compiled;
  return {
    source: source.name,
    eventType: label.event,
    join: pairs.map((pair) => ({ label: pair.label, request: pair.request })),
    evaluate: (event: EventRecord) =>
      event.type === label.event ? (evaluate(event) as boolean | null) : null,
    maturity: parseDuration(label.maturity) ?? 0,
  };
}

/** ISO 8601 with a zone, or a date, which is its start in UTC. */
function instantAt(text: string | undefined, place: Place, reporter: Reporter): number | null {
  if (text === undefined) return null;
  const exact = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/.test(text);
  const time = exact ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time)) {
    reporter.report(
      place,
      `'${text}' is not a time with a zone.`,
      'Write it as 2001-03-23 or 2001-03-23T12:00Z.',
    );
    return null;
  }
  return time;
}

type Parameters = Model['trainer']['parameters'];

/** `learning_rate` to `learningRate`: what a file writes, as code reads it. */
const camel = (key: string) => key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/** Flat, as trainers take them: `cycle: {hour: 24}` becomes `cycle.hour`. */
function parametersOf(
  model: ModelDeclaration,
  features: readonly ModelFeature[],
  place: Place,
  reporter: Reporter,
): Parameters {
  const { name: _, cycle = {}, nulls = {}, ...rest } = model.trainer;
  const parameters: Record<string, number | string | readonly number[]> = {};
  for (const [key, value] of Object.entries(rest)) if (value !== undefined) parameters[camel(key)] = value;
  const names = features.map((feature) => feature.name);
  for (const [group, values] of Object.entries({ cycle, nulls }))
    for (const [feature, value] of Object.entries(values)) {
      if (!names.includes(feature))
        reporter.report(
          inside(place, 'trainer', group, feature),
          `'${feature}' is no feature of the model '${model.model}'.`,
          mendOfUnknown(feature, names),
          { key: true },
        );
      parameters[`${group}.${feature}`] = value;
    }
  return parameters;
}

export function compileModel(
  model: ModelDeclaration,
  place: Place,
  declared: DeclaredViews,
  reporter: Reporter,
): Model | null {
  const before = reporter.problems.length;
  const request = sourceOf(model.request, model.source, place, 'request', declared, reporter);
  const training = {
    from: instantAt(model.training.from, inside(place, 'training', 'from'), reporter),
    to: instantAt(model.training.to, inside(place, 'training', 'to'), reporter),
  };
  if (training.from !== null && training.to !== null && training.from >= training.to)
    reporter.report(
      inside(place, 'training'),
      'The training range ends before it starts.',
      'Write the earlier time first.',
    );
  if (request === null) return null;
  const label = labelOf(model, place, request, declared, reporter);
  const reads = readsOf(model, place, request, declared, reporter);
  if (reads === null) return null;
  const features = featuresOf(model, place, request, reads, reporter);
  const parameters = parametersOf(model, features, place, reporter);
  if (label === null || reporter.problems.length > before) return null;
  return {
    name: model.model,
    task: model.task,
    request: { source: request.name, eventType: model.request },
    reads: reads.map(({ read }) => read),
    features,
    layoutHash: layoutHash(features.map((feature) => feature.name)),
    label,
    trainer: { name: model.trainer.name, parameters },
    sample: { maxRows: model.sample.max_rows, seed: model.sample.seed },
    threshold: model.threshold,
    gate: { maxWait: parseDuration(model.gate.max_wait) ?? 0 },
    training,
  };
}
