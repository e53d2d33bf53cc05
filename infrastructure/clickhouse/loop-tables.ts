import { tables } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import { type ColumnSpec, column, type TableSpec, TIME, WORD } from './columns.ts';

/** Tables of the loop that watches and learns. */

const PROGRESS: readonly ColumnSpec[] = [
  column('topic', WORD, 'archived topic'),
  column('partition', 'Int32', ''),
  column('clock', TIME, 'event time that the partition has passed: all rows before it are in their table'),
  column('kind', WORD, 'first, tick or end of a replay; live for a producer of clocks'),
  column('replay', WORD, 'name of the replay; empty for none'),
  column('archived_offset', 'Int64', 'offset of the clock in the archived topic'),
  column('at', TIME, 'wall time'),
];

const MEASURES: readonly ColumnSpec[] = [
  column('kind', WORD, 'quality, estimate, drift, detector, data, freshness or resource'),
  column('statistic', WORD, ''),
  column('model', WORD, 'empty where of no model'),
  column('version', 'Int32', '0 where of no version'),
  column('subject', WORD, 'feature, source, view, code or process; empty where of the whole'),
  column('slice', 'String', 'origin=ORD; empty for all'),
  column('from', TIME, 'window of event time'),
  column('to', TIME, 'its end (exclusive)'),
  column('tick', TIME, 'event time at which it was measured: the newest counts'),
  column('value', 'Nullable(Float64)', 'null where the window has no answer; detail says why'),
  column('low', 'Nullable(Float64)', 'interval'),
  column('high', 'Nullable(Float64)', 'interval'),
  column('rows', 'Int64', ''),
  column('threshold', 'Nullable(Float64)', 'what value was held against'),
  column('fired', 'Bool', 'whether it was passed'),
  column('detail', 'String', 'JSON'),
  column('at', TIME, 'wall time'),
];

const TICKS: readonly ColumnSpec[] = [
  column('tick', TIME, 'event time'),
  column('state', WORD, 'measured, or finished when the pipelines it started have registered or given up'),
  column('detail', 'String', 'JSON'),
  column('at', TIME, 'wall time'),
];

export const ALERT_COLUMNS: readonly ColumnSpec[] = [
  column('id', 'String', 'of the change'),
  column('fingerprint', 'String', 'of the alert'),
  column('change', 'Int32', '1, 2, ... of the fingerprint'),
  column('rule', WORD, ''),
  column('severity', WORD, ''),
  column('state', WORD, 'pending, firing or resolved'),
  column('kind', WORD, 'of the measure'),
  column('statistic', WORD, ''),
  column('model', WORD, ''),
  column('version', 'Int32', ''),
  column('subject', WORD, ''),
  column('slice', 'String', ''),
  column('value', 'Nullable(Float64)', ''),
  column('threshold', 'Nullable(Float64)', ''),
  column('summary', 'String', ''),
  column('tick', TIME, 'event time at which it changed'),
  column('started_at', TIME, 'event time since which the condition holds'),
  column('fired_at', `Nullable(${TIME})`, 'event time at which it fired; null where it has not'),
  column('ended_at', `Nullable(${TIME})`, 'event time since which it does not hold any more'),
  column('at', TIME, 'wall time'),
  column('archived_partition', 'Int32', ''),
  column('archived_offset', 'Int64', ''),
];

const SILENCES: readonly ColumnSpec[] = [
  column('id', 'String', ''),
  column('rule', WORD, 'empty = all'),
  column('model', WORD, 'empty = all'),
  column('subject', 'String', 'empty = all'),
  column('until', TIME, 'wall time'),
  column('by', 'String', ''),
  column('reason', 'String', ''),
  column('at', TIME, 'wall time'),
];

const DELIVERIES: readonly ColumnSpec[] = [
  column('id', 'String', 'of the delivery: the same for every try'),
  column('receiver', WORD, ''),
  column('alerts', 'Array(String)', 'ids of the changes in it'),
  column('status', WORD, 'delivered, silenced or refused'),
  column('tries', 'Int32', ''),
  column('detail', 'String', 'why it was refused'),
  column('at', TIME, 'wall time'),
];

const REFERENCES: readonly ColumnSpec[] = [
  column('version', 'Int32', 'version that learnt from it'),
  column('artefact', WORD, 'SHA-256'),
  column('request_id', 'String', ''),
  column('request_time', TIME, ''),
  column('layout', WORD, ''),
  column('vector', 'Array(Float64)', 'NaN for null'),
  column('score', 'Float64', 'of the version'),
  column('label', 'UInt8', ''),
];

