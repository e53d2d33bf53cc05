import type { FieldType } from '../schemas/event.ts';
import type { Source, ViewRead } from '../schemas/project.ts';
import { HOUR } from '../schemas/time.ts';
import type { View } from '../schemas/view.ts';
import type { Place } from './document.ts';
import { formatDuration, parseDuration } from './durations.ts';
import type { ExpressionType } from './expression.ts';
import type { ModelDeclaration } from './model-declaration.ts';
import { mendOfUnknown } from './nearest.ts';
import { inside, type Reporter } from './reporter.ts';

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
export function sourceOf(
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

export const fieldNames = (source: Source) => [
  'id',
  'type',
  'time',
  ...source.fields.map((field) => field.name),
];

const OWN_FIELDS: ReadonlyMap<string, FieldType> = new Map([
  ['id', 'string'],
  ['type', 'string'],
  ['time', 'timestamp'],
]);

/** As it is declared; undefined where there is no such field. */
export const fieldType = (source: Source, name: string): FieldType | undefined =>
  OWN_FIELDS.get(name) ?? source.fields.find((field) => field.name === name)?.type;

export const typeIn = (source: Source, name: string): ExpressionType | undefined => {
  const type = scopeOf(source.fields)[name];
  return typeof type === 'string' ? type : undefined;
};

export function readsOf(
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
    const defaults = defaultsOf(declaration?.defaults ?? {}, key, at, request, reporter);
    const maxAge = maxAgeOf(declaration, at, view, reporter);
    const optional = declaration?.optional ?? false;
    reads.push({ read: { name, view: viewName, key, zone, defaults, optional, maxAge }, view });
  }
  return broken || reporter.problems.length > before ? null : reads;
}

type ReadDeclaration = ModelDeclaration['reads'][string];

/** How a value of each type of field is written, for a person. */
const WRITTEN: Readonly<Record<FieldType, string>> = {
  string: 'a text',
  int: 'a whole number',
  timestamp: 'a whole number of milliseconds',
  double: 'a number',
  bool: 'true or false',
};

function fits(type: FieldType, value: string | number | boolean): boolean {
  if (type === 'int' || type === 'timestamp') return Number.isSafeInteger(value);
  return typeof value === (type === 'string' ? 'string' : type === 'bool' ? 'boolean' : 'number');
}

/** What stands for null fields of a key, as the text that a field of that value makes. */
function defaultsOf(
  declared: NonNullable<ReadDeclaration>['defaults'],
  key: readonly string[],
  place: Place,
  request: Source,
  reporter: Reporter,
): ViewRead['defaults'] {
  const defaults: Record<string, string> = {};
  for (const [field, value] of Object.entries(declared)) {
    const at = inside(place, 'defaults', field);
    if (!key.includes(field)) {
      reporter.report(at, `'${field}' is no field of this read's key.`, mendOfUnknown(field, key), {
        key: true,
      });
      continue;
    }
    const type =
      request.fields.find(({ name }) => name === field)?.type ?? (field === 'time' ? 'timestamp' : 'string');
    if (fits(type, value)) defaults[field] = String(value);
    else
      reporter.report(
        at,
        `The field '${field}' is ${WRITTEN[type]}, and its default ${JSON.stringify(value)} is not.`,
        `Write ${WRITTEN[type]}${type === 'string' ? ', in quotes' : ''}.`,
      );
  }
  return defaults;
}

function maxAgeOf(
  declaration: ReadDeclaration,
  place: Place,
  view: View,
  reporter: Reporter,
): ViewRead['maxAge'] {
  const ms = parseDuration(declaration?.max_age ?? '');
  if (ms === null) {
    if (declaration?.when_older !== undefined)
      reporter.report(
        inside(place, 'when_older'),
        "'when_older' says nothing without 'max_age'.",
        "Add 'max_age:', or remove it.",
        { key: true },
      );
    return null;
  }
  // At its full head a read is younger than this, so that a training row is never stale.
  const least = view.readDelay + view.resolution;
  if (ms < least)
    reporter.report(
      inside(place, 'max_age'),
      `Features of '${view.name}' can be ${formatDuration(least)} old when nothing is late: its read delay and its resolution.`,
      `Declare at least ${formatDuration(least)}.`,
    );
  return { ms, older: declaration?.when_older ?? 'refuse' };
}
