import { DAY, HOUR, MINUTE, SECOND } from '../schemas/time.ts';

/** How a duration is written: `90s`, `5m`, `13h15m`, `7d`, `20ms`; an offset may have a sign in front. */
export const DURATION_PATTERN = /^(?:\d+(?:ms|s|m|h|d))+$/;
export const OFFSET_PATTERN = /^-?(?:\d+(?:ms|s|m|h|d))+$/;

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: SECOND, m: MINUTE, h: HOUR, d: DAY };

/** Milliseconds, or null where the text is no duration. */
export function parseDuration(text: string): number | null {
  if (!OFFSET_PATTERN.test(text)) return null;
  let total = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|s|m|h|d)/g))
    total += Number(count) * (UNITS[unit ?? ''] ?? 0);
  if (!Number.isSafeInteger(total)) return null;
  return text.startsWith('-') && total !== 0 ? -total : total;
}

/** The shortest text that reads back as the same number of milliseconds. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s';
  let text = ms < 0 ? '-' : '';
  let rest = Math.abs(ms);
  for (const unit of ['d', 'h', 'm', 's', 'ms']) {
    const size = UNITS[unit] ?? 1;
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text;
}
