import type { EventRecord } from '../schemas/event.ts';
import { layoutHash } from '../schemas/layout.ts';
import type { Label, Model, Source } from '../schemas/project.ts';
import type { Place } from './document.ts';
import { parseDuration } from './durations.ts';
import { createExpressionCompiler } from './expression.ts';
import type { ModelDeclaration } from './model-declaration.ts';
import { featuresOf } from './model-features.ts';
import { type DeclaredViews, fieldNames, fieldType, readsOf, sourceOf } from './model-scope.ts';
import { compileMonitoring } from './monitoring.ts';
import { mendOfUnknown } from './nearest.ts';
import { compileAt, inside, type Reporter } from './reporter.ts';
import { compileRollout } from './rollout-declaration.ts';
import { compileSearch } from './search.ts';
import { scopeOf } from './source.ts';
import { parametersOf, TRAINER_KEYS } from './trainer.ts';

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
  if (pairs.length === 0)
    reporter.report(
      inside(at, 'join'),
      'The label is joined by no field, so every event would be the label of every request.',
      'Name the fields that are equal in both.',
    );
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
    const [told, asked] = [fieldType(source, pair.label), fieldType(request, pair.request)];
    if (told !== undefined && asked !== undefined && told !== asked)
      reporter.report(
        pair.place,
        `'${pair.label}' of the event '${label.event}' is ${told}, but '${pair.request}' of the request '${model.request}' is ${asked}.`,
        'Join by fields of one type.',
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
    within: label.within === undefined ? null : parseDuration(label.within),
    which: label.which,
  };
}

/** ISO 8601 with a zone, or a date, which is its start in UTC. */
function instantAt(text: string | undefined, place: Place, reporter: Reporter): number | null {
  if (text === undefined) return null;
  const exact = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/.test(text);
  // Date.parse takes 30 February for 2 March.
  const day = exact ? Date.parse(`${text.slice(0, 10)}T00:00Z`) : Number.NaN;
  const real = !Number.isNaN(day) && new Date(day).toISOString().startsWith(text.slice(0, 10));
  const time = real ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time)) {
    reporter.report(
      place,
      `'${text}' is not a time with a zone.`,
      'Write it as 2001-03-23 or 2001-03-23T12:00Z, or leave it out for all there is.',
    );
    return null;
  }
  return time;
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
  if (features.length === 0 && reporter.problems.length === before)
    reporter.report(inside(place, 'features'), 'The model has no features.', 'Name at least one.');
  const parameters = parametersOf(model.trainer, model.model, features, place, reporter);
  const monitoring = compileMonitoring(
    model.monitoring,
    inside(place, 'monitoring'),
    request,
    features.map((feature) => feature.name),
    reporter,
  );
  const search =
    model.search === undefined
      ? null
      : compileSearch(model.search, inside(place, 'search'), TRAINER_KEYS[model.trainer.name], reporter);
  if (label === null || reporter.problems.length > before) return null;
  return {
    name: model.model,
    task: model.task,
    request: { source: request.name, eventType: model.request },
    reads: reads.map(({ read }) => read),
    features,
    layoutHash: layoutHash(features),
    label,
    trainer: { name: model.trainer.name, parameters },
    sample: { maxRows: model.sample.max_rows, seed: model.sample.seed },
    cloudEvents: model.cloudevents,
    threshold: model.threshold,
    gate: { maxWait: parseDuration(model.gate.max_wait) ?? 0 },
    training,
    monitoring,
    rollout: compileRollout(model.rollout),
    search,
  };
}
