import { z } from 'zod';
import { STEP_KINDS, type Step, type StepKind } from '../schemas/pipeline.ts';
import type { ModelFeature } from '../schemas/project.ts';
import type { Place } from './document.ts';
import { parseDuration } from './durations.ts';
import { mendOfUnknown, nearest } from './nearest.ts';
import { inside, type Reporter } from './reporter.ts';
import { duration, name } from './texts.ts';
import { parametersOf, trainerSchema } from './trainer.ts';

export const stepSchema = z.strictObject({
  step: name('Name of the step.'),
  does: z.enum(STEP_KINDS).optional().describe('What it does. Default: what its name says.'),
  needs: z.array(name('')).optional().describe('Steps before it. Default: the one above.'),
  retries: z.int().min(0).max(20).default(2).describe('More tries after a failure that may pass.'),
  timeout: duration('Longest time, of the wall clock.').default('30m'),
  resources: z.enum(['light', 'cpu']).optional().describe('`cpu` steps have a worker for themselves.'),
  with: z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
    .default({})
    .describe('Settings: `dataset` takes `last`, a duration.'),
  trainer: trainerSchema
    .optional()
    .describe("Of a step that trains: another trainer than the model's, to challenge it."),
});

const CPU: readonly StepKind[] = ['dataset', 'tune', 'train', 'evaluate'];
/** Whose work each kind of step works on. */
const TAKES: Readonly<Record<StepKind, readonly StepKind[]>> = {
  dataset: [],
  tune: ['dataset'],
  train: ['dataset'],
  evaluate: ['dataset', 'train'],
  gate: ['dataset', 'train'],
  register: ['dataset', 'train'],
  shadow: ['register'],
  decide: ['register'],
};
/** Settings of each kind of step, and whether they are durations. */
const SETTINGS: Readonly<Record<StepKind, Readonly<Record<string, 'duration' | 'number'>>>> = {
  dataset: { last: 'duration', max_rows: 'number' },
  tune: { trials: 'number', budget: 'duration' },
  train: {},
  evaluate: {},
  gate: {},
  register: {},
  shadow: {},
  decide: {},
};

type StepDeclaration = z.output<typeof stepSchema>;

/** The graph of a pipeline, in an order that respects what each step needs. */
export function stepsOf(
  declared: readonly StepDeclaration[],
  model: string,
  features: readonly ModelFeature[],
  at: Place,
  reporter: Reporter,
): readonly Step[] {
  const names = declared.map(({ step }) => step);
  const steps = declared.flatMap((one, index): Step[] => {
    const place = inside(at, 'steps', index);
    const before = reporter.problems.length;
    if (names.indexOf(one.step) < index)
      reporter.report(
        inside(place, 'step'),
        `Two steps have the name '${one.step}'.`,
        'Give one another name.',
      );
    const kind = one.does ?? STEP_KINDS.find((candidate) => candidate === one.step);
    const meant = nearest(one.step, STEP_KINDS);
    if (kind === undefined)
      reporter.report(
        inside(place, 'step'),
        `'${one.step}' does not say what it does.`,
        meant === null
          ? `Add 'does:' with one of ${STEP_KINDS.join(', ')}.`
          : `Did you mean '${meant}'? Else add 'does:'.`,
      );
    const above = names[index - 1];
    const needs = one.needs ?? (above === undefined ? [] : [above]);
    for (const [i, need] of (one.needs ?? []).entries())
      if (!names.includes(need) || need === one.step)
        reporter.report(
          inside(place, 'needs', i),
          need === one.step ? `'${need}' needs itself.` : `There is no step '${need}'.`,
          mendOfUnknown(
            need,
            names.filter((name) => name !== one.step),
          ),
        );
    const settings = kind === undefined ? {} : settingsOf(kind, one, place, reporter);
    const { trainer } = one;
    if (trainer !== undefined && kind !== undefined && kind !== 'train')
      reporter.report(
        inside(place, 'trainer'),
        `A step that does '${kind}' trains nothing.`,
        "Move 'trainer:' to the step that trains.",
        { key: true },
      );
    if (trainer !== undefined && declared.some(({ step, does }) => (does ?? step) === 'tune'))
      reporter.report(
        inside(place, 'trainer'),
        "What the step that tunes finds is of the model's own trainer.",
        "Take the step that tunes away, or 'trainer:' here.",
        { key: true },
      );
    const parameters = trainer === undefined ? null : parametersOf(trainer, model, features, place, reporter);
    if (kind === undefined || reporter.problems.length > before) return [];
    return [
      {
        name: one.step,
        kind,
        needs,
        retries: one.retries,
        timeout: parseDuration(one.timeout) ?? 0,
        resources: one.resources ?? (CPU.includes(kind) ? 'cpu' : 'light'),
        with: settings,
        trainer: trainer === undefined || parameters === null ? null : { name: trainer.name, parameters },
      },
    ];
  });
  if (steps.length < declared.length) return steps;
  const ordered = inOrder(steps, at, reporter);
  if (ordered === null) return steps;
  checkInputs(ordered, (step) => inside(at, 'steps', names.indexOf(step), 'step'), reporter);
  return ordered;
}

