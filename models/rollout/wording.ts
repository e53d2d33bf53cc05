import type { Estimate } from '../quality/types.ts';

/** Numbers as verdicts write them. */
export const many = (value: number): string => value.toLocaleString('en-US', { maximumFractionDigits: 0 });

export const figure = (value: number): string => (Math.abs(value) < 5e-5 ? 0 : value).toFixed(4);

export const percent = (share: number): string => `${Number((share * 100).toFixed(2))} %`;

/** `0.0051 [0.0012, 0.0090]`; `0.0051 (at least 0.0012)` */
export function interval({ value, low, high }: Estimate): string {
  if (value === null) return 'unknown';
  if (low !== null && high !== null) return `${figure(value)} [${figure(low)}, ${figure(high)}]`;
  if (low !== null) return `${figure(value)} (at least ${figure(low)})`;
  return high === null ? figure(value) : `${figure(value)} (at most ${figure(high)})`;
}

/** The same from the other side: of -x. */
export function opposite({ value, low, high, reason }: Estimate): Estimate {
  return {
    value: value === null ? null : 0 - value,
    low: high === null ? null : 0 - high,
    high: low === null ? null : 0 - low,
    reason,
  };
}

/** `14 d`, `6 h` */
export function span(ms: number): string {
  return ms % 86_400_000 === 0 || ms >= 10 * 86_400_000
    ? `${Number((ms / 86_400_000).toFixed(1))} d`
    : `${Number((ms / 3_600_000).toFixed(1))} h`;
}
