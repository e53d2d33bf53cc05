import { InvalidArgumentError } from 'commander';
import { mendOfUnknownZone } from '../config/zone-literals.ts';
import { zoneOffset } from '../config/zones.ts';
import { parseInstant } from './format.ts';

/** A time as an option's value, epoch ms. */
export function instantOption(text: string): number {
  const time = parseInstant(text);
  if (time === null)
    throw new InvalidArgumentError(
      'Write a day (2001-04-01), a time (2001-04-01T15:00Z), or epoch milliseconds.',
    );
  return time;
}

/** A time zone as an option's value: one that does not exist would make its features null. */
export function zoneOption(text: string): string {
  if (zoneOffset(text, 0) === null) throw new InvalidArgumentError(mendOfUnknownZone(text));
  return text;
}

/** A whole number from `least` on. */
export function wholeOption(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < least)
      throw new InvalidArgumentError(`Write a whole number from ${least} on.`);
    return value;
  };
}

/** How fast a replay goes: `3600`, `3600x`, or `max`. */
export function speedOption(text: string): number {
  if (/^(max|unlimited|infinity)$/i.test(text)) return Number.POSITIVE_INFINITY;
  const value = Number(text.replace(/x$/, ''));
  if (!(value > 0))
    throw new InvalidArgumentError('Write how many times faster than life: 1, 3600x, or max.');
  return value;
}