/** Durations become milliseconds. */
function settingsOf(
  kind: StepKind,
  declared: StepDeclaration,
  place: Place,
  reporter: Reporter,
): Readonly<Record<string, number | string | boolean>> {
  const known = SETTINGS[kind];
  const settings: Record<string, number | string | boolean> = {};
  for (const [key, value] of Object.entries(declared.with)) {
    const type = known[key];
    const parsed = type === 'duration' ? parseDuration(String(value)) : value;
    if (type === undefined)
      reporter.report(
        inside(place, 'with', key),
        `A step that does '${kind}' has no setting '${key}'.`,
        Object.keys(known).length === 0 ? 'Remove it.' : mendOfUnknown(key, Object.keys(known)),
        { key: true },
      );
    else if (parsed === null || typeof parsed !== 'number')
      reporter.report(
        inside(place, 'with', key),
        `'${key}' is no ${type}.`,
        type === 'duration' ? 'Write 90s, 5m or 75d.' : 'Write a number.',
      );
    else settings[key] = parsed;
  }
  return settings;
}

/** An order in which every step comes after what it needs; null where there is none, which is reported. */
function inOrder(steps: readonly Step[], at: Place, reporter: Reporter): readonly Step[] | null {
  const ordered: Step[] = [];
  const left = new Set(steps);
  while (left.size > 0) {
    const next = [...left].find(({ needs }) =>
      needs.every((need) => ordered.some(({ name }) => name === need)),
    );
    if (next === undefined) {
      reporter.report(
        inside(at, 'steps'),
        `The steps ${inCircle([...left])
          .map(({ name }) => name)
          .join(', ')} need each other in a circle.`,
        'Take one of the needs away.',
      );
      return null;
    }
    ordered.push(next);
    left.delete(next);
  }
  return ordered;
}

/** Without the steps that only come after a circle: nothing in it needs them. */
function inCircle(steps: readonly Step[]): readonly Step[] {
  const needed = steps.filter(({ name }) => steps.some(({ needs }) => needs.includes(name)));
  return needed.length === steps.length ? steps : inCircle(needed);
}

/** Every step must find what it works on, and but one of it. */
function checkInputs(ordered: readonly Step[], placeOf: (step: string) => Place, reporter: Reporter): void {
  const before = new Map<string, ReadonlySet<string>>();
  for (const { name: step, kind, needs } of ordered) {
    const earlier = new Set(needs.flatMap((need) => [need, ...(before.get(need) ?? [])]));
    before.set(step, earlier);
    for (const taken of TAKES[kind]) {
      const makers = ordered.filter((one) => one.kind === taken && earlier.has(one.name));
      const nearest = makers.filter((one) => !makers.some((other) => before.get(other.name)?.has(one.name)));
      const names = nearest.map((one) => `'${one.name}'`);
      if (names.length === 0)
        reporter.report(
          placeOf(step),
          `'${step}' works on what a step that does '${taken}' makes, and none comes before it.`,
          'Add one, and let this one need it, or one that comes after it.',
        );
      else if (names.length > 1)
        reporter.report(
          placeOf(step),
          `'${step}' works on what one step that does '${taken}' makes, and ${names.join(' and ')} come before it side by side.`,
          'Let it need one of them; for another add a pipeline.',
        );
    }
  }
}
