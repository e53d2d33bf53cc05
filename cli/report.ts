import type { Evaluation } from '../models/evaluation.ts';
import { bytes, type Column, count, day, duration, percent, table } from './format.ts';
import { alertLines, type LoopReport, modelLines, runLines, watchLines } from './loop-report.ts';
import type { Colours } from './output.ts';

/** What a demo found out, measured and counted; JSON as it is, text by `reportLines`. Times in ms. */
export interface Report {
  readonly project: string;
  readonly prefix: string;
  readonly embedded: boolean;
  /** Wall time from the start of the demo to this report, downloads included. */
  readonly elapsed: number;
  readonly history: {
    readonly rows: number;
    readonly duplicates: number;
    readonly events: number;
    readonly from: number;
    readonly to: number;
    readonly ms: number;
  };
  /** The first day, answered by version 1 while version 2 learnt. */
  readonly opening: {
    /** From the servers being up to the first answer in the archive, ms. */
    readonly answeredMs: number;
    /** That version 1 learnt from. */
    readonly rows: number;
    readonly trainingMs: number;
    readonly events: number;
    readonly ms: number;
  };
  readonly backfill: { readonly events: number; readonly entities: number; readonly ms: number };
  readonly training: {
    readonly rows: number;
    /** Matured requests that the rows were sampled from. */
    readonly sampledFrom: number;
    readonly features: number;
    readonly epochs: number;
    readonly backend: string;
    readonly ms: number;
  };
  readonly replay: {
    readonly from: number;
    readonly to: number;
    readonly ms: number;
    /** The part without a pace, and its time, waits for the loop left out. */
    readonly unlimited: { readonly events: number; readonly ms: number };
    /** For monitoring and the trainings that it started. */
    readonly watchedMs: number;
    /** Raw records sent, planted ones among them, clocks apart. */
    readonly sent: number;
    readonly planted: number;
    readonly accepted: number;
    /** By reason; `planted` of them were planted. */
    readonly rejected: ReadonlyArray<{
      readonly stage: string;
      readonly code: string;
      readonly records: number;
      readonly planted: number;
    }>;
    readonly requests: number;
    readonly predictions: number;
    readonly refusedPredictions: ReadonlyArray<{ readonly reason: string; readonly predictions: number }>;
    /** Contributions refused by a view. */
    readonly refusedContributions: number;
  };
  /** Of scored requests whose label has come, beside what any model must beat. */
  readonly quality: Evaluation | null;
  readonly latency: {
    readonly eventToPrediction: Quantiles;
    readonly eventToFeature: Quantiles;
    /** Events a second of the paced part these were measured in. */
    readonly pace: number;
  } | null;
  /** What watched the predictions and learnt again. */
  readonly loop: LoopReport;
  readonly storage: {
    readonly redis: { readonly keys: number; readonly bytes: number };
    readonly tables: ReadonlyArray<{ readonly table: string; readonly rows: number; readonly bytes: number }>;
  };
  readonly checks: ReadonlyArray<{ readonly says: string; readonly holds: boolean }>;
}

export interface Quantiles {
  readonly p50: number;
  readonly p99: number;
  readonly count: number;
}

const right = (title: string): Column => ({ title, align: 'right' });
const left = (title: string): Column => ({ title });
const metric = (value: number | null) => (value === null ? '-' : value.toFixed(3));

/** The report as a person reads it. */
export function reportLines(report: Report, colours: Colours): string[] {
  return [
    ...heading('What happened', colours),
    ...storyLines(report),
    ...heading('Events', colours),
    ...eventLines(report, colours),
    ...heading('Model, on flights it had never seen', colours),
    ...qualityLines(report, colours),
    ...heading('Watched, a day at a time', colours),
    ...watchLines(report.loop, colours),
    ...heading('Alerts', colours),
    ...alertLines(report.loop, colours),
    ...heading('Learnt again', colours),
    ...runLines(report.loop, colours),
    ...heading('Versions of the model', colours),
    ...modelLines(report.loop, colours),
    ...heading('Latency', colours),
    ...latencyLines(report),
    ...heading('Storage', colours),
    ...storageLines(report),
    ...heading('Checks', colours),
    ...report.checks.map(
      ({ says, holds }) =>
        `  ${holds ? colours.green('✓') : colours.red('✗')} ${holds ? says : colours.red(says)}`,
    ),
  ];
}

const heading = (title: string, colours: Colours) => ['', colours.bold(title)];
const indent = (lines: readonly string[]) => lines.map((line) => `  ${line}`);

