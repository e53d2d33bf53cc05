import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { type MeasureQuery, readMeasures } from '../../monitoring/measures.ts';
import { eventTimeFinished, nextTick, readTicks } from '../../monitoring/progress.ts';
import type { Measure } from '../../schemas/monitoring.ts';
import type { Model, Project } from '../../schemas/project.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { count, day, instant } from '../format.ts';
import { instantOption } from '../options.ts';
import type { Output } from '../output.ts';
import { openPlatform, openProject } from '../project.ts';
import { driftLines, driftOf } from './monitor-drift.ts';
import { QUALITY_COLUMNS, qualityRows } from './monitor-quality.ts';
import { modelOf } from './predictions.ts';

interface Options {
  readonly model?: string;
  readonly from?: number;
  readonly to?: number;
  readonly at?: number;
  readonly slice?: string;
}

export const registerMonitor: Register = (program, run) => {
  const group = program
    .command('monitor')
    .description('what was measured at each tick of event time: quality, drift, data, freshness')
    .addHelpText(
      'after',
      examples(
        ['millrace monitor quality', 'windows and versions, with intervals'],
        ['millrace monitor drift --at 2001-04-07', 'what had changed in the window that ended then'],
        ['millrace monitor ticks', 'what was measured, and how far event time is finished'],
      ),
    );
  group
    .command('quality')
    .description('figures by window and version, with intervals; estimates while labels are pending')
    .option('--model <name>', "default: the project's only one")
    .option('--from <time>', 'windows from here on', instantOption)
    .option('--to <time>', 'windows that end here at the latest', instantOption)
    .option('--slice <name>', 'one slice (origin=ORD), or all of one name (origin); default: all requests')
    .addHelpText(
      'after',
      examples(
        ['millrace monitor quality', 'every window, newest last'],
        ['millrace monitor quality --slice origin=ORD --from 2001-04-01', 'one airport, from April on'],
        ['millrace monitor quality --json', 'measures as they stand in the table'],
      ),
    )
    .action(run(quality));
  group
    .command('drift')
    .description('features of one window against those before it, ranked by what a change does to the model')
    .option('--model <name>', "default: the project's only one")
    .option('--at <time>', 'the window that ends here; default: the newest', instantOption)
    .addHelpText(
      'after',
      examples(
        ['millrace monitor drift', 'the newest window'],
        ['millrace monitor drift --at 2001-04-07', 'the window that ended as 7 April began'],
      ),
    )
    .action(run(drift));
  group
    .command('data')
    .description('volume, refusals, nulls, ranges, freshness and processes, at one tick')
    .option('--at <time>', 'default: the newest', instantOption)
    .addHelpText('after', examples(['millrace monitor data', 'the newest tick']))
    .action(run(data));
  group
    .command('ticks')
    .description('ticks of event time, and which one is next')
    .addHelpText('after', examples(['millrace monitor ticks', 'all of them']))
    .action(run(ticks));
};

type Reading = (project: Project, warehouse: Warehouse, output: Output) => Promise<void>;

async function withProject(context: CommandContext, work: Reading): Promise<void> {
  const project = openProject(context);
  const platform = openPlatform(context, project);
  try {
    await work(project, platform.warehouse, context.output);
  } finally {
    await platform.close();
  }
}

/** Why nothing can be shown: nothing was measured at all, or other times than the one that was asked for. */
async function nothingOf(
  warehouse: Warehouse,
  prefix: string,
  ...asked: ReadonlyArray<number | undefined>
): Promise<string> {
  const known = asked.some((time) => time !== undefined) ? await readTicks(warehouse, prefix) : [];
  return nothingText(known.map(({ tick }) => tick));
}

export function nothingText(ticks: readonly number[]): string {
  const [first, last] = [ticks.at(0), ticks.at(-1)];
  return first === undefined || last === undefined
    ? 'Nothing was measured yet: monitoring measures a window when event time has passed it (millrace monitor ticks).'
    : `Nothing was measured for that time: ticks lie between ${instant(first)} and ${instant(last)} (millrace monitor ticks).`;
}

async function quality(context: CommandContext, options: Options): Promise<void> {
  await withProject(context, async (project, warehouse, output) => {
    const model = modelOf(project, options.model);
    const { slice = '', from, to } = options;
    const asked: MeasureQuery = {
      kinds: ['quality', 'estimate'],
      model: model.name,
      ...(slice === '' || slice.includes('=') ? { slice } : {}),
      ...(from === undefined ? {} : { endAfter: from }),
      ...(to === undefined ? {} : { endUntil: to }),
    };
    const measures = (await readMeasures(warehouse, project.prefix, asked)).filter(
      (one) => slice === '' || slice.includes('=') || one.slice.startsWith(`${slice}=`),
    );
    if (output.isJson) return output.json(measures);
    if (measures.length === 0)
      return output.line(
        slice === ''
          ? await nothingOf(warehouse, project.prefix, from, to)
          : `No window has the slice ${slice}: the model declares ${sliceNames(model)}, each with at least so many labelled rows.`,
      );
    output.table(QUALITY_COLUMNS, qualityRows(measures, output));
    output.note(
      `intervals of ${model.monitoring.confidence * 100} %; ~ is estimated from the scores alone, until the labels are there`,
    );
  });
}

