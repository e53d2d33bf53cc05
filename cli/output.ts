import { styleText } from 'node:util';
import { redact } from '../schemas/redaction.ts';
import type { Environment } from './environment.ts';
import { type Column, table } from './format.ts';
import { createProgress, type Progress } from './progress.ts';

type Paint = (text: string) => string;

export interface Colours {
  readonly bold: Paint;
  readonly dim: Paint;
  readonly red: Paint;
  readonly green: Paint;
  readonly yellow: Paint;
  readonly cyan: Paint;
}

/** What a command says: results on standard output, everything else on standard error. */
export interface Output {
  /** `--json` was given: results are JSON, one value, or one a line for those that go on. */
  readonly isJson: boolean;
  readonly colours: Colours;
  /** Standard output is a terminal and a person reads it. */
  readonly interactive: boolean;
  /** A line of the result. */
  line(text?: string): void;
  table(columns: readonly Column[], rows: ReadonlyArray<readonly string[]>): void;
  json(value: unknown): void;
  /** A remark that is no part of the result. */
  note(text: string): void;
  warn(text: string): void;
  error(text: string): void;
  /** A long piece of work: a bar on a terminal, plain lines otherwise. */
  progress(label: string, options?: { readonly total?: number; readonly unit?: string }): Progress;
}

export function createOutput(environment: Environment, isJson: boolean): Output {
  const colours = coloursOf(environment.colour && !isJson);
  const errorColours = coloursOf(environment.errorTerminal && environment.colour);
  const write = (text: string) => void process.stdout.write(redact(text));
  const tell = (text: string) => void process.stderr.write(redact(text));
  return {
    isJson,
    colours,
    interactive: environment.outputTerminal && !isJson,
    line: (text = '') => write(`${text}\n`),
    table: (columns, rows) => {
      const width = environment.outputTerminal ? environment.columns : Number.POSITIVE_INFINITY;
      const lines = table(columns, rows, 2, width);
      const titled = columns.some(({ title }) => title !== '');
      lines.forEach((text, index) => void write(`${titled && index === 0 ? colours.dim(text) : text}\n`));
    },
    json: (value) => write(`${JSON.stringify(value, jsonValue, environment.outputTerminal ? 2 : 0)}\n`),
    note: (text) => tell(`${text}\n`),
    warn: (text) => tell(`${errorColours.yellow('warning:')} ${text}\n`),
    error: (text) => tell(`${errorColours.red('error:')} ${text}\n`),
    progress: (label, options = {}) =>
      createProgress({
        label,
        total: options.total ?? 0,
        unit: options.unit ?? '',
        redraw: environment.errorTerminal && !environment.debug,
        columns: environment.columns,
        colours: errorColours,
        write: tell,
        now: () => performance.now(),
      }),
  };
}

/** JSON has no NaN and no infinity: null stands for them, as it does for an absent value. */
function jsonValue(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  return typeof value === 'number' && !Number.isFinite(value) ? null : value;
}

function coloursOf(on: boolean): Colours {
  const paint =
    (...format: Array<'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'>): Paint =>
    (text) =>
      on ? styleText(format, text, { validateStream: false }) : text;
  return {
    bold: paint('bold'),
    dim: paint('dim'),
    red: paint('red'),
    green: paint('green'),
    yellow: paint('yellow'),
    cyan: paint('cyan'),
  };
}