const RUNS: readonly ColumnSpec[] = [
  column('id', 'String', 'of the run'),
  column('kind', WORD, 'train, trial, evaluate or backfill'),
  column('subject', WORD, 'model or view'),
  column('parent', 'String', 'run that this one belongs to; empty for none'),
  column('state', WORD, 'done or failed'),
  column('started_at', TIME, 'wall time'),
  column('finished_at', TIME, 'wall time'),
  column('parameters', 'String', 'JSON'),
  column('dataset', 'String', 'SHA-256 of the data set'),
  column('artefact', 'String', 'SHA-256; empty for none'),
  column('code_version', WORD, ''),
  column('environment', 'String', 'JSON: node, platform, processors, backend'),
  column('resources', 'String', 'JSON: CPU ms, largest memory in bytes'),
  column('detail', 'String', 'result, JSON'),
];

const RUN_METRICS: readonly ColumnSpec[] = [
  column('run', 'String', ''),
  column('metric', WORD, ''),
  column('slice', 'String', 'empty for all'),
  column('step', 'Int32', 'epoch or round; 0 at the end'),
  column('value', 'Float64', ''),
];

const PIPELINE_RUNS: readonly ColumnSpec[] = [
  column('id', 'String', ''),
  column('pipeline', WORD, ''),
  column('model', WORD, ''),
  column('event_time', TIME, 'of its start'),
  column('cause', 'String', 'schedule, cron, alert ID or by hand'),
  column('state', WORD, 'waiting, running, shadowing, done, refused, failed or cancelled'),
  column('detail', 'String', 'JSON'),
  column('at', TIME, 'wall time: the newest counts'),
];

const PIPELINE_STEPS: readonly ColumnSpec[] = [
  column('run', 'String', ''),
  column('step', WORD, ''),
  column('attempt', 'Int32', ''),
  column('state', WORD, 'waiting, running, done, skipped, failed or cancelled'),
  column('started_at', `Nullable(${TIME})`, 'wall time'),
  column('finished_at', `Nullable(${TIME})`, 'wall time'),
  column('worker', 'String', ''),
  column('result', 'String', 'JSON: what later steps take'),
  column('error', 'String', ''),
  column('at', TIME, 'wall time: the newest counts'),
];

const PIPELINE_NOTES: readonly ColumnSpec[] = [
  column('run', 'String', ''),
  column('step', WORD, ''),
  column('attempt', 'Int32', ''),
  column('at', TIME, 'wall time'),
  column('note', 'String', 'how far the step was, or what it came to'),
];

/** Rows of equal keys are one, the one written last. */
const newest = (name: string, columns: readonly ColumnSpec[], sortingKey: readonly string[]): TableSpec => ({
  name,
  columns,
  engine: 'ReplacingMergeTree(at)',
  sortingKey,
  indexes: [],
});
const same = (name: string, columns: readonly ColumnSpec[], sortingKey: readonly string[]): TableSpec => ({
  ...newest(name, columns, sortingKey),
  engine: 'ReplacingMergeTree',
});

export function loopTableSpecs({ prefix, models }: Project): readonly TableSpec[] {
  return [
    ...models.map(({ name }) =>
      same(tables.references(prefix, name), REFERENCES, ['version', 'request_time', 'request_id']),
    ),
    newest(tables.progress(prefix), PROGRESS, ['topic', 'partition', 'archived_offset']),
    newest(tables.measures(prefix), MEASURES, [
      'kind',
      'to',
      'statistic',
      'model',
      'version',
      'subject',
      'slice',
      'from',
      'tick',
    ]),
    newest(tables.ticks(prefix), TICKS, ['tick']),
    same(tables.alerts(prefix), ALERT_COLUMNS, ['fingerprint', 'change']),
    newest(tables.silences(prefix), SILENCES, ['id']),
    newest(tables.deliveries(prefix), DELIVERIES, ['id', 'receiver']),
    same(tables.runs(prefix), RUNS, ['kind', 'subject', 'started_at', 'id']),
    same(tables.runMetrics(prefix), RUN_METRICS, ['run', 'metric', 'slice', 'step']),
    newest(tables.pipelineRuns(prefix), PIPELINE_RUNS, ['id']),
    newest(tables.pipelineSteps(prefix), PIPELINE_STEPS, ['run', 'step', 'attempt']),
    same(tables.pipelineNotes(prefix), PIPELINE_NOTES, ['run', 'step', 'attempt', 'at', 'note']),
  ];
}
