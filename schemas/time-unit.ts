import type { TimeUnit } from './avro.ts';

/** How a source's declaration says what its times are: a count since 1970, or ISO 8601 text with a zone. */
export const TIME_UNITS = ['ms', 's', 'us', 'ns', 'iso'] as const;
export type DeclaredUnit = (typeof TIME_UNITS)[number];
export type CountedUnit = Exclude<DeclaredUnit, 'iso'> | TimeUnit;

const NAMES: Readonly<Record<CountedUnit, string>> = {
  s: 'seconds',
  ms: 'milliseconds',
  us: 'microseconds',
  ns: 'nanoseconds',
  days: 'days',
};

/** The years 1 to 9999, epoch ms: what ISO 8601 writes with four digits. Anything else is a number in another unit. */
const MIN_TIME = -62_135_596_800_000;
const MAX_TIME = 253_402_300_799_999;

/** Seconds of the years 1973 to 2286: taken for milliseconds they are days of early 1970. */
const SECONDS_FROM = 100_000_000;
const SECONDS_TO = 10_000_000_000;

/** Epoch ms, rounded down from finer units. Exact for a bigint; NaN for what is no finite number. */
export function toMs(value: number | bigint, unit: CountedUnit): number {
  if (typeof value === 'bigint') {
    const finer = unit === 'us' ? 1_000n : unit === 'ns' ? 1_000_000n : 1n;
    const whole = value / finer - (value % finer < 0n ? 1n : 0n);
    return finer === 1n ? toMs(Number(whole), unit) : Number(whole);
  }
  switch (unit) {
    case 'ms':
      return Math.round(value);
    case 's':
      return Math.round(value * 1_000);
    case 'us':
      return Math.floor(value / 1_000);
    case 'ns':
      return Math.floor(value / 1_000_000);
    case 'days':
      return value * 86_400_000;
  }
}

export const isTime = (ms: number): boolean => ms >= MIN_TIME && ms <= MAX_TIME;

/** Whether an event's time in ms is one of a sender that counts seconds. */
export const looksLikeSeconds = (ms: number): boolean => ms >= SECONDS_FROM && ms < SECONDS_TO;

/** Why a count is no time in its unit, as the rest of a sentence that begins with the number. */
export function notATime(value: number | bigint, unit: CountedUnit): string {
  const likely = (['s', 'ms', 'us', 'ns'] as const).find((other) => {
    const ms = toMs(value, other);
    return ms >= Date.UTC(1980, 0) && ms < Date.UTC(2100, 0);
  });
  const ms = toMs(value, unit);
  const meaning =
    unit === 'ms' && looksLikeSeconds(ms)
      ? `which is ${new Date(ms).toISOString()} in milliseconds`
      : `which in ${NAMES[unit]} is no time of the years 1 to 9999`;
  return likely === undefined || likely === unit
    ? meaning
    : `${meaning}; it looks like ${NAMES[likely]} (unit: ${likely})`;
}
