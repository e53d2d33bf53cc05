import { z } from 'zod';
import { type Pipeline, STEP_KINDS, type Step, type StepKind } from '../schemas/pipeline.ts';
import type { ModelFeature } from '../schemas/project.ts';
import { DAY, HOUR, MINUTE } from '../schemas/time.ts';
import { parseCron } from './cron.ts';
import type { Place } from './document.ts';
import { parseDuration } from './durations.ts';
import { mendOfUnknown, nearest } from './nearest.ts';
import { inside, type Reporter } from './reporter.ts';
import { duration, name } from './texts.ts';
import { parametersOf, trainerSchema } from './trainer.ts';

const stepSchema = z.strictObject({
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

const pipelineSchema = z
  .strictObject({
    pipeline: name('Name of the pipeline.'),
    model: name('Model that it trains.'),
    start: z
      .strictObject({
        every: duration('So much event time, at multiples of it.').optional(),
        cron: z.string().optional().describe('Five fields, UTC, by the wall clock.'),
        alerts: z.array(name('')).default([]).describe('Rules whose firing starts it.'),
        cooldown: duration('Least event time between two starts by alerts.').default('1d'),
      })
      .prefault({})
      .describe('What starts it, beside a person.'),
    event_latency: duration('What it registers takes effect so long after its start, of event time.').default(
      '2h',
    ),
    steps: z.array(stepSchema).min(1).describe('Steps.'),
  })
  .describe('A directed graph of steps.');

/** What is done again and again. */
export const pipelinesSchema = z
  .strictObject({ pipelines: z.array(pipelineSchema).min(1).describe('Pipelines.') })
  .describe('Pipelines.');

export type PipelinesDeclaration = z.output<typeof pipelinesSchema>;

const CPU: readonly StepKind[] = ['dataset', 'tune', 'train', 'evaluate'];
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

export function compilePipelines(
  declared: PipelinesDeclaration,
  place: Place,
  known: {
    /** Features of each declared model; none where it is broken, which is reported already. */
    readonly models: ReadonlyMap<string, readonly ModelFeature[]>;
    /** Null where alerts.yaml is broken, which is reported there. */
    readonly rules: readonly string[] | null;
  },
  reporter: Reporter,
): readonly Pipeline[] {
  const names = declared.pipelines.map((one) => one.pipeline);
  return declared.pipelines.map((one, index) => {
    const at = inside(place, 'pipelines', index);
    const refuse = (path: readonly (string | number)[], message: string, mend: string) =>
      reporter.report(inside(at, ...path), message, mend);
    if (names.indexOf(one.pipeline) < index)
      refuse(['pipeline'], `Two pipelines have the name '${one.pipeline}'.`, 'Give one another name.');
    if (!known.models.has(one.model))
      refuse(['model'], `There is no model '${one.model}'.`, mendOfUnknown(one.model, known.models.keys()));
    for (const [i, rule] of one.start.alerts.entries())
      if (known.rules !== null && !known.rules.includes(rule))
        refuse(['start', 'alerts', i], `There is no alert rule '${rule}'.`, mendOfUnknown(rule, known.rules));
    const cron = one.start.cron ?? null;
    const wrongCron = cron === null ? null : cronFault(cron);
    if (wrongCron !== null)
      refuse(['start', 'cron'], wrongCron, "Write '0 3 * * 1': minute hour day month weekday.");
    const every = one.start.every === undefined ? null : (parseDuration(one.start.every) ?? 0);
    if (every !== null && every < MINUTE)
      refuse(['start', 'every'], 'Less than a minute.', 'Say 1h, 1d or 7d.');
    return {
      name: one.pipeline,
      model: one.model,
      start: {
        every,
        cron,
        alerts: one.start.alerts,
        cooldown: parseDuration(one.start.cooldown) ?? DAY,
      },
      eventLatency: parseDuration(one.event_latency) ?? 2 * HOUR,
      steps: stepsOf(one.steps, one.model, known.models.get(one.model) ?? [], at, reporter),
    };
  });
}

function cronFault(text: string): string | null {
  try {
    parseCron(text);
    return null;
  } catch (error) {
    return error instanceof RangeError ? error.message : String(error);
  }
}

type StepDeclaration = z.output<typeof stepSchema>;

function stepsOf(
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
  return steps.length < declared.length ? steps : inOrder(steps, at, reporter);
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

/** An order in which every step comes after what it needs; a cycle is reported. */
function inOrder(steps: readonly Step[], at: Place, reporter: Reporter): readonly Step[] {
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
      return steps;
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
