import { z } from 'zod';
import { DURATION_PATTERN, OFFSET_PATTERN } from './durations.ts';

/** Kinds of text that declarations are made of. */

export const NAME = /^[a-z][a-z0-9_]*$/;

/** Ends of descriptions, by which the reference knows a kind of text. */
export const HINTS = {
  name: 'Small letters, digits and _, starting with a letter.',
  duration: 'A duration: `90s`, `5m`, `13h15m`, `7d`.',
  expression: 'An expression.',
} as const;

const join = (...sentences: readonly string[]) => sentences.filter((one) => one !== '').join(' ');

export const name = (what: string) =>
  z.string().regex(NAME, { error: 'name' }).describe(join(what, HINTS.name));

export const duration = (what: string) =>
  z.string().regex(DURATION_PATTERN, { error: 'duration' }).describe(join(what, HINTS.duration));

export const offset = (what: string) =>
  z.string().regex(OFFSET_PATTERN, { error: 'duration' }).describe(join(what, HINTS.duration));

export const expression = (what: string) => z.string().min(1).describe(join(what, HINTS.expression));

export const oneOrMore = <T extends z.ZodType>(item: T) => z.union([item, z.array(item).min(1)]);

export const fieldName = name('Name of a field.');

export const eventName = z
  .string()
  .regex(/^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$/, { error: 'event name' })
  .describe('Name of an event type: `flight.departed`.');