function storyLines(report: Report): string[] {
  const { history, backfill, opening, training, replay } = report;
  const rate = (records: number, ms: number) => `${count((records * 1_000) / Math.max(1, ms))}/s`;
  const sampled =
    training.rows < training.sampledFrom
      ? `, sampled from ${count(training.sampledFrom)}`
      : ', all there are';
  return indent(
    table(
      [left(''), left(''), right(''), left('')],
      [
        [
          'history',
          `${day(history.from)} to ${day(history.to - 1)}`,
          duration(history.ms),
          `${count(history.events)} events into ClickHouse, ${rate(history.events, history.ms)}; ${count(history.duplicates)} exact duplicate rows left out`,
        ],
        [
          'features',
          `state at ${day(history.to)}`,
          duration(backfill.ms),
          `${count(backfill.events)} events folded for ${count(backfill.entities)} entities`,
        ],
        [
          'version 1',
          `${training.features} features`,
          duration(opening.trainingMs),
          `${count(opening.rows)} rows of one day, a regression; the first prediction ${duration(opening.answeredMs)} after the servers were up`,
        ],
        [
          'version 2',
          `${training.features} features`,
          duration(training.ms),
          `${count(training.rows)} rows${sampled}; ${training.epochs} epochs on ${training.backend}; meanwhile version 1 answered, at ${count((opening.events * 1_000) / Math.max(1, opening.ms))} events/s`,
        ],
        [
          'replay',
          `${day(replay.from)} to ${day(replay.to)}`,
          duration(replay.ms),
          `${count(replay.sent)} raw events, ${count(replay.predictions)} predictions; ${rate(replay.unlimited.events, replay.unlimited.ms)} through the whole path where nothing held them; ${duration(replay.watchedMs)} of waits for monitoring and training`,
        ],
        [
          'in all',
          '',
          duration(report.elapsed),
          report.embedded ? 'in one process, on the in-memory twins' : 'on real servers',
        ],
      ],
    ),
  );
}

function eventLines({ replay }: Report, colours: Colours): string[] {
  const late = replay.rejected.filter(({ code }) => code === 'late');
  const others = replay.rejected.filter(({ code }) => code !== 'late');
  const sum = (rows: typeof replay.rejected) => rows.reduce((total, { records }) => total + records, 0);
  const row = ({ stage, code, records, planted }: (typeof replay.rejected)[number]) => [
    colours.dim(`  ${stage}: ${code}`),
    count(records),
    colours.dim(
      planted === records ? 'planted' : `${count(planted)} planted, ${count(records - planted)} of the data`,
    ),
  ];
  return indent(
    table(
      [left('raw'), right(count(replay.sent)), left(`${count(replay.planted)} planted bad ones among them`)],
      [
        ['accepted', count(replay.accepted), ''],
        ['rejected', count(sum(others)), ''],
        ...others.map(row),
        ['late', count(sum(late)), ''],
        ...late.map(row),
        ['requests', count(replay.requests), `${count(replay.predictions)} predictions`],
        ...replay.refusedPredictions.map(({ reason, predictions }) => [
          colours.dim(`  refused: ${reason}`),
          count(predictions),
          '',
        ]),
        ...(replay.refusedContributions > 0
          ? [
              [
                'refused by a view',
                count(replay.refusedContributions),
                'contributions; the events stay accepted',
              ],
            ]
          : []),
      ],
    ),
  );
}

function qualityLines({ quality }: Report, colours: Colours): string[] {
  if (quality === null) return ['  no label has come yet'];
  const row = (
    name: string,
    { model, calendar, baseRate }: Pick<Evaluation, 'model' | 'calendar' | 'baseRate'>,
  ) => [
    name,
    count(model.rows),
    percent(model.baseRate),
    metric(model.auc),
    metric(model.logLoss),
    metric(model.brier),
    metric(model.calibrationError),
    metric(calendar.auc),
    metric(calendar.logLoss),
    metric(baseRate.logLoss),
  ];
  const lines = table(
    [
      left('day (UTC)'),
      right('flights'),
      right('late'),
      right('AUC'),
      right('log loss'),
      right('Brier'),
      right('calib. error'),
      right('calendar: AUC'),
      right('log loss'),
      right('base rate: log loss'),
    ],
    [...quality.byDay.map((one) => row(one.day, one)), row('all', quality)],
  );
  const paint = (line: string, index: number) =>
    index === 0 ? colours.dim(line) : index === lines.length - 1 ? colours.bold(line) : line;
  return [
    ...indent(lines.map(paint)),
    colours.dim(
      '  A label is joined when the flight has landed. Calendar: hour and day of week alone. Base rate: one',
    ),
    colours.dim('  probability for all. Both were fitted on the rows that the model learnt from.'),
  ];
}

function latencyLines({ latency }: Report): string[] {
  if (latency === null) return ['  not measured in this run'];
  const { eventToFeature, eventToPrediction, pace } = latency;
  const row = (name: string, { p50, p99, count: n }: Quantiles) => [
    name,
    duration(p50),
    duration(p99),
    count(n),
  ];
  return [
    ...indent(
      table(
        [left(''), right('p50'), right('p99'), right('events')],
        [row('event to prediction', eventToPrediction), row('event to feature', eventToFeature)],
      ),
    ),
    `  From the broker's stamp on the raw event, queueing included, on the last day, which was paced: ${count(pace)} events/s.`,
  ];
}

function storageLines({ storage, embedded }: Report): string[] {
  return indent(
    table(
      [left(''), right('rows'), right('bytes')],
      [
        [
          embedded ? 'online store (memory), keys' : 'Redis, keys',
          count(storage.redis.keys),
          bytes(storage.redis.bytes),
        ],
        ...storage.tables.map(({ table: name, rows, bytes: size }) => [
          `ClickHouse ${name}`,
          count(rows),
          bytes(size),
        ]),
      ],
    ),
  );
}
