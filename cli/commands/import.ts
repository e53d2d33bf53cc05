import { ensureTables } from '../../infrastructure/clickhouse/ensure-tables.ts';
import { openHistory } from '../../infrastructure/readers/open.ts';
import type { Platform } from '../../platform/platform.ts';
import type { Project } from '../../schemas/project.ts';
import { type ImportReport, importHistory } from '../../streams/history/import.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { count, instant } from '../format.ts';
import { type ChosenHistory, historiesOf } from '../histories.ts';
import { oddTimes } from '../odd-times.ts';
import { instantOption } from '../options.ts';
import { openPlatform, openProject } from '../project.ts';

interface Options {
  readonly from?: number;
  readonly to?: number;
  readonly source?: string;
}

export const registerImport: Register = (program, run) => {
  program
    .command('import')
    .argument(
      '[file]',
      'Parquet or JSON lines (default: what project.yaml names, or the reader has of its own)',
    )
    .description(
      'load history into ClickHouse alone; a repeat changes nothing, an overlap with events from Kafka is refused',
    )
    .option('--from <time>', 'event times from here (UTC unless it names a zone)', instantOption)
    .option('--to <time>', 'event times before this', instantOption)
    .option('--source <name>', 'only this source (default: all that have a history)')
    .addHelpText(
      'after',
      examples(
        ['millrace import --to 2001-03-23', 'the flights before 23 March'],
        ['millrace import payments.jsonl --project docs/examples/payments', 'a file of your own'],
        ['millrace import jams.parquet --source jams', 'one source of several'],
      ),
    )
    .action(
      run(async (context, file: string | undefined, options: Options) => {
        const project = openProject(context);
        const chosen = historiesOf(project, { file, source: options.source, command: 'import' });
        const platform = openPlatform(context, project);
        try {
          await ensureTables(platform.warehouse, project);
          const reports: ImportReport[] = [];
          for (const one of chosen)
            reports.push(
              await importOne(context, { project, platform, options, several: chosen.length > 1 }, one),
            );
          if (context.output.isJson) context.output.json(reports.length === 1 ? reports[0] : reports);
        } finally {
          await platform.close();
        }
      }),
    );
};

interface Importing {
  readonly project: Project;
  readonly platform: Platform;
  readonly options: Options;
  /** More sources than this one are imported. */
  readonly several: boolean;
}

async function importOne(
  { output, signal }: CommandContext,
  { project, platform, options, several }: Importing,
  { history, source, path }: ChosenHistory,
): Promise<ImportReport> {
  const of = several ? ` ${source.name}` : '';
  const reading = output.progress(`reading${of}`);
  const opened = await openHistory(history, source, path);
  reading.done(`${count(opened.rows)} rows, ${count(opened.duplicates)} exact duplicates left out`);
  const progress = output.progress(`import${of}`, { unit: 'events' });
  const report = await importHistory({
    project,
    warehouse: platform.warehouse,
    source,
    file: opened,
    from: options.from ?? null,
    to: options.to ?? null,
    now: platform.clock.now(),
    signal,
    progress: ({ events, of: total }) => {
      progress.total(total);
      progress.update(events);
    },
  });
  progress.done();
  if (output.isJson) return report;
  const name = several ? `${source.name}: ` : '';
  output.line(
    report.status === 'already'
      ? `${name}An earlier import covers this: nothing was written.`
      : `${name}${count(report.accepted)} events from ${instant(report.from)} to ${instant(report.to)}`,
  );
  const odd = oddTimes(opened);
  if (odd !== null) output.warn(`${name}${odd}`);
  for (const [code, events] of Object.entries(report.rejected))
    output.line(`${count(events)} rejected: ${code}`);
  if (report.forgotten > 0)
    output.line(
      `${count(report.forgotten)} ids were forgotten before their time, and their repeats would count: deduplicate.at_most of ${source.name} is too small for this file.`,
    );
  return report;
}
