import { z } from 'zod';
import type { SearchDimension, SearchSpace } from '../schemas/search.ts';
import type { Place } from './document.ts';
import { parseDuration } from './durations.ts';
import { mendOfUnknown } from './nearest.ts';
import { inside, type Reporter } from './reporter.ts';
import { duration } from './texts.ts';

const range = z.tuple([z.number(), z.number()]).describe('Lowest and highest.');
const log = z.boolean().default(false).describe('Spread evenly over the logarithm.');

const dimensionSchema = z
  .union([
    z.strictObject({ real: range, log }),
    z.strictObject({ whole: range, log }),
    z.strictObject({
      choice: z
        .array(z.union([z.number(), z.string(), z.array(z.number())]))
        .min(1)
        .describe('One of these.'),
    }),
  ])
  .describe('`real: [low, high]`, `whole: [low, high]` (each with `log: true`) or `choice: [...]`.');

/** What tuning tries. */
export const searchSchema = z
  .strictObject({
    parameters: z
      .record(z.string(), dimensionSchema)
      .describe("The trainer's parameters that vary, as they are written under `trainer`."),
    trials: z.int().min(1).max(10_000).default(16).describe('Points that are tried.'),
    seed: z.int().min(0).default(1).describe('The same seed gives the same trials.'),
    budget: duration('Longest time.').default('10m'),
    eta: z.int().min(2).max(8).default(3).describe('Each round keeps the best 1 / eta.'),
    min_share: z.number().gt(0).max(1).default(0.1).describe('Least share of the epochs in the first round.'),
  })
  .describe('What tuning tries.');

export type SearchDeclaration = z.output<typeof searchSchema>;

const camel = (key: string) => key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/** @param takes the keys of the model's trainer, as they are written. */
export function compileSearch(
  declared: SearchDeclaration,
  place: Place,
  takes: readonly string[],
  reporter: Reporter,
): SearchSpace {
  const parameters: Record<string, SearchDimension> = {};
  for (const [name, one] of Object.entries(declared.parameters)) {
    if (!takes.includes(name))
      reporter.report(
        inside(place, 'parameters', name),
        `'${name}' is no parameter of the model's trainer.`,
        mendOfUnknown(name, takes),
        { key: true },
      );
    if ('choice' in one) {
      parameters[camel(name)] = { kind: 'choice', values: one.choice };
      continue;
    }
    const kind = 'real' in one ? 'real' : 'whole';
    const [low, high] = 'real' in one ? one.real : one.whole;
    const whole = kind === 'whole' && !(Number.isSafeInteger(low) && Number.isSafeInteger(high));
    if (low >= high || whole || (one.log && low <= 0))
      reporter.report(
        inside(place, 'parameters', name, kind),
        `[${low}, ${high}] is no range to search in.`,
        whole
          ? 'Write whole numbers.'
          : one.log && low <= 0
            ? 'With log, begin above 0.'
            : 'Write the smaller first.',
      );
    parameters[camel(name)] = { kind, low, high, log: one.log };
  }
  return {
    parameters,
    trials: declared.trials,
    seed: declared.seed,
    budget: parseDuration(declared.budget) ?? 0,
    eta: declared.eta,
    minShare: declared.min_share,
  };
}
