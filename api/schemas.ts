import { z } from 'zod';

/** Parts of requests and answers that several routes share. */

const ISO = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$/;
const MAX_TIME = 8.64e15;

/** 30 February is no day, though JavaScript takes it for one. */
function parseIso(text: string): number | null {
  if (!ISO.test(text)) return null;
  const time = Date.parse(text);
  if (Number.isNaN(time)) return null;
  const day = new Date(`${text.slice(0, 10)}T00:00:00Z`);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text.slice(0, 10)) ? time : null;
}

/** Epoch ms of what a request gives as a time; null where it is none. */
export function parseTime(value: unknown): number | null {
  if (typeof value === 'string') return parseIso(value);
  return Number.isSafeInteger(value) && Math.abs(value as number) <= MAX_TIME ? (value as number) : null;
}

const NO_TIME = 'is no time: write epoch milliseconds, or ISO 8601 with a zone (2026-01-31T12:00:00Z)';

/** A time in a body: a number of ms, or ISO 8601. Epoch ms afterwards. */
export const timeSchema = z
  .union([z.int().min(-MAX_TIME).max(MAX_TIME), z.string().regex(ISO)], { error: NO_TIME })
  .transform((value, context) => {
    const time = typeof value === 'number' ? value : parseIso(value);
    if (time !== null) return time;
    context.addIssue({ code: 'custom', message: NO_TIME });
    return z.NEVER;
  });

/** A time in the query: digits are ms. */
export const timeQuery = z
  .string()
  .regex(/^(-?\d{1,15}|\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2}))$/, NO_TIME)
  .transform((text, context) => {
    const time = /^-?\d+$/.test(text) ? Number(text) : parseIso(text);
    if (time !== null && Math.abs(time) <= MAX_TIME) return time;
    context.addIssue({ code: 'custom', message: NO_TIME });
    return z.NEVER;
  });

export const wholeQuery = (most: number) =>
  z
    .string()
    .regex(/^[1-9]\d{0,5}$/, 'is no whole number from 1 on')
    .transform(Number)
    .refine((value) => value <= most, `is more than ${most}`);

export const limitQuery = (most: number, usual: number) =>
  wholeQuery(most).default(usual).describe(`At most so many, up to ${most}; default ${usual}.`);

export const nameSchema = z.string().min(1).max(200);

/** Why somebody changes something, for those who wonder later. */
export const reasonSchema = z
  .string()
  .min(1)
  .max(1_000)
  .refine((text) => text.trim() !== '', 'says nothing')
  .describe('Why, in one sentence. It is kept with the change.');

export const scalarSchema = z.union([z.string(), z.number(), z.boolean(), z.null()]);

export const epochMs = z.number().describe('Epoch ms.');
