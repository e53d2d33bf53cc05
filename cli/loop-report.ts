import { type Column, count, day, duration, instant, table } from './format.ts';
import type { Colours } from './output.ts';

export interface Figure {
  readonly value: number;
  readonly low: number | null;
  readonly high: number | null;
}

/** What watched the predictions, what it told, and what was learnt from it. Event times in epoch ms. */
export interface LoopReport {
  readonly days: ReadonlyArray<{
    readonly day: number;
    /** Of the model that scored; a day of a hand-over has two lines. */
    readonly version: number;
    /** Labelled predictions. */
    readonly rows: number;
    readonly logLoss: Figure | null;
    /** Of the log loss, before labels came. */
    readonly estimate: Figure | null;
    readonly auc: Figure | null;
    readonly calibrationError: Figure | null;
    readonly baseRate: Figure | null;
    /** Features whose distribution changed, the strongest first. */
    readonly drift: ReadonlyArray<{
      readonly subject: string;
      readonly value: number;
      readonly threshold: number;
    }>;
  }>;
  readonly alerts: ReadonlyArray<{
    readonly tick: number;
    readonly rule: string;
    readonly severity: string;
    readonly state: string;
    readonly summary: string;
  }>;
  /** What a receiver got. */
  readonly delivered: { readonly deliveries: number; readonly changes: number; readonly repeats: number };
  readonly runs: ReadonlyArray<{
    readonly id: string;
    readonly pipeline: string;
    readonly eventTime: number;
    readonly cause: string;
    readonly state: string;
    readonly detail: string;
    readonly steps: ReadonlyArray<{
      readonly step: string;
      readonly state: string;
      readonly attempts: number;
      readonly ms: number;
      readonly result: string;
      readonly error: string;
    }>;
  }>;
  readonly models: ReadonlyArray<{
    readonly version: number;
    readonly state: string;
    readonly at: number;
    readonly by: string;
    readonly reason: string;
    readonly effectiveFrom: number | null;
  }>;
}

const right = (title: string): Column => ({ title, align: 'right' });
const left = (title: string): Column => ({ title });
const indent = (lines: readonly string[]) => lines.map((line) => `  ${line}`);
const digits = (figure: Figure | null) => (figure === null ? '-' : figure.value.toFixed(3));
const spread = (figure: Figure | null) =>
  figure === null || figure.low === null || figure.high === null
    ? ''
    : `[${figure.low.toFixed(3)}, ${figure.high.toFixed(3)}]`;

export function watchLines(report: LoopReport, colours: Colours): string[] {
  if (report.days.length === 0) return ['  nothing was watched'];
  const lines = table(
    [
      left('day (UTC)'),
      right('version'),
      right('labelled'),
      right('log loss'),
      left(''),
      right('estimate before labels'),
      left(''),
      right('AUC'),
      right('calib. error'),
      right('late'),
      left('drift'),
    ],
    report.days.map((one) => [
      day(one.day),
      String(one.version),
      count(one.rows),
      digits(one.logLoss),
      colours.dim(spread(one.logLoss)),
      digits(one.estimate),
      colours.dim(spread(one.estimate)),
      digits(one.auc),
      digits(one.calibrationError),
      one.baseRate === null ? '-' : `${(100 * one.baseRate.value).toFixed(1)} %`,
      driftText(one.drift, colours),
    ]),
  );
  return indent(lines.map((line, index) => (index === 0 ? colours.dim(line) : line)));
}

function driftText(drift: LoopReport['days'][number]['drift'], colours: Colours): string {
  const [first] = drift;
  if (first === undefined) return '';
  const others = drift.length > 1 ? ` and ${drift.length - 1} more` : '';
  return colours.yellow(`${first.subject} ${first.value.toFixed(2)}${others}`);
}

const MARKS: Readonly<Record<string, string>> = { firing: '▲', resolved: '✓' };

export function alertLines({ alerts, delivered }: LoopReport, colours: Colours): string[] {
  if (alerts.length === 0) return ['  none'];
  const told = alerts.filter(({ severity }) => severity !== 'info');
  const shown = table(
    [left(''), left(''), left(''), left('')],
    told.map(({ tick, rule, state, summary }) => [
      instant(tick).slice(0, 10),
      state === 'firing' ? colours.red(MARKS.firing ?? '') : colours.green(MARKS[state] ?? state),
      rule,
      summary,
    ]),
  );
  return [
    ...indent(shown),
    ...(told.length < alerts.length
      ? [`  and ${count(alerts.length - told.length)} changes that are for information (millrace alerts ls)`]
      : []),
    `  A webhook receiver got ${count(delivered.changes)} changes in ${count(delivered.deliveries)} deliveries${delivered.repeats > 0 ? `, and ${count(delivered.repeats)} repeats that it dropped` : ''}.`,
  ];
}

export function runLines({ runs }: LoopReport, colours: Colours): string[] {
  if (runs.length === 0) return ['  nothing was trained'];
  return runs.flatMap(({ id, cause, state, detail, steps }) => [
    `  ${colours.bold(id)}  ${cause}: ${state}`,
    ...indent(
      indent(
        table(
          [left(''), left(''), right(''), left('')],
          steps.map((step) => [
            stepMark(step.state, colours),
            step.step,
            step.ms > 0 ? duration(step.ms) : '',
            step.error !== '' ? step.error : sentenceOf(step.result),
          ]),
        ),
      ),
    ),
    ...(sentenceOf(detail) === '' ? [] : [`    ${sentenceOf(detail)}`]),
  ]);
}

function stepMark(state: string, colours: Colours): string {
  if (state === 'done') return colours.green('✓');
  if (state === 'failed') return colours.red('✗');
  return colours.dim('·');
}

/** Results and details are JSON; what a person should read of them is their `sentence`. */
function sentenceOf(json: string): string {
  try {
    const { sentence } = JSON.parse(json) as { sentence?: unknown };
    return typeof sentence === 'string' ? sentence : '';
  } catch {
    return '';
  }
}

export function modelLines({ models }: LoopReport, colours: Colours): string[] {
  return indent(
    table(
      [left(''), left(''), left(''), left('')],
      models.map(({ version, state, effectiveFrom, by, reason }) => [
        `version ${version}`,
        state === 'champion' ? colours.green(state) : state,
        effectiveFrom === null ? '' : `from ${instant(effectiveFrom)}`,
        `${reason} ${colours.dim(`(${by})`)}`,
      ]),
    ),
  );
}
