import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { openHistory } from '../../infrastructure/readers/open.ts';
import { plant } from '../../infrastructure/readers/planted.ts';
import type { Platform } from '../../platform/platform.ts';
import type { EventRecord } from '../../schemas/event.ts';
import type { Project } from '../../schemas/project.ts';
import { openArchive } from '../../streams/replay/from-archive.ts';
import { createLoopLimit } from '../../streams/replay/loop-limit.ts';
import { type ReplayInput, type ReplayResult, replayAll } from '../../streams/replay/replay.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { FailedResult, UsageError } from '../errors.ts';
import { count, duration, instant } from '../format.ts';
import { historiesOf, sourceOf } from '../histories.ts';
import { instantOption, speedOption } from '../options.ts';
import { openPlatform, openProject } from '../project.ts';

interface Options {
  readonly from?: number;
  readonly to?: number;
  readonly source?: string;
  /** True without a prefix. */
  readonly fromArchive?: string | true;
  readonly speed?: number;
  readonly name?: string;
  readonly loop?: boolean;
}

export const registerReplay: Register = (program, run) => {
  program
    .command('replay')
    .argument(
      '[file]',
      'Parquet or JSON lines (default: what project.yaml names, or the reader has of its own)',
    )
    .description(
      'send history through Kafka with its own clock, so that every answer is exact; the streams must run. Several sources go together, in order of event time',
    )
    .option('--from <time>', 'event times from here', instantOption)
    .option('--to <time>', 'event times before this', instantOption)
    .option('--source <name>', 'only this source (default: all that have a history)')
    .option(
      '--from-archive [prefix]',
      "events as they once came through Kafka, from ClickHouse: late ones are late again (default: the project's own prefix)",
    )
    .option('--speed <x>', 'event time per wall time: 1, 3600x, or max (default: max)', speedOption)
    .option(
      '--name <name>',
      'run again under its name, a replay goes on where it stopped (default: the range)',
    )
    .option(
      '--loop',
      'wait at each tick for monitoring and for what it starts, so that the past meets the models it would have had',
    )
    .addHelpText(
      'after',
      examples(
        ['millrace replay --from 2001-03-23 --to 2001-04-09', 'as fast as the answers come'],
        ['millrace replay --from 2001-03-23 --to 2001-03-24 --speed 3600x', 'a day in 24 seconds'],
        ['millrace replay --to 2001-04-16 --loop', 'with drift, alerts and retraining as it goes'],
        ['millrace replay jams.parquet --source jams', 'one source of several'],
        ['millrace replay --prefix again --from-archive', 'what came live, into topics of its own'],
        ['millrace replay --prefix again --from-archive shop-eu --from 2026-03-01', "another prefix's March"],
      ),
    )
    .action(run(replayCommand));
};

async function replayCommand(
  context: CommandContext,
  path: string | undefined,
  options: Options,
): Promise<void> {
  const { output, signal } = context;
  const project = openProject(context);
  const open = options.fromArchive === undefined ? openFiles : openArchives;
  const platform = openPlatform(context, project);
  try {
    const { inputs, total, name } = await open({ context, project, platform, options, path });
    const progress = output.progress('replay', { total, unit: 'events' });
    const result = await replayAll(
      {
        project,
        kafka: platform.kafka,
        store: platform.store,
        codecs: await platform.codecs(),
        clock: platform.clock,
      },
      {
        inputs,
        name: options.name ?? name,
        speed: options.speed ?? Number.POSITIVE_INFINITY,
        to: options.to ?? null,
        signal,
        ...(options.loop ? { loop: loopOf(context, platform.warehouse, project) } : {}),
        onProgress: ({ sent, eventTime, tick, waitsFor }) =>
          progress.update(
            sent,
            waitsFor !== null
              ? `waiting for ${waitsFor}`
              : tick === null
                ? instant(eventTime)
                : `watching ${instant(tick)}`,
          ),
      },
    ).catch((error: unknown) => {
      progress.fail();
      throw error;
    });
    const ms = result.finishedAt - result.startedAt;
    if (result.complete) progress.done(`${count((result.sent * 1_000) / Math.max(1, ms))} events/s`);
    else progress.fail('stopped');
    tell(context, result);
    if (!result.complete) throw new FailedResult();
  } finally {
    await platform.close();
  }
}

