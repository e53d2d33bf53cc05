import { Option } from 'commander';
import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { RUN_KINDS, type RunKind } from '../../pipelines/training/runs.ts';
import { type RunRecord, readRun, readRuns, runsLike } from '../../pipelines/training/runs-read.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { UsageError } from '../errors.ts';
import { bytes, duration, instant, shortened } from '../format.ts';
import { wholeOption } from '../options.ts';
import type { Output } from '../output.ts';
import { plotLines } from '../plot.ts';
import { openPlatform, openProject } from '../project.ts';

interface ListOptions {
  readonly kind?: RunKind;
  readonly model?: string;
  readonly parent?: string;
  readonly failed?: boolean;
  readonly limit: number;
}

export const registerRuns: Register = (program, run) => {
  const runs = program
    .command('runs')
    .description('what was trained, tuned and evaluated: parameters, figures, data, code, machine')
    .addHelpText(
      'after',
      examples(
        ['millrace runs ls', 'the newest'],
        ['millrace runs show RUN', 'everything that is known of one'],
        ['millrace runs compare A B', 'what differs, and the validation loss by epoch'],
      ),
    );
  runs
    .command('ls')
    .description('runs, the newest first')
    .addOption(new Option('--kind <kind>', 'of one kind').choices(RUN_KINDS))
    .option('--model <name>', 'of one model')
    .option('--parent <run>', 'of one pipeline run or tuning')
    .option('--failed', 'those that failed')
    .option('--limit <n>', 'at most so many', wholeOption(1), 30)
    .addHelpText(
      'after',
      examples(
        ['millrace runs ls --kind train --model late_arrival', 'trainings of one model'],
        ['millrace runs ls --parent retrain@2001-03-29', 'what one run of a pipeline made'],
      ),
    )
    .action(run(list));
  runs
    .command('show')
    .argument('<run>', 'id, or the beginning of it')
    .description('parameters, figures by epoch and slice, data set, code, machine, what it cost')
    .addHelpText('after', examples(['millrace runs show 3f9a', 'by the first letters of its id']))
    .action(run(show));
  runs
    .command('compare')
    .argument('<run...>', 'two or more')
    .description('parameters that differ, figures side by side, validation loss by epoch')
    .addHelpText('after', examples(['millrace runs compare 3f9a b21c', 'why is one better?']))
    .action(run(compare));
};

async function withWarehouse<T>(
  context: CommandContext,
  work: (warehouse: Warehouse, prefix: string) => Promise<T>,
): Promise<T> {
  const project = openProject(context);
  const platform = openPlatform(context, project);
  try {
    return await work(platform.warehouse, project.prefix);
  } finally {
    await platform.close();
  }
}

async function list(context: CommandContext, options: ListOptions): Promise<void> {
  const { output } = context;
  await withWarehouse(context, async (warehouse, prefix) => {
    const rows = await readRuns(warehouse, prefix, {
      ...(options.kind === undefined ? {} : { kind: options.kind }),
      ...(options.model === undefined ? {} : { subject: options.model }),
      ...(options.parent === undefined ? {} : { parent: options.parent }),
      ...(options.failed ? { state: 'failed' as const } : {}),
      limit: options.limit,
    });
    if (output.isJson) return output.json(rows);
    if (rows.length === 0) return output.line('There is no such run.');
    output.table(
      [
        { title: 'run' },
        { title: 'kind' },
        { title: 'of' },
        { title: 'state' },
        { title: 'began' },
        { title: 'took', align: 'right' },
        { title: 'validation loss', align: 'right' },
        { title: 'data set' },
        { title: '' },
      ],
      rows.map((row) => [
        row.id,
        row.kind,
        row.subject,
        row.state === 'failed' ? output.colours.red(row.state) : row.state,
        instant(Math.floor(row.startedAt / 1_000) * 1_000),
        duration(row.finishedAt - row.startedAt),
        row.loss === null ? '' : row.loss.toFixed(4),
        row.dataset.slice(0, 8),
        shortened(row.error, 80),
      ]),
    );
  });
}

/** @throws UsageError */
async function find(warehouse: Warehouse, prefix: string, id: string): Promise<RunRecord> {
  const exact = await readRun(warehouse, prefix, id);
  if (exact !== null) return exact;
  const [only, ...others] = await runsLike(warehouse, prefix, id);
  if (only === undefined) throw new UsageError(`There is no run '${id}': millrace runs ls shows the newest.`);
  if (others.length > 0)
    throw new UsageError(`'${id}' may be ${[only, ...others].join(', ')}: write more of it.`);
  return (await readRun(warehouse, prefix, only)) as RunRecord;
}

const words = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

