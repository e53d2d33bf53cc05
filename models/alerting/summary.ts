import type { Measure } from '../../schemas/monitoring.ts';

/** As a person reads a figure: four digits that count. */
function figure(value: number | null): string {
  if (value === null) return 'unknown';
  if (!Number.isFinite(value)) return String(value);
  const rounded = Number(value.toPrecision(4));
  return Math.abs(rounded) >= 1e15 || (rounded !== 0 && Math.abs(rounded) < 1e-6)
    ? String(rounded)
    : rounded.toLocaleString('en-US', { maximumFractionDigits: 12 });
}

/** `{model}`, `{subject}`, `{slice}`, `{statistic}`, `{value}`, `{threshold}` filled in; other braces stay as they are. */
export function fillSummary(text: string, measure: Measure): string {
  const names: Readonly<Record<string, string>> = {
    model: measure.model,
    subject: measure.subject,
    slice: measure.slice,
    statistic: measure.statistic,
    value: figure(measure.value),
    threshold: figure(measure.threshold),
  };
  // Many measures are of no slice or subject: what they leave is no hole in the sentence.
  return text
    .replace(/\{(\w+)\}/g, (whole, name: string) => names[name] ?? whole)
    .replace(/ {2,}/g, ' ')
    .replace(/ ([.,;:!?])(?=\s|$)/g, '$1')
    .trim();
}
