import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { openHistory } from '../../infrastructure/readers/open.ts';
import { plant } from '../../infrastructure/readers/planted.ts';
import type { Project } from '../../schemas/project.ts';
import { createLoopLimit } from '../../streams/replay/loop-limit.ts';
import { replay } from '../../streams/replay/replay.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { FailedResult } from '../errors.ts';
import { count, duration, instant } from '../format.ts';
import { instantOption, speedOption } from '../options.ts';
import { openPlatform, openProject } from '../project.ts';
import { historyOf } from './import.ts';

interface Options {
  readonly from?: number;
  readonly to?: number;
  readonly speed?: number;
  readonly name?: string;
  readonly loop?: boolean;
}

export const registerReplay: Register = (program, run) => {
  program
    .command('replay')
    .argument('[file]', 'Parquet or JSON lines; the flights reader has a file of its own')
    .description(
      'send history through Kafka with its own clock, so that every answer is exact; the streams must run',
    )
    .option('--from <time>', 'event times from here', instantOption)
    .option('--to <time>', 'event times before this', instantOption)
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
  const { history, source } = historyOf(project, path, 'replay');
  const platform = openPlatform(context, project);
  try {
    const codecs = await platform.codecs();
    const reading = output.progress('reading');
    const file = await openHistory(history, source, path ?? null);
    const range = { from: options.from ?? null, to: options.to ?? null };
    const total = file.count(range);
    reading.done(`${count(total)} events to replay`);
    const progress = output.progress('replay', { total, unit: 'events' });
    const result = await replay(
      { project, kafka: platform.kafka, store: platform.store, codecs, clock: platform.clock },
      {
        source: source.name,
        name: options.name ?? `replay-${range.from ?? 'start'}-${range.to ?? 'end'}`,
        items: plant(file, range, { source, seed: 0, each: 0, keyOf: (event) => String(event[source.key]) }),
        speed: options.speed ?? Number.POSITIVE_INFINITY,
        signal,
        ...(options.loop ? { loop: loopOf(context, platform.warehouse, project) } : {}),
        onProgress: ({ sent, eventTime, tick }) =>
          progress.update(sent, tick === null ? instant(eventTime) : `watching ${instant(tick)}`),
      },
    ).catch((error: unknown) => {
      progress.fail();
      throw error;
    });
    const ms = result.finishedAt - result.startedAt;
    if (result.complete) progress.done(`${count((result.sent * 1_000) / Math.max(1, ms))} events/s`);
    else progress.fail('stopped');
    if (output.isJson) output.json(result);
    else {
      output.line(
        `${count(result.sent)} events sent and answered in ${duration(ms)}${result.skipped > 0 ? `; ${count(result.skipped)} had been sent before` : ''}`,
      );
      if (!result.complete)
        output.line(`Stopped at ${instant(result.lastTime ?? Number.NaN)}; run it again to go on.`);
    }
    if (!result.complete) throw new FailedResult();
  } finally {
    await platform.close();
  }
}

const loopOf = ({ output }: CommandContext, warehouse: Warehouse, project: Project) =>
  createLoopLimit({
    warehouse,
    project,
    onAway: ({ message }) => output.warn(`The replay waits until ClickHouse is back: ${message}`),
  });
