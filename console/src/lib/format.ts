/** How figures, times and spans are written, the same on every page. */

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

/** 1,234 · 12.3 · 0.0123 · 1.2e-7; an empty value is a dash. */
export function number(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  if (Number.isInteger(value) || Math.abs(value) >= 1_000) return whole.format(value);
  if (value !== 0 && Math.abs(value) < 0.0001) return value.toExponential(1);
  return String(Number(value.toPrecision(3)));
}

/** +0.12 · -3.4 */
export const signed = (value: number): string => `${value < 0 ? '−' : '+'}${number(Math.abs(value))}`;

/** Events a second. */
export function rate(value: number | null | undefined): string {
  if (value === null || value === undefined) return '…';
  if (value === 0) return '0/s';
  return value < 10 ? `${Number(value.toPrecision(2))}/s` : `${whole.format(value)}/s`;
}

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const;

/** 350 ms · 2.5 s · 12 min · 3 h · 5 d */
export function span(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return '–';
  const sign = ms < 0 ? '-' : '';
  const size = Math.abs(ms);
  for (const [unit, length] of UNITS)
    if (size >= length) {
      const value = size / length;
      return `${sign}${value < 10 ? Number(value.toFixed(1)) : Math.round(value)} ${unit}`;
    }
  return `${sign}${Math.round(size)} ms`;
}

/** 2001-04-01 15:00:03 in UTC. */
export function time(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return '–';
  return new Date(ms).toISOString().slice(0, 19).replace('T', ' ');
}

export const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

/** 12 s ago */
export const ago = (ms: number, now = Date.now()): string =>
  now - ms < 1_000 ? 'just now' : `${span(now - ms)} ago`;

export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${number(count)} ${count === 1 ? one : many}`;
