import { z } from 'zod';
import type { Pipeline } from '../schemas/pipeline.ts';
import type { ModelFeature } from '../schemas/project.ts';
import { DAY, HOUR, MINUTE } from '../schemas/time.ts';
import { parseCron } from './cron.ts';
import type { Place } from './document.ts';
import { parseDuration } from './durations.ts';
import { mendOfUnknown } from './nearest.ts';
import { stepSchema, stepsOf } from './pipeline-steps.ts';
import { inside, type Reporter } from './reporter.ts';
import { duration, name } from './texts.ts';

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
