import { ownColumns } from '../schemas/names.ts';
import type { EventScope, ModelFeature, Source, ViewRead } from '../schemas/project.ts';
import type { View } from '../schemas/view.ts';
import type { Closure } from './closures.ts';
import { MAX_COST_OF_FEATURE } from './cost.ts';
import type { Place } from './document.ts';
import { type CompiledExpression, createExpressionCompiler, type ScopeTypes } from './expression.ts';
import { matchesGlob } from './glob.ts';
import type { ModelDeclaration } from './model-declaration.ts';
import { typeIn } from './model-scope.ts';
import { mendOfUnknown } from './nearest.ts';
import { compileAt, inside, type Reporter } from './reporter.ts';
import { scopeOf } from './source.ts';

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

/** Operations of each feature with those of all that it uses, which are free of cycles. */
function totalCosts(compiled: ReadonlyMap<string, CompiledExpression>): ReadonlyMap<string, number> {
  const totals = new Map<string, number>();
  const totalOf = (name: string): number => {
    const known = totals.get(name);
    const expression = compiled.get(name);
    if (known !== undefined || expression === undefined) return known ?? 0;
    let total = expression.cost;
    for (const [used, times] of expression.uses) total += times * totalOf(used);
    totals.set(name, total);
    return total;
  };
  for (const name of compiled.keys()) totalOf(name);
  return totals;
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
  const costs = totalCosts(compiled);
  const tooDear = (name: string) => (costs.get(name) ?? 0) > MAX_COST_OF_FEATURE;
  // What uses one that costs too much costs too much as well: one sentence is enough.
  for (const { name, place } of declarations)
    if (tooDear(name) && compiled.get(name)?.names.some(tooDear) !== true)
      reporter.report(
        place,
        `'${name}' takes ${costs.get(name)?.toLocaleString('en')} operations with the features that it uses, each once for every time that it is named; ${MAX_COST_OF_FEATURE.toLocaleString('en')} are allowed.`,
        'Name those features fewer times.',
      );
  return new Map(
    [...compiled].map(([name, { evaluate }]) => [name, evaluate as (scope: EventScope) => number | null]),
  );
}

export function featuresOf(
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
      if ((ownColumns.predictions as readonly string[]).includes(name))
        reporter.report(
          at,
          `The table of predictions has a column '${name}' of its own.`,
          bare ? `Give the feature another name: {its_${name}: ${name}}.` : 'Give the feature another name.',
          { key: true },
        );
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
    const matched = stored.filter((feature) => matchesGlob(feature.name, entry));
    if (matched.length === 0)
      reporter.report(
        at,
        `No stored feature is called '${entry}'.`,
        entry.includes('*')
          ? reads.length === 0
            ? "Declare what the model reads under 'reads:'."
            : `The reads are ${reads.map(({ read }) => `'${read.name}'`).join(', ')}.`
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
          expression: null,
          evaluate: (scope) => (typeof scope[name] === 'number' ? (scope[name] as number) : null),
        },
      ];
    const evaluate = compiled.get(name);
    const expression = onDemand.find((one) => one.name === name)?.text.trim() ?? null;
    return evaluate === undefined ? [] : [{ kind: 'on_demand', name, expression, evaluate }];
  });
}
