import type { EventRecord, Scalar } from '../schemas/event.ts';
import type { Source } from '../schemas/project.ts';
import { NEEDS } from './aggregations.ts';
import type { Place } from './document.ts';
import type { CompiledExpression, ExpressionCompiler } from './expression.ts';
import { listOf } from './lists.ts';
import { mendOfUnknown } from './nearest.ts';
import { compileAt, inside, type Reporter } from './reporter.ts';
import type { ViewContext } from './view-context.ts';
import type { FeatureDeclaration } from './view-declaration.ts';

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

export const textOf = (expression: string) => expression.trim().replace(/\s+/g, ' ');

type Code = (event: EventRecord) => Scalar;

export interface Compiled {
  readonly source: Source;
  readonly events: readonly string[] | null;
  readonly where: readonly string[];
  readonly whereCode: readonly Code[];
  readonly of: CompiledExpression | null;
}

/** Compiles the expressions of a feature; null where one is wrong. */
export function compileFeature(
  feature: FeatureDeclaration,
  place: Place,
  context: ViewContext,
): Compiled | null {
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
