import { readFileSync } from 'node:fs';
import { LEVELS } from '../../models/drift/binning.ts';
import type { Binning } from '../../models/drift/types.ts';

/** Text of the statements of drift: templates in `sql/`, filled in. Numbers alone are put in as text. */

const template = (name: string) => readFileSync(new URL(`./sql/${name}.sql`, import.meta.url), 'utf8');

const TEMPLATES = {
  learn: template('drift-learn'),
  learnWords: template('drift-learn-words'),
  summary: template('drift-summary'),
  summaryWords: template('drift-summary-words'),
} as const;

export function fill(
  name: keyof typeof TEMPLATES,
  values: Readonly<Record<string, string | number>>,
): string {
  return fillTemplate(TEMPLATES[name], values);
}

/** The template without its comments, with a value in each `@PLACE@`. */
export function fillTemplate(text: string, values: Readonly<Record<string, string | number>>): string {
  return text
    .replace(/^--.*\n/gm, '')
    .replace(/@([A-Z]+)@/g, (place, key: string) => String(values[key] ?? place));
}

/** Puts the range into a source's own SELECT, where it asks for it. */
export function ranged(select: string, { from, to }: { readonly from: number; readonly to: number }): string {
  return select.replaceAll('{from:Int64}', integer(from)).replaceAll('{to:Int64}', integer(to));
}

export const integer = (value: number) => `toInt64(${Math.trunc(value)})`;

/** A double as a literal that no parser takes for an integer. */
export function literal(value: number): string {
  const text = String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

export const levels = LEVELS.join(', ');

/** `lower` of each cell: the number at `place` (from 1) rounded down to an edge, -inf below the first. */
export function cellText(binning: Binning, place: number): string {
  return binning.edges.length === 0
    ? '-inf'
    : `roundDown(numbers[${place}], [-inf, ${binning.edges.map(literal).join(', ')}])`;
}

/** ClickHouse refuses statements above 256 kB by default. */
const MAX_TEXT = 100_000;

/** Columns next to each other whose texts fit one statement. */
export function splitColumns(
  texts: readonly string[],
): Array<{ readonly start: number; readonly texts: readonly string[] }> {
  const all: Array<{ start: number; texts: string[] }> = [];
  let room = 0;
  texts.forEach((text, i) => {
    const last = all.at(-1);
    if (last === undefined || text.length > room) {
      all.push({ start: i + 1, texts: [text] });
      room = MAX_TEXT - text.length;
    } else {
      last.texts.push(text);
      room -= text.length;
    }
  });
  return all;
}