async function show(context: CommandContext, id: string): Promise<void> {
  const { output } = context;
  await withWarehouse(context, async (warehouse, prefix) => {
    const run = await find(warehouse, prefix, id);
    if (output.isJson) return output.json(run);
    const { colours } = output;
    const state = run.state === 'failed' ? colours.red(run.state) : colours.green(run.state);
    output.line(`${colours.bold(run.id)}  ${run.kind} of ${run.subject}  ${state}`);
    if (run.error !== '') output.line(colours.red(run.error));
    const { environment, resources } = run;
    const facts: ReadonlyArray<readonly [string, string]> = [
      ['began', `${instant(run.startedAt)}, took ${duration(run.finishedAt - run.startedAt)}`],
      ['belongs to', run.parent],
      ['data set', run.dataset],
      ['artefact', run.artefact],
      ['code', run.codeVersion],
      [
        'machine',
        [
          environment.node,
          environment.platform,
          `${environment.processors ?? '?'} processors`,
          environment.backend,
        ]
          .filter((word) => word !== undefined && word !== '')
          .join(', '),
      ],
      [
        'cost',
        resources.cpuMs === undefined
          ? ''
          : `${duration(resources.cpuMs)} of processor, ${bytes(resources.maxRssBytes ?? 0)} of memory at most`,
      ],
    ];
    output.table(
      [{ title: '' }, { title: '' }],
      facts.filter(([, value]) => value !== '').map(([name, value]) => [`  ${name}`, value]),
    );
    heading(output, 'Parameters');
    output.table(
      [{ title: '' }, { title: '' }],
      Object.entries(run.parameters).map(([name, value]) => [`  ${name}`, words(value)]),
    );
    const ends = run.metrics.filter(({ step }) => step === 0);
    if (ends.length > 0) {
      heading(output, 'Figures');
      output.table(
        [{ title: '' }, { title: '' }, { title: '', align: 'right' }],
        ends.map(({ metric, slice, value }) => [`  ${metric}`, slice, figure(value)]),
      );
    }
    curves(output, [run]);
  });
}

const figure = (value: number) => (Number.isInteger(value) ? String(value) : value.toFixed(5));
const heading = (output: Output, text: string) => {
  output.line();
  output.line(output.colours.bold(text));
};

const MARKS = 'oxabcdefgh';

function curves(output: Output, runs: readonly RunRecord[]): void {
  const drawn = runs.map((run, index) => ({
    mark: MARKS[index] ?? '*',
    points: run.metrics
      .filter(({ metric, slice, step }) => metric === 'validation_log_loss' && slice === '' && step > 0)
      .map(({ step, value }) => ({ x: step, y: value })),
  }));
  if (drawn.every(({ points }) => points.length < 2)) return;
  heading(output, 'Validation log loss by epoch');
  for (const line of plotLines(drawn)) output.line(`  ${line}`);
  if (runs.length > 1)
    for (const [index, run] of runs.entries()) output.line(`  ${MARKS[index] ?? '*'} ${run.id}`);
}

async function compare(context: CommandContext, ids: readonly string[]): Promise<void> {
  const { output } = context;
  if (ids.length < 2) throw new UsageError('Name two runs or more: millrace runs compare A B.');
  await withWarehouse(context, async (warehouse, prefix) => {
    const runs: RunRecord[] = [];
    for (const id of ids) runs.push(await find(warehouse, prefix, id));
    const differing = differences(runs);
    const metrics = [
      ...new Set(
        runs.flatMap((run) =>
          run.metrics.filter(({ step, slice }) => step === 0 && slice === '').map(({ metric }) => metric),
        ),
      ),
    ].sort();
    const valueIn = (run: RunRecord, metric: string) =>
      run.metrics.find((one) => one.metric === metric && one.step === 0 && one.slice === '')?.value;
    if (output.isJson)
      return output.json({
        runs: runs.map(({ id }) => id),
        parameters: differing,
        metrics: Object.fromEntries(
          metrics.map((metric) => [metric, runs.map((run) => valueIn(run, metric) ?? null)]),
        ),
      });
    const columns = [
      { title: '' },
      ...runs.map((run, i) => ({
        title: `${MARKS[i] ?? '*'} ${run.id}`,
        align: 'right' as const,
      })),
    ];
    output.table(
      columns,
      [
        ['state', (run: RunRecord) => run.state] as const,
        ['began', (run: RunRecord) => instant(Math.floor(run.startedAt / 1_000) * 1_000)] as const,
        ['took', (run: RunRecord) => duration(run.finishedAt - run.startedAt)] as const,
        ['data set', (run: RunRecord) => run.dataset.slice(0, 12)] as const,
        ['trainer', (run: RunRecord) => words(run.detail.trainer ?? '-')] as const,
      ].map(([name, of]) => [name, ...runs.map(of)]),
    );
    heading(output, differing.length === 0 ? 'All parameters are equal' : 'Parameters that differ');
    if (differing.length > 0)
      output.table(
        columns,
        differing.map(({ name, values }) => [
          name,
          ...values.map((value) => (value === null ? '-' : words(value))),
        ]),
      );
    heading(output, 'Figures');
    output.table(
      columns,
      metrics.map((metric) => {
        const values = runs.map((run) => valueIn(run, metric));
        return [metric, ...values.map((value) => (value === undefined ? '-' : figure(value)))];
      }),
    );
    curves(output, runs);
  });
}

/** Parameters that are not the same in all runs; null where a run has none of the name. */
export function differences(
  runs: ReadonlyArray<Pick<RunRecord, 'parameters'>>,
): ReadonlyArray<{ readonly name: string; readonly values: readonly unknown[] }> {
  const names = [...new Set(runs.flatMap(({ parameters }) => Object.keys(parameters)))].sort();
  return names
    .map((name) => ({ name, values: runs.map(({ parameters }) => parameters[name] ?? null) }))
    .filter(({ values }) => new Set(values.map((value) => JSON.stringify(value))).size > 1);
}