interface Opening {
  readonly context: CommandContext;
  readonly project: Project;
  readonly platform: Platform;
  readonly options: Options;
  readonly path: string | undefined;
}

interface Opened {
  readonly inputs: readonly ReplayInput[];
  readonly total: number;
  /** Of the replay, where none is given: the same for the same range. */
  readonly name: string;
}

const rangeOf = ({ from, to }: Options) => ({ from: from ?? null, to: to ?? null });

const nameOf = (kind: string, { from, to, source }: Options) =>
  [kind, ...(source === undefined ? [] : [source]), from ?? 'start', to ?? 'end'].join('-');

async function openFiles({ context, project, options, path }: Opening): Promise<Opened> {
  const range = rangeOf(options);
  const inputs: ReplayInput[] = [];
  let total = 0;
  for (const { history, source, path: file } of historiesOf(project, {
    file: path,
    source: options.source,
    command: 'replay',
  })) {
    const reading = context.output.progress('reading');
    const opened = await openHistory(history, source, file);
    const keyOf = (event: EventRecord) => String(event[source.key]);
    inputs.push({ source: source.name, items: plant(opened, range, { source, seed: 0, each: 0, keyOf }) });
    total += opened.count(range);
    reading.done(`${count(opened.count(range))} events of ${source.name} to replay`);
  }
  return { inputs, total, name: nameOf('replay', options) };
}

async function openArchives({ context, project, platform, options, path }: Opening): Promise<Opened> {
  if (path !== undefined) throw new UsageError(`Replay ${path} or the archive, not both.`);
  const prefix =
    typeof options.fromArchive === 'string'
      ? options.fromArchive
      : openProject({ ...context, prefix: undefined }).prefix;
  if (prefix === project.prefix)
    throw new UsageError(
      `The archive of ${prefix} cannot be replayed into ${prefix} itself, where its events would be late: apply another prefix and name it, e.g. millrace replay --prefix ${prefix}-again --from-archive ${prefix}.`,
    );
  const sources = options.source === undefined ? project.sources : [sourceOf(project, options.source)];
  const inputs: ReplayInput[] = [];
  let total = 0;
  for (const source of sources) {
    const reading = context.output.progress('reading');
    const archive = await openArchive({
      warehouse: platform.warehouse,
      prefix,
      source,
      ...rangeOf(options),
      schemaById: (id) => platform.registry.schemaById(id),
    });
    inputs.push({ source: source.name, items: archive.items() });
    total += archive.records;
    reading.done(
      `${count(archive.records)} records of ${source.name} to replay${archive.imported === 0 ? '' : `; ${count(archive.imported)} imported events are left out, replay their file`}`,
    );
  }
  return { inputs, total, name: nameOf(`archive-${prefix}`, options) };
}

function tell({ output }: CommandContext, result: ReplayResult): void {
  if (output.isJson) {
    output.json(result);
    return;
  }
  const ms = result.finishedAt - result.startedAt;
  output.line(
    `${count(result.sent)} events sent and answered in ${duration(ms)}${result.skipped > 0 ? `; ${count(result.skipped)} had been sent before` : ''}`,
  );
  const sources = Object.entries(result.sentOf);
  if (sources.length > 1)
    output.line(sources.map(([source, sent]) => `${source}: ${count(sent)}`).join(', '));
  if (!result.complete)
    output.line(`Stopped at ${instant(result.lastTime ?? Number.NaN)}; run it again to go on.`);
}

const loopOf = ({ output }: CommandContext, warehouse: Warehouse, project: Project) =>
  createLoopLimit({
    warehouse,
    project,
    onAway: ({ message }) => output.warn(`The replay waits until ClickHouse is back: ${message}`),
  });