function sliceNames({ monitoring }: Model): string {
  const names = monitoring.slices.map(({ name, minRows }) => `${name} (${minRows})`);
  return names.length === 0 ? 'none' : names.join(', ');
}

async function drift(context: CommandContext, options: Options): Promise<void> {
  await withProject(context, async (project, warehouse, output) => {
    const model = modelOf(project, options.model);
    const measures = await driftOf(warehouse, project.prefix, model.name, options.at);
    if (output.isJson) return output.json(measures);
    if (measures.length === 0) return output.line(await nothingOf(warehouse, project.prefix, options.at));
    for (const line of driftLines(measures, model, output)) output.line(line);
  });
}

async function data(context: CommandContext, options: Options): Promise<void> {
  await withProject(context, async (project, warehouse, output) => {
    const known = await readTicks(warehouse, project.prefix);
    const tick = options.at ?? known.at(-1)?.tick;
    const measured =
      tick === undefined
        ? []
        : await readMeasures(warehouse, project.prefix, { kinds: ['data', 'freshness'], tick });
    // Processes are measured by the clock on the wall, at no tick: they are shown beside the newest.
    const used =
      options.at === undefined
        ? latest(await readMeasures(warehouse, project.prefix, { kinds: ['resource'] }))
        : [];
    if (output.isJson) return output.json([...measured, ...used]);
    if (measured.length === 0 && used.length === 0)
      return output.line(await nothingOf(warehouse, project.prefix, options.at));
    if (tick !== undefined) output.line(output.colours.bold(`Tick ${instant(tick)}`));
    output.table(
      [
        { title: 'window' },
        { title: 'figure' },
        { title: 'of' },
        { title: 'value', align: 'right' },
        { title: 'usual' },
        { title: '' },
      ],
      [...measured, ...used].filter(isTelling).map((one) => dataRow(one, output)),
    );
    const quiet = [...measured, ...used].filter((one) => !isTelling(one)).length;
    if (quiet > 0) output.note(`${quiet} fields have no nulls, or nothing out of range; --json shows all`);
  });
}

/** A share of nothing at all is no news. */
const isTelling = ({ statistic, value, fired }: Measure) =>
  fired || value !== 0 || (statistic !== 'nulls' && statistic !== 'out_of_range');

/** The newest sample of each process and figure. */
function latest(measures: readonly Measure[]): Measure[] {
  const newest = new Map<string, Measure>();
  for (const one of measures) newest.set(`${one.subject} ${one.statistic}`, one);
  return [...newest.values()];
}

function dataRow(one: Measure, { colours }: Output): string[] {
  const detail = one.detail === '' ? {} : (JSON.parse(one.detail) as Record<string, unknown>);
  const of = [one.subject, one.slice].filter((text) => text !== '').join(' ');
  const window = one.kind === 'resource' ? instant(one.to) : day(one.from);
  return [
    window,
    one.statistic,
    of,
    one.value === null ? '-' : figure(one.statistic, one.value),
    usualText(one, detail.usual),
    one.fired
      ? colours.yellow('unusual')
      : one.value === null && typeof detail.why === 'string'
        ? colours.dim(detail.why)
        : '',
  ];
}

function usualText({ statistic, low, high }: Measure, usual: unknown): string {
  if (low !== null && high !== null) return `${figure(statistic, low)} to ${figure(statistic, high)}`;
  if (Array.isArray(usual) && usual.every((one) => typeof one === 'number'))
    return usual.map((one) => figure('', one as number)).join(' to ');
  return typeof usual === 'number' ? figure(statistic, usual) : '';
}

const SHARES = new Set(['rejected', 'late', 'nulls', 'out_of_range', 'gc']);

function figure(statistic: string, value: number): string {
  if (SHARES.has(statistic)) return `${(value * 100).toFixed(2)} %`;
  if (statistic === 'memory') return `${(value / 1e6).toFixed(0)} MB`;
  if (statistic === 'event_loop_delay') return `${value.toFixed(1)} ms`;
  if (/_p\d+$/.test(statistic)) return `${count(value / 1_000)} s`;
  return Number.isInteger(value) || Math.abs(value) >= 1_000 ? count(value) : value.toFixed(3);
}

async function ticks(context: CommandContext): Promise<void> {
  await withProject(context, async (project, warehouse, output) => {
    const known = await readTicks(warehouse, project.prefix);
    const next = await nextTick({ project, warehouse });
    const finished = await eventTimeFinished({ project, warehouse, now: Date.now() });
    if (output.isJson) return output.json({ ticks: known, next, finished });
    if (known.length > 0)
      output.table(
        [{ title: 'tick' }, { title: 'state' }, { title: 'measured', align: 'right' }, { title: 'fired' }],
        known.map(({ tick, state, detail }) => {
          const { measures, fired } = JSON.parse(detail === '' ? '{}' : detail) as {
            measures?: number;
            fired?: ReadonlyArray<{ rule: string }>;
          };
          return [
            instant(tick),
            state,
            measures === undefined ? '' : count(measures),
            [...new Set(fired?.map(({ rule }) => rule))].join(', '),
          ];
        }),
      );
    output.note(
      next === null
        ? 'Nothing was predicted yet, so no tick is due.'
        : `next ${instant(next)}; event time is finished up to ${finished === null ? 'nothing' : instant(finished)}`,
    );
  });
}
