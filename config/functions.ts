import type { Scalar } from '../schemas/event.ts';
import { DAY, HOUR, MINUTE } from '../schemas/time.ts';
import { existsLocal, zoneOffset } from './zones.ts';

/** A function that expressions may call. Arguments are never null: a null argument makes the call null. */
export interface ExpressionFunction {
  readonly signature: string;
  readonly description: string;
  readonly evaluate: (...args: readonly Scalar[]) => Scalar;
}

const modulo = (value: number, by: number) => value - by * Math.floor(value / by);
/** Local clock as ms: the UTC time that shows the same digits. */
const localClock = (time: number, zone: string) => {
  const offset = zoneOffset(zone, time);
  return offset === null ? null : time + offset;
};

const clockParts: ReadonlyArray<[name: string, description: string, of: (clock: number) => number]> = [
  ['hour', 'Hour of the day, 0 to 23', (t) => Math.floor(modulo(t, DAY) / HOUR)],
  ['minute_of_day', 'Minute of the day, 0 to 1439', (t) => Math.floor(modulo(t, DAY) / MINUTE)],
  ['day_of_week', 'Day of the week, 1 (Monday) to 7 (Sunday)', (t) => modulo(Math.floor(t / DAY) + 3, 7) + 1],
  ['day_of_month', 'Day of the month, 1 to 31', (t) => new Date(t).getUTCDate()],
  [
    'day_of_year',
    'Day of the year, 1 to 366',
    (t) => Math.floor((t - Date.UTC(new Date(t).getUTCFullYear(), 0, 1)) / DAY) + 1,
  ],
  ['month', 'Month, 1 to 12', (t) => new Date(t).getUTCMonth() + 1],
];

type NumberFunction = (...args: readonly number[]) => number;
const numeric = (signature: string, description: string, evaluate: NumberFunction): ExpressionFunction => ({
  signature,
  description,
  evaluate: evaluate as ExpressionFunction['evaluate'],
});
const textual = (
  signature: string,
  description: string,
  evaluate: (...args: readonly string[]) => Scalar,
) => ({
  signature,
  description,
  evaluate: evaluate as ExpressionFunction['evaluate'],
});

export const FUNCTIONS: readonly ExpressionFunction[] = [
  ...clockParts.flatMap(([name, description, of]): ExpressionFunction[] => [
    numeric(`${name}(double): double`, `${description}, of a time, in UTC.`, (time = 0) => of(time)),
    {
      signature: `${name}(double, string): double`,
      description: `${description}, of a time, on the local clock of a zone (\`Europe/Berlin\`).`,
      evaluate: (time, zone) => {
        const clock = localClock(time as number, zone as string);
        return clock === null ? null : of(clock);
      },
    },
  ]),
  {
    signature: 'local(double, string): double',
    description: 'A time moved to the local clock of a zone, in ms: `hour(local(t, z))` is `hour(t, z)`.',
    evaluate: (time, zone) => localClock(time as number, zone as string),
  },
  textual(
    'exists_local(string, string): bool',
    'Whether a local time (`2001-04-01T02:30`) exists in a zone: it does not in the hour that summer time skips.',
    (text = '', zone = '') => existsLocal(text, zone),
  ),
  numeric(
    'clip(double, double, double): double',
    'The first, kept between the second and the third.',
    (x = 0, low = 0, high = 0) => Math.min(Math.max(x, low), high),
  ),
  numeric('min(double, double): double', 'The smaller of two.', (a = 0, b = 0) => Math.min(a, b)),
  numeric('max(double, double): double', 'The larger of two.', (a = 0, b = 0) => Math.max(a, b)),
  numeric('abs(double): double', 'Absolute value.', (x = 0) => Math.abs(x)),
  numeric('floor(double): double', 'Largest integer at or below.', (x = 0) => Math.floor(x)),
  numeric('ceil(double): double', 'Smallest integer at or above.', (x = 0) => Math.ceil(x)),
  numeric('round(double): double', 'Nearest integer; halves go up.', (x = 0) => Math.round(x)),
  numeric('sqrt(double): double', 'Square root; null below zero.', (x = 0) => Math.sqrt(x)),
  numeric('log(double): double', 'Natural logarithm; null at and below zero.', (x = 0) => Math.log(x)),
  numeric('log1p(double): double', 'log(1 + x).', (x = 0) => Math.log1p(x)),
  numeric('exp(double): double', 'e to the power of x.', (x = 0) => Math.exp(x)),
  numeric('pow(double, double): double', 'The first to the power of the second.', (x = 0, y = 0) => x ** y),
  numeric('sin(double): double', 'Sine, of radians.', (x = 0) => Math.sin(x)),
  numeric('cos(double): double', 'Cosine, of radians.', (x = 0) => Math.cos(x)),
  {
    signature: 'number(bool): double',
    description: '1 for true, 0 for false.',
    evaluate: (x) => (x === true ? 1 : 0),
  },
  textual('length(string): double', 'Number of UTF-16 code units of a text.', (text = '') => text.length),
];

/** Functions that look at null themselves. They are compiled, not called. */
export const NULL_FUNCTIONS: ReadonlyArray<{
  readonly signatures: readonly string[];
  readonly description: string;
}> = [
  {
    signatures: [
      'coalesce(double, double): double',
      'coalesce(string, string): string',
      'coalesce(bool, bool): bool',
    ],
    description: 'The first where it is not null, else the second.',
  },
  {
    signatures: ['has(double): bool', 'has(string): bool', 'has(bool): bool'],
    description: 'Whether there is a value: `has(x)` is `x != null`.',
  },
];

/** Methods of a text, by CEL's own names. */
export const TEXT_METHODS: Readonly<Record<string, (text: string, ...args: readonly string[]) => Scalar>> = {
  startsWith: (text, part = '') => text.startsWith(part),
  endsWith: (text, part = '') => text.endsWith(part),
  contains: (text, part = '') => text.includes(part),
  lowerAscii: (text) => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase()),
  upperAscii: (text) => text.replace(/[a-z]/g, (letter) => letter.toUpperCase()),
  trim: (text) => text.trim(),
};

/** Names that stand for a number. */
export const CONSTANTS: Readonly<Record<string, number>> = { pi: Math.PI };
