/** Cron of five fields in UTC: minute hour day month weekday. */
export interface Cron {
  readonly minutes: ReadonlySet<number>;
  readonly hours: ReadonlySet<number>;
  readonly days: ReadonlySet<number>;
  readonly months: ReadonlySet<number>;
  /** 0 is Sunday. */
  readonly weekdays: ReadonlySet<number>;
  /** As cron has it: where both days and weekdays are restricted, either will do. */
  readonly either: boolean;
}

const FIELDS = [
  ['minute', 0, 59],
  ['hour', 0, 23],
  ['day', 1, 31],
  ['month', 1, 12],
  ['weekday', 0, 7],
] as const;

/** Days of each month, in a leap year. */
const LONGEST = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** @throws RangeError that names the field, for a person. */
export function parseCron(text: string): Cron {
  const parts = text.trim().split(/\s+/);
  if (parts.length !== FIELDS.length)
    throw new RangeError(`'${text}' has ${parts.length} fields, not five: minute hour day month weekday.`);
  const [minutes, hours, days, months, weekdays] = FIELDS.map(([name, least, most], index) =>
    fieldOf(name, parts[index] ?? '', least, most),
  ) as [Set<number>, Set<number>, Set<number>, Set<number>, Set<number>];
  if (weekdays.delete(7)) weekdays.add(0);
  const free = (index: number) => (parts[index] ?? '').startsWith('*');
  const either = !free(2) && !free(4);
  if (!either && Math.min(...days) > Math.max(...[...months].map((month) => LONGEST[month - 1] ?? 0)))
    throw new RangeError(`'${text}' never comes: no such month has a day ${Math.min(...days)}.`);
  return { minutes, hours, days, months, weekdays, either };
}

function fieldOf(name: string, text: string, least: number, most: number): Set<number> {
  const found = new Set<number>();
  for (const part of text.split(',')) {
    const match = /^(?:\*|(\d+)(?:-(\d+))?)(?:\/(\d+))?$/.exec(part);
    if (match === null)
      throw new RangeError(`'${part}' is no ${name}: write a number, 1-5, */15, or several with commas.`);
    const [, from, to, step] = match;
    const first = from === undefined ? least : Number(from);
    const last = to !== undefined ? Number(to) : from === undefined || step !== undefined ? most : first;
    if (first < least || last > most || first > last || step === '0')
      throw new RangeError(`'${part}' is no ${name}: it goes from ${least} to ${most}.`);
    for (let value = first; value <= last; value += Number(step ?? 1)) found.add(value);
  }
  return found;
}

/** @param time epoch ms, any moment of the minute. */
export function matchesCron(cron: Cron, time: number): boolean {
  const date = new Date(time);
  if (
    !cron.minutes.has(date.getUTCMinutes()) ||
    !cron.hours.has(date.getUTCHours()) ||
    !cron.months.has(date.getUTCMonth() + 1)
  )
    return false;
  const day = cron.days.has(date.getUTCDate());
  const weekday = cron.weekdays.has(date.getUTCDay());
  return cron.either ? day || weekday : day && weekday;
}
