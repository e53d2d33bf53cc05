/** Numbers, times and tables as a person reads them. */

const thousands = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

export const count = (value: number): string => thousands.format(value);

/** `1 model`, `2 models`. */
export const counted = (value: number, noun: string): string =>
  `${count(value)} ${noun}${value === 1 ? '' : 's'}`;

export function bytes(value: number): string {
  if (value < 1_000) return `${value} B`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  let amount = value;
  let unit = -1;
  while (amount >= 1_000 && unit < units.length - 1) {
    amount /= 1_000;
    unit += 1;
  }
  return `${amount.toFixed(amount < 10 ? 2 : amount < 100 ? 1 : 0)} ${units[unit]}`;
}

/** A text as one word of a command line that somebody copies. */
export const shellWord = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

/** 0.8 ms, 12 ms, 4.2 s, 2 min 31 s, 1 h 2 min, 7 d */
export function duration(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.round(seconds / 60);
  // What was declared as whole days is told in them.
  if (minutes >= 2_880 && minutes % 1_440 === 0) return `${minutes / 1_440} d`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export const percent = (share: number, digits = 1): string => `${(share * 100).toFixed(digits)} %`;

/** 2001-04-01T15:00:00Z; milliseconds only where there are some. */
export function instant(time: number): string {
  return Number.isFinite(time) ? new Date(time).toISOString().replace('.000Z', 'Z') : String(time);
}

export const day = (time: number): string => new Date(time).toISOString().slice(0, 10);

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is taken out
const ESCAPES = /\u001b\[[0-9;]*m/g;

/** Columns that a text takes on a terminal (colours take none). */
export const widthOf = (text: string): number => [...text.replace(ESCAPES, '')].length;

export const padStart = (text: string, width: number) =>
  ' '.repeat(Math.max(0, width - widthOf(text))) + text;
export const padEnd = (text: string, width: number) => text + ' '.repeat(Math.max(0, width - widthOf(text)));

/** At most so many characters; what is cut ends in a sign that it was. */
export const shortened = (text: string, longest: number) =>
  text.length <= longest ? text : `${text.slice(0, longest - 1)}…`;

/** Cuts to the terminal's width, else the line would wrap and could not be drawn over. Colours end at the cut. */
export function cut(text: string, columns: number): string {
  if (widthOf(text) < columns) return text;
  let width = 0;
  let result = '';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences take no room
  for (const part of text.match(/\u001b\[[0-9;]*m|./gu) ?? []) {
    if (!part.startsWith('\u001b')) {
      if (width >= columns - 1) continue;
      width += 1;
    }
    result += part;
  }
  return result;
}

/** The words of a text in lines of at most so many columns. A longer word has a line of its own. */
function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const line = lines.at(-1);
    if (line !== undefined && widthOf(line) + 1 + widthOf(word) <= width)
      lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** Columns in which a sentence can still be read. */
const NARROWEST = 24;

/** A line whose last cell, a sentence, is wrapped beside the others, or below them where it has no room there. */
function foldLast(others: string, last: string, width: number): string {
  const indent = widthOf(others);
  if (indent + widthOf(last) <= width || widthOf(others.trimEnd()) > width)
    return `${others}${last}`.trimEnd();
  const beside = width - indent >= NARROWEST;
  const lines = wrapped(last, beside ? width - indent : width - 4);
  return beside
    ? others + lines.join(`\n${' '.repeat(indent)}`)
    : [others.trimEnd(), ...lines.map((line) => `    ${line}`)].join('\n');
}

/** Lines of an aligned table. Without titles (all empty) there is no head line. On a terminal of a `width`, sentences fold. */
export function table(
  columns: readonly Column[],
  rows: ReadonlyArray<readonly string[]>,
  gap = 2,
  width = Number.POSITIVE_INFINITY,
): string[] {
  const titled = columns.some(({ title }) => title !== '');
  const lines = titled ? [columns.map(({ title }) => title), ...rows] : rows;
  const widths = columns.map((_, index) => Math.max(0, ...lines.map((line) => widthOf(line[index] ?? ''))));
  return lines.map((line) => {
    const cells = columns.map(({ align }, index) => {
      const cell = line[index] ?? '';
      return align === 'right' ? padStart(cell, widths[index] ?? 0) : padEnd(cell, widths[index] ?? 0);
    });
    const between = ' '.repeat(gap);
    const last = cells.pop()?.trimEnd() ?? '';
    const others = cells.map((cell) => cell + between).join('');
    return columns.at(-1)?.align === 'right' ? `${others}${last}`.trimEnd() : foldLast(others, last, width);
  });
}

/** Takes `2001-04-01`, `2001-04-01T15:00Z` or epoch ms; days and times without a zone are UTC. Null if it is none. */
export function parseInstant(text: string): number | null {
  if (/^-?\d{9,}$/.test(text)) return Number(text);
  const match =
    /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?)(Z|[+-]\d{2}:\d{2})?)?$/.exec(text);
  if (!match) return null;
  const time = Date.parse(`${match[1]}T${match[2] ?? '00:00'}${match[3] ?? 'Z'}`);
  return Number.isNaN(time) ? null : time;
}
